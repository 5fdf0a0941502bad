"""The page that runs the cascade in the browser: Python's numbers, and no silent score."""

import json

import cv2
import numpy as np
import pytest

from birads_lib import Cascade
from birads_lib.labels import LESION_CODES
from birads_lib.tiles.familiarity import measure_tiles

AGREE = 1e-3
MOST_MILLISECONDS = 300
MOST_MODEL_BYTES = 25e6


@pytest.fixture(scope="module")
def manifest(pages):
    return json.loads((pages / "demo" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def tiles(pages, manifest):
    """Every sample tile: uint8 (N, 299, 299)."""
    names = [pages / "demo" / sample["file"] for sample in manifest["samples"]]
    return np.stack([cv2.imread(str(name), cv2.IMREAD_GRAYSCALE) for name in names])


@pytest.fixture
def demo(site, visit):
    """The page with its networks loaded."""
    window = visit()
    window.page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    window.page.get_by_role("button", name="Load the networks").click()
    window.page.wait_for_selector("#demo [data-part=choice]:visible", timeout=60_000)
    return window


def part(window, name):
    return window.page.locator(f"#demo [data-part={name}]")


def give(window, path):
    """Choose a file and wait for what the page says."""
    part(window, "file").set_input_files([])
    part(window, "file").set_input_files(path)
    window.page.wait_for_function(
        "() => document.querySelector('#demo [data-part=alert]').textContent"
        " || !document.querySelector('#demo [data-part=result]').hidden"
    )
    return part(window, "alert").inner_text()


def test_networks_are_small_and_load_only_when_asked(manifest, site, visit):
    assert sum(p["bytes"] for p in manifest["parts"].values()) < MOST_MODEL_BYTES
    window = visit()
    window.page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    assert not [url for url in window.asked if url.endswith((".onnx", ".wasm"))]


def test_numbers_are_pythons_and_come_in_time(manifest, tiles, demo, simulated):
    assert len(tiles) >= 20
    reading = Cascade.load(simulated / "models" / "cascade").read(tiles)
    assert np.ptp(reading.answers["gate"]) > 2 * AGREE, "answers that are all alike show nothing"
    milliseconds = []
    for i, sample in enumerate(manifest["samples"]):
        demo.page.locator(f"#demo [data-sample='{sample['file']}']").click()
        demo.page.wait_for_function(
            "(name) => { const r = document.querySelector('#demo [data-part=result]');"
            " return !r.hidden && r.dataset.name === name; }",
            arg=sample["title"],
        )
        expected = reading.answers.iloc[i]
        gate = float(part(demo, "gate").get_attribute("data-value"))
        assert gate == pytest.approx(expected["gate"], abs=AGREE), sample["title"]
        for code in LESION_CODES:
            cell = part(demo, "scores").locator(f"[data-code={code}] [data-score]")
            if expected["predicted"] == "C1":
                assert cell.inner_text() == "not scored"
            else:
                shown = float(cell.get_attribute("data-value"))
                assert shown == pytest.approx(expected[code], abs=AGREE), sample["title"]
        if expected["predicted"] != "C1":
            cells = json.loads(part(demo, "attention").get_attribute("data-value"))
            np.testing.assert_allclose(cells, reading.attention[i].ravel(), atol=AGREE)
        assert part(demo, "truth").inner_text() == sample["truth"]
        milliseconds.append(float(part(demo, "time").get_attribute("data-value")))
    assert np.median(milliseconds) < MOST_MILLISECONDS
    assert demo.errors == []
    assert demo.foreign == []


def test_measures_of_a_tile_are_pythons(tiles, demo):
    found = demo.page.evaluate(
        """async (levels) => {
            const { measureTile } = await import('../demo/familiarity.js');
            return measureTile({ width: 299, height: 299, levels });
        }""",
        tiles[0].ravel().tolist(),
    )
    for name, values in measure_tiles(tiles[:1]).items():
        assert found[name] == pytest.approx(values[0], abs=1e-6), name


def test_sizes_change_as_in_python(tiles, demo):
    from birads_lib.tiles.resizing import resize_tiles

    for height, width in ((128, 96), (97, 131), (310, 400)):
        found = demo.page.evaluate(
            """async ([levels, width, height]) => {
                const { resize } = await import('../demo/resizing.js');
                const small = resize({ width: 299, height: 299, levels }, width, height);
                return Array.from(small.levels);
            }""",
            [tiles[0].ravel().tolist(), width, height],
        )
        expected = resize_tiles(tiles[:1].astype(np.float32), (height, width))[0]
        np.testing.assert_allclose(np.reshape(found, (height, width)), expected, atol=1e-3)


def test_page_is_worked_with_the_keyboard(demo):
    page = demo.page
    page.locator("#demo [data-sample]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#demo [data-part=result]:visible")
    assert page.locator("#demo [aria-pressed=true]").count() == 1
    assert part(demo, "status").get_attribute("role") == "status"
    assert "gate gives" in part(demo, "status").inner_text()


def test_what_is_no_grey_tile_gets_a_sentence_and_no_score(demo, tiles, tmp_path):
    def picture(name, pixels):
        path = tmp_path / name
        assert cv2.imwrite(str(path), pixels)
        return path

    text = tmp_path / "notes.png"
    text.write_text("not a picture")
    dicom = tmp_path / "scan.dcm"
    dicom.write_bytes(bytes(128) + b"DICM" + bytes(200))
    cut = tmp_path / "cut.pgm"
    cut.write_bytes(b"P5\n# a comment\n299 299\n255\n" + bytes(100))
    colours = np.zeros((299, 299, 3), np.uint8)
    colours[..., 2] = np.arange(299) % 256
    refused = {
        text: "no picture that can be read",
        dicom: "DICOM",
        cut: "no readable PGM",
        picture("photo.png", colours): "in colour",
        picture("blank.png", np.full((299, 299), 90, np.uint8)): "one grey level",
        picture("scan.png", np.tile(np.arange(256, dtype=np.uint8), (7100, 28))): "megapixels",
        picture("deep.png", tiles[0].astype(np.uint16) * 257): "16 bits",
    }
    for path, words in refused.items():
        assert words in give(demo, path), path.name
        assert part(demo, "result").is_hidden()


def test_a_picture_unlike_the_training_tiles_is_scored_with_a_warning(demo, tiles, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (299, 299)).astype(np.uint8)
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), noise)
    assert give(demo, path) == ""
    assert "exponent of the power spectrum" in part(demo, "warnings").inner_text()


def test_a_picture_of_another_form_is_read(demo, tiles, tmp_path):
    plain = tmp_path / "plain.pgm"
    rows = "\n".join(" ".join(map(str, row)) for row in tiles[0])
    plain.write_text(f"P2\n# a comment\n299 299\n255\n{rows}\n")
    binary = tmp_path / "binary.pgm"
    binary.write_bytes(b"P5 299 299 255\n" + tiles[0].tobytes())
    gates = []
    for path in (plain, binary):
        assert give(demo, path) == ""
        gates.append(part(demo, "gate").get_attribute("data-value"))
    assert gates[0] == gates[1]
