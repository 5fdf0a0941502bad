"""Pictures of the reader's own: read, read with a remark, or refused with a sentence."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from demo_page import FLOAT32, HALF, SHOWN, gate_of, give, part

from birads_lib.report.reading import size_remarks
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.pictures import open_pictures


def test_what_is_no_grey_tile_gets_a_sentence_and_no_score(demo, sample_tiles, tmp_path):
    def file(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    def encoded(kind, pixels):
        done, content = cv2.imencode(kind, pixels)
        assert done
        return content.tobytes()

    colours = np.zeros((TILE, TILE, 3), np.uint8)
    colours[..., 2] = np.arange(TILE) % 256
    scan = np.tile(np.arange(256, dtype=np.uint8), (7100, 28))
    deep = sample_tiles[0].astype(np.uint16) * 257
    faint = np.repeat(sample_tiles[0][..., np.newaxis], 3, axis=2)
    faint[5, 5, 0] ^= 1
    clear = np.dstack([faint[..., [1]]] * 3 + [np.full((TILE, TILE), 255, np.uint8)])
    clear[7, 7, 3] = 254
    refused = {
        file("notes.png", b"not a picture"): "no picture that can be read",
        file("empty.jpg", b""): "no picture that can be read",
        file("scan.dcm", bytes(128) + b"DICM" + bytes(200)): "DICOM",
        file("cut.pgm", b"P5\n# a comment\n299 299\n255\n" + bytes(100)): "no readable PGM",
        file("deep.pgm", b"P5 299 299 65535\n" + deep.tobytes()): "no readable PGM",
        file("colours.png", encoded(".png", colours)): "in colour",
        file("colours.jpg", encoded(".jpg", colours)): "in colour",
        file("faint.png", encoded(".png", faint)): "in colour",
        file("clear.png", encoded(".png", clear)): "transparent in places",
        file("blank.png", encoded(".png", np.full((TILE, TILE), 90, np.uint8))): "one grey level",
        file("scan.png", encoded(".png", scan)): "megapixels",
        file("scan.jpg", encoded(".jpg", scan)): "megapixels",
        file("deep.png", encoded(".png", deep)): "16 bits",
    }
    for path, sentence in refused.items():
        assert sentence in give(demo, path), path.name
        assert path.name in part(demo, "alert").inner_text()
        assert part(demo, "result").is_hidden()


def test_a_whole_scan_is_refused_by_its_header_before_it_is_decoded(demo, tmp_path):
    scan = np.tile(np.arange(256, dtype=np.uint8), (2100, 8))
    heads = {"scan.pgm": b"P5 2048 2100 255\n"}
    for name in ("scan.png", "scan.jpg"):
        content = cv2.imencode(Path(name).suffix, scan)[1].tobytes()
        heads[name] = content[:1000]  # no decoder makes a picture of it
    for name, head in heads.items():
        path = tmp_path / name
        path.write_bytes(head)
        assert "4 megapixels: a whole scan" in give(demo, path), name


def test_a_picture_of_another_form_is_read(demo, cascade, sample_tiles, tmp_path):
    plain = tmp_path / "plain.pgm"
    rows = "\n".join(" ".join(map(str, row)) for row in sample_tiles[0])
    plain.write_text(f"P2\n# a comment\n299 299\n255\n{rows}\n")
    binary = tmp_path / "binary.pgm"
    binary.write_bytes(b"P5 299 299 255\n" + sample_tiles[0].tobytes())
    grey, of_three_channels = tmp_path / "grey.jpg", tmp_path / "three.jpg"
    cv2.imwrite(str(grey), sample_tiles[0])
    cv2.imwrite(str(of_three_channels), cv2.cvtColor(sample_tiles[0], cv2.COLOR_GRAY2BGR))
    for path in (plain, binary, grey, of_three_channels):
        assert give(demo, path) == ""
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        expected = cascade.predict(pixels[np.newaxis])["gate"].item()
        assert gate_of(demo) == pytest.approx(expected, abs=FLOAT32), path.name


@pytest.mark.parametrize("suffix", [".bmp", ".webp"])
def test_other_kinds_of_pictures_are_refused_though_a_browser_reads_them(
    demo, sample_tiles, tmp_path, suffix
):
    path = tmp_path / f"tile{suffix}"
    cv2.imwrite(str(path), sample_tiles[0])
    assert "Give a PNG, JPEG or PGM file" in give(demo, path)


def test_a_picture_that_becomes_blank_as_a_tile_is_not_scored(demo, tmp_path):
    large = np.full((1196, 1196), 90, np.uint8)
    large[600, 600] = 91
    path = tmp_path / "speck.png"
    cv2.imwrite(str(path), large)
    assert "one grey level" in give(demo, path)


def test_a_file_that_was_mended_can_be_chosen_again(demo, sample_tiles, tmp_path):
    path = tmp_path / "mine.png"
    path.write_bytes(b"not a picture")
    assert "no picture that can be read" in give(demo, path)
    cv2.imwrite(str(path), sample_tiles[0])
    part(demo, "file").set_input_files(path)
    demo.page.wait_for_function(SHOWN, arg=path.name)


@pytest.mark.parametrize("size", [(598, 598), (700, 450), (200, 260)])
def test_a_picture_of_another_size_is_scored_as_by_python(
    demo, cascade, sample_tiles, tmp_path, size
):
    path = tmp_path / "sized.png"
    noise = np.random.default_rng(0).integers(0, 40, size[::-1], np.uint8)
    cv2.imwrite(str(path), cv2.resize(sample_tiles[0], size) // 2 + noise)
    assert give(demo, path) == ""
    expected = cascade.predict(open_pictures(path).images)["gate"].item()
    assert gate_of(demo) == pytest.approx(expected, abs=HALF)


def test_a_picture_of_another_size_is_made_a_tile_and_that_is_said(demo, sample_tiles, tmp_path):
    path = tmp_path / "large.pgm"
    large = np.kron(sample_tiles[0], np.ones((4, 4), np.uint8))
    path.write_bytes(b"P5 1196 1196 255\n" + large.tobytes())
    assert give(demo, path) == ""
    assert "1196 x 1196 pixels and was resized to 299 x 299" in part(demo, "status").inner_text()
    assert "stretched" not in part(demo, "status").inner_text()
    resized = gate_of(demo)
    cv2.imwrite(str(tmp_path / "tile.png"), sample_tiles[0])
    give(demo, tmp_path / "tile.png")
    assert resized == pytest.approx(gate_of(demo), abs=FLOAT32)


def test_a_picture_that_is_not_square_is_stretched_and_that_is_said(demo, sample_tiles, tmp_path):
    path = tmp_path / "narrow.png"
    cv2.imwrite(str(path), sample_tiles[0][:, :200])
    assert give(demo, path) == ""
    (stretched,) = size_remarks((TILE, 200))[1:]
    assert stretched in part(demo, "status").inner_text()


def carried(window, tile, count=1):
    """So many pictures as they are when they are dragged over a page."""
    return window.page.evaluate_handle(
        """([bytes, count]) => {
            const carried = new DataTransfer();
            const parts = [new Uint8Array(bytes)];
            for (let i = 0; i < count; i++) {
                carried.items.add(new File(parts, "dropped.png", { type: "image/png" }));
            }
            return carried;
        }""",
        [list(cv2.imencode(".png", tile)[1].tobytes()), count],
    )


def test_what_is_dropped_beside_the_field_does_not_leave_the_page(
    site, visit, demo, sample_tiles, reading
):
    early = visit()
    early.page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    for window, count, sentence in (
        (early, 1, "Load the networks first"),
        (demo, 2, "One picture at a time, please; 2 were dropped"),
    ):
        dropped = carried(window, sample_tiles[0], count)
        heading = window.page.locator("article h1").first
        for event in ("dragover", "drop"):
            kept = heading.evaluate(
                """(element, [name, dataTransfer]) => !element.dispatchEvent(new DragEvent(
                    name, { bubbles: true, cancelable: true, dataTransfer }))""",
                [event, dropped],
            )
            assert kept, f"the browser would go to the picture on {event}"
        assert sentence in part(window, "alert").inner_text()
    dropped = carried(demo, sample_tiles[0])
    demo.page.locator("article h1").first.dispatch_event("drop", {"dataTransfer": dropped})
    demo.page.wait_for_function(SHOWN, arg="dropped.png")
    assert gate_of(demo) == pytest.approx(reading.answers["gate"].iloc[0], abs=FLOAT32)


def test_a_dropped_picture_is_read(demo, reading, sample_tiles):
    dropped = carried(demo, sample_tiles[0])
    place = part(demo, "drop")
    place.dispatch_event("dragover", {"dataTransfer": dropped})
    assert "over" in place.get_attribute("class").split()
    place.dispatch_event("dragleave", {"dataTransfer": dropped})
    assert "over" not in place.get_attribute("class").split()
    place.dispatch_event("dragover", {"dataTransfer": dropped})
    place.dispatch_event("drop", {"dataTransfer": dropped})
    demo.page.wait_for_function(SHOWN, arg="dropped.png")
    assert gate_of(demo) == pytest.approx(reading.answers["gate"].iloc[0], abs=FLOAT32)
    assert "over" not in place.get_attribute("class").split()
