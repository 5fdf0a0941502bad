"""The page "Try it" in a browser: choosing, what it shows, and whether that is Python's."""

import json
from pathlib import Path

import numpy as np
import pytest

from birads_lib.labels import LESION_CODES

FLOAT32, HALF = 1e-5, 1e-3
"""How far numbers of two engines may lie apart; HALF where large matrices are sent in half."""
MOST_MODEL_BYTES = 25e6
SHOWN = """(name) => {
    const result = document.querySelector('#demo [data-part=result]');
    return !result.hidden && result.dataset.name === name;
}"""
ANSWERED = """(name) => {
    const [status, alert] = ['status', 'alert'].map(
        (part) => document.querySelector(`#demo [data-part=${part}]`).textContent);
    return alert.includes(name) || status.startsWith(`${name}: `);
}"""
IN_SIGHT = """(element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && top < innerHeight && (bottom <= innerHeight || top < innerHeight / 2);
}"""


def load(window, site):
    """Open the page, load its networks and wait until tiles can be chosen."""
    window.page.goto(f"{site}/book/demo.html", wait_until="networkidle")
    window.page.get_by_role("button", name="Load the networks").click()
    window.page.wait_for_selector("#demo [data-part=choice]:visible")


def part(window, name):
    return window.page.locator(f"#demo [data-part={name}]")


def sample_button(window, sample):
    return window.page.locator(f"#demo [data-sample='{sample['file']}']")


def choose(window, sample):
    """Choose a sample and wait for what the networks say."""
    sample_button(window, sample).click()
    window.page.wait_for_function(SHOWN, arg=sample["title"])


def give(window, path):
    """Choose a file and wait for what the page says; the sentence where it is refused."""
    part(window, "file").set_input_files(path)
    window.page.wait_for_function(ANSWERED, arg=Path(path).name)
    return part(window, "alert").inner_text()


def gate_of(window):
    return float(part(window, "gate").get_attribute("data-value"))


def threads(window):
    """How many the networks run on."""
    return window.page.evaluate("() => import('../demo/cascade.js').then((m) => m.THREADS)")


def between(gates, apart):
    """The threshold that parts these gate values most evenly, with none of them close to it."""
    ordered = np.sort(gates)
    wide = np.flatnonzero(np.diff(ordered) > 4 * apart)
    assert len(wide), "answers that are all alike show nothing"
    below = wide[np.abs(wide + 1 - len(ordered) / 2).argmin()]
    return float(ordered[below : below + 2].mean())


def compare(window, samples, reading, apart):
    """Choose every sample and hold what is shown against Python's; milliseconds of each."""
    milliseconds = []
    for i, sample in enumerate(samples):
        choose(window, sample)
        expected, title = reading.answers.iloc[i], sample["title"]
        assert gate_of(window) == pytest.approx(expected["gate"], abs=apart), title
        for code in LESION_CODES:
            cell = part(window, "scores").locator(f"[data-code={code}] [data-score]")
            if expected["predicted"] == "C1":
                assert cell.inner_text() == "not scored"
            else:
                shown = float(cell.get_attribute("data-value"))
                assert shown == pytest.approx(expected[code], abs=apart), title
        assert part(window, "attention-figure").is_visible() == (expected["predicted"] != "C1")
        if expected["predicted"] != "C1":
            cells = json.loads(part(window, "attention").get_attribute("data-value"))
            np.testing.assert_allclose(cells, reading.attention[i].ravel(), atol=apart)
        milliseconds.append(float(part(window, "time").get_attribute("data-value")))
    return milliseconds


def assert_both_kinds(reading, apart):
    """Some tiles pass the gate and some do not, and the scorer tells those that pass apart."""
    passed = reading.answers["predicted"] != "C1"
    assert 1 < passed.sum() < len(passed)
    scores = reading.answers.loc[passed, list(LESION_CODES)]
    assert np.ptp(scores, axis=0).max() > 2 * apart, "scores that are all alike show nothing"
    assert np.nanmax(np.ptp(reading.attention[passed], axis=0)) > 2 * apart
