"""The page that runs the cascade in the browser: Python's numbers, and no silent score."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from accessible import beyond_the_theme, violations
from demo_page import (
    FLOAT32,
    HALF,
    IN_SIGHT,
    MOST_MODEL_BYTES,
    SHOWN,
    assert_both_kinds,
    choose,
    compare,
    gate_of,
    give,
    load,
    part,
    sample_button,
    threads,
)
from onnx import TensorProto

from birads_lib import Cascade
from birads_lib.report import words
from birads_lib.study.demo import halve_large, left_out
from birads_lib.tiles.familiarity import measure_tiles
from birads_lib.tiles.layout import TILE

MOST_MILLISECONDS = 300  # a tile, networks of the smallest profile
PHONE = {"width": 360, "height": 740}


# What is sent


def test_networks_are_small_and_load_only_when_asked(manifest, site, visit):
    assert 0 < sum(p["bytes"] for p in manifest["parts"].values()) < MOST_MODEL_BYTES
    window = visit()
    window.page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    assert not [url for url in window.asked if url.endswith((".onnx", ".wasm"))]


def test_networks_too_large_for_a_page_are_not_offered_and_it_says_where_they_are(site, visit):
    sentence = left_out(Path("_build/run/paper"), 312_000_000)
    window = visit()
    window.page.route(
        "**/demo/manifest.json", lambda route: route.fulfill(json={"left_out": sentence})
    )
    window.page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    assert part(window, "status").inner_text() == sentence
    assert part(window, "start").is_hidden()
    assert part(window, "choice").is_hidden()
    assert window.errors == []


# Numbers


def test_the_page_has_the_runs_own_threshold(manifest, simulated):
    assert manifest["threshold"] == Cascade.load(simulated / "models" / "cascade").threshold


def test_numbers_are_pythons_and_come_in_time(manifest, cascade, reading, open_demo, measured):
    assert len(manifest["samples"]) >= 20
    assert_both_kinds(reading, FLOAT32)
    window = open_demo(threshold=cascade.threshold)
    taken = compare(window, manifest["samples"], reading, FLOAT32)
    all_three = np.flatnonzero(reading.answers["predicted"] != "C1")
    milliseconds = float(np.median(np.take(taken, all_three)))
    measured["demo"][manifest["profile"]] = {
        "bytes": sum(p["bytes"] for p in manifest["parts"].values()),
        "milliseconds": {threads(window): milliseconds},
    }
    assert milliseconds < MOST_MILLISECONDS
    assert window.errors == []
    assert window.foreign == []


def test_networks_sent_in_half_precision_give_pythons_numbers(
    manifest, simulated, sample_tiles, site, visit, tmp_path
):
    saved = simulated / "models" / "cascade"
    halved = set()
    for name, part_of in manifest["parts"].items():
        halve_large(saved / part_of["file"], tmp_path / part_of["file"], large=1000)
        weights = onnx.load(tmp_path / part_of["file"]).graph.initializer
        if any(w.data_type == TensorProto.FLOAT16 for w in weights):
            halved.add(name)
    assert "scorer" in halved
    python = Cascade.load(saved)
    python.threshold = 0.0
    window = visit()
    told = {**manifest, "threshold": python.threshold}
    window.page.route("**/demo/manifest.json", lambda route: route.fulfill(json=told))
    window.page.route(
        "**/demo/*.onnx",
        lambda route: route.fulfill(path=tmp_path / route.request.url.rpartition("/")[2]),
    )
    load(window, site)
    some = slice(None, None, 4)
    compare(window, manifest["samples"][some], python.read(sample_tiles[some]), HALF)
    assert window.errors == []


def test_the_gates_word_names_the_threshold(open_demo, manifest, cascade, reading):
    window = open_demo(threshold=cascade.threshold)
    threshold = f"the threshold of {100 * cascade.threshold:.1f} %, the mark on the bar"
    for passes, word in ((True, "reaches"), (False, "stays below")):
        sample = int(np.flatnonzero((reading.answers["predicted"] != "C1") == passes)[0])
        choose(window, manifest["samples"][sample])
        assert part(window, "gate-word").inner_text().startswith(f"It {word} {threshold}")
        assert f"threshold of {100 * cascade.threshold:.1f} %" in (
            part(window, "status").inner_text()
        )
    bar, mark = (part(window, name).bounding_box() for name in ("gate-bar", "gate-mark"))
    share = (mark["x"] - bar["x"]) / bar["width"]
    assert share == pytest.approx(cascade.threshold, abs=0.01)
    above = part(window, "result").inner_text()
    assert "not a medical device" in above


def test_measures_of_a_tile_are_pythons(sample_tiles, demo):
    found = demo.page.evaluate(
        """async (levels) => {
            const { measureTile } = await import('../demo/familiarity.js');
            return measureTile({ width: 299, height: 299, levels });
        }""",
        sample_tiles[0].ravel().tolist(),
    )
    for name, values in measure_tiles(sample_tiles[:1]).items():
        assert found[name] == pytest.approx(values[0], abs=1e-6), name


def test_sizes_change_as_in_python(sample_tiles, demo):
    from birads_lib.tiles.resizing import resize_tiles

    for height, width in ((128, 96), (97, 131), (310, 400)):
        found = demo.page.evaluate(
            """async ([levels, width, height]) => {
                const { resize } = await import('../demo/resizing.js');
                const small = resize({ width: 299, height: 299, levels }, width, height);
                return Array.from(small.levels);
            }""",
            [sample_tiles[0].ravel().tolist(), width, height],
        )
        expected = resize_tiles(sample_tiles[:1].astype(np.float32), (height, width))[0]
        np.testing.assert_allclose(np.reshape(found, (height, width)), expected, atol=1e-3)


# What is said with a result


def test_above_each_result_stands_what_the_networks_learned_from(manifest, demo):
    for sample in (manifest["samples"][0], manifest["samples"][-1]):
        choose(demo, sample)
        above = part(demo, "origin")
        assert "simulated tiles in the profile smoke" in above.inner_text()
        assert words.SIMULATED.split(". ", 1)[1] in above.inner_text()
        assert above.bounding_box()["y"] < part(demo, "tile").bounding_box()["y"]
        assert part(demo, "truth").inner_text() == sample["truth"]


def test_warnings_are_pythons_and_are_read_out(demo, cascade, sample_tiles, tmp_path):
    pictures = {
        "noise": np.random.default_rng(0).integers(0, 256, (TILE, TILE)).astype(np.uint8),
        "dark": sample_tiles[0] // 16,
        "bright": 239 + sample_tiles[0] // 16,
    }
    warned = set()
    for name, pixels in pictures.items():
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), pixels)
        (expected,) = cascade.familiar.remarks(pixels[np.newaxis])
        assert expected
        assert give(demo, path) == ""
        assert part(demo, "warnings").locator("li").all_inner_texts() == expected
        said = part(demo, "status").inner_text()
        assert said.endswith(" ".join(["This picture is unlike the training tiles:", *expected])), (
            "who hears the score hears the warning"
        )
        warned |= {title for title in ("mean grey level", "standard deviation", "exponent")
                   if any(title in sentence for sentence in expected)}  # fmt: skip
    assert len(warned) == 3


def test_a_picture_like_the_training_tiles_is_scored_without_a_warning(
    demo, cascade, manifest, sample_tiles
):
    like = [i for i, remarks in enumerate(cascade.familiar.remarks(sample_tiles)) if not remarks]
    choose(demo, manifest["samples"][like[0]])
    assert part(demo, "warnings-block").is_hidden()
    assert "unlike" not in part(demo, "status").inner_text()


def test_where_training_tiles_are_unknown_that_is_said(manifest, open_demo):
    window = open_demo(familiar=None)
    choose(window, manifest["samples"][0])
    assert part(window, "warnings-block").inner_text().split("\n", 1)[0] == "Not checked:"
    assert part(window, "warnings").locator("li").all_inner_texts() == [words.UNCHECKED]
    assert part(window, "status").inner_text().endswith(f"Not checked: {words.UNCHECKED}")


# Keyboard, screen readers, phones


def focused(window, attribute):
    return window.page.evaluate("(name) => document.activeElement.getAttribute(name)", attribute)


def test_page_is_worked_with_the_keyboard_alone(site, visit, manifest, sample_tiles, tmp_path):
    window = visit()
    page = window.page
    page.on("filechooser", lambda chooser: None)  # from now on no dialog opens, and it is told
    page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    page.get_by_role("link", name="ONNX Runtime Web").focus()
    page.keyboard.press("Tab")
    assert focused(window, "data-part") == "start"
    page.keyboard.press("Enter")
    page.wait_for_selector("#demo [data-part=choice]:visible")

    in_order = sorted(manifest["samples"], key=lambda sample: sample["real"])
    assert focused(window, "data-sample") == in_order[0]["file"]
    assert page.locator("#demo [aria-pressed=false]").count() == len(in_order)
    page.keyboard.press("Tab")
    assert focused(window, "data-sample") == in_order[1]["file"]
    page.keyboard.press("Space")
    page.wait_for_function(SHOWN, arg=in_order[1]["title"])
    assert focused(window, "data-sample") == in_order[1]["file"]
    assert focused(window, "aria-pressed") == "true"
    assert page.locator("#demo [aria-pressed=false]").count() == len(in_order) - 1
    assert part(window, "status").get_attribute("role") == "status"
    assert "gate gives" in part(window, "status").inner_text()

    for sample in in_order[2:]:
        page.keyboard.press("Tab")
        assert focused(window, "data-sample") == sample["file"]
    page.keyboard.press("Tab")
    assert focused(window, "data-part") == "file"
    own = tmp_path / "own.png"
    cv2.imwrite(str(own), sample_tiles[0])
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(own)
    page.wait_for_function(SHOWN, arg=own.name)
    assert page.locator("#demo [aria-pressed=true]").count() == 0
    assert window.errors == []


def test_who_has_gone_on_reading_keeps_the_focus(site, visit):
    window = visit()
    window.page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    window.page.get_by_role("link", name="ONNX Runtime Web").focus()
    part(window, "start").dispatch_event("click")
    window.page.wait_for_selector("#demo [data-part=choice]:visible")
    assert "onnxruntime" in focused(window, "href")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_working_page_is_accessible_and_fits_a_phone(
    scheme, open_demo, manifest, cascade, reading, axe, measured
):
    settings = {"viewport": PHONE, "color_scheme": scheme}
    window = open_demo(settings, threshold=cascade.threshold, familiar=None)
    passed = int(np.flatnonzero(reading.answers["predicted"] != "C1")[0])
    choose(window, manifest["samples"][passed])
    for shown in ("origin", "warnings-block", "attention", "scores", "drop"):
        assert part(window, shown).is_visible(), shown
    found = violations(window.page, axe)
    measured["pages"].setdefault("book/demo", {})[f"phone, working, {scheme}"] = {"axe": found}
    assert beyond_the_theme(found, window.page) == {}
    wide = window.page.evaluate("() => document.scrollingElement.scrollWidth")
    assert wide <= PHONE["width"], "the page can be moved sideways"


def test_what_came_of_a_choice_is_in_sight_on_a_phone(
    open_demo, manifest, cascade, sample_tiles, tmp_path
):
    window = open_demo({"viewport": PHONE}, threshold=cascade.threshold)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture")
    part(window, "file").scroll_into_view_if_needed()
    assert "no picture" in give(window, bad)
    assert part(window, "alert").evaluate(IN_SIGHT)
    first = sorted(manifest["samples"], key=lambda sample: sample["real"])[0]
    choose(window, first)
    window.page.wait_for_timeout(200)
    assert part(window, "status").evaluate(IN_SIGHT)
    assert window.page.evaluate("document.activeElement.dataset.sample") == first["file"]


def test_opened_as_a_file_the_page_says_what_it_needs(pages, visit):
    window = visit()
    window.context.unroute_all()
    window.page.goto((pages / "book" / "demo.html").as_uri())
    assert "“make serve” starts one" in part(window, "status").inner_text()
    assert part(window, "start").is_disabled()
    assert window.errors == []


# One after another


def holding(held):
    """Keeps back what the page fetches; the small picture on a sample's button may come."""

    def keep(route):
        if route.request.resource_type == "image":
            route.continue_()
        else:
            held.append(route)

    return keep


def test_of_two_quick_choices_the_newer_one_stays(demo, manifest):
    slow, quick = manifest["samples"][:2]
    held = []
    demo.page.route(f"**/{slow['file']}", holding(held))
    sample_button(demo, slow).click()
    choose(demo, quick)
    said = part(demo, "status").inner_text()
    (waiting,) = held
    with demo.page.expect_response(f"**/{slow['file']}"):
        waiting.continue_()
    demo.page.wait_for_timeout(1000)  # a reading takes a fraction of it
    assert part(demo, "result").get_attribute("data-name") == quick["title"]
    assert part(demo, "result").is_visible()
    assert part(demo, "status").inner_text() == said
    assert sample_button(demo, quick).get_attribute("aria-pressed") == "true"
    assert demo.errors == []


def test_a_refusal_that_comes_late_does_not_take_a_newer_result_away(demo, manifest):
    slow, quick = manifest["samples"][:2]
    held = []
    demo.page.route(f"**/{slow['file']}", holding(held))
    sample_button(demo, slow).click()
    choose(demo, quick)
    held[0].fulfill(body="not a picture")
    demo.page.wait_for_timeout(300)
    assert part(demo, "alert").inner_text() == ""
    assert part(demo, "result").is_visible()


def test_choices_made_at_once_end_in_the_last(demo, manifest, reading):
    chosen = manifest["samples"][:6]
    demo.page.evaluate(
        "(files) => files.forEach((f) => document.querySelector(`[data-sample='${f}']`).click())",
        [sample["file"] for sample in chosen],
    )
    demo.page.wait_for_function(SHOWN, arg=chosen[-1]["title"])
    assert gate_of(demo) == pytest.approx(reading.answers["gate"].iloc[5], abs=FLOAT32)
    assert demo.errors == []


def test_a_sample_that_does_not_come_is_said(demo, manifest):
    lost = manifest["samples"][0]
    demo.page.route(f"**/{lost['file']}", lambda route: route.abort())
    sample_button(demo, lost).click()
    demo.page.wait_for_selector("#demo [data-part=alert]:not(:empty)")
    assert f"{lost['title']} could not be read" in part(demo, "alert").inner_text()
    assert part(demo, "result").is_hidden()
