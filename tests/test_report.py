"""Reports on pictures, made by a hand-made cascade that real engines run without TensorFlow.

Its answers follow from a tile's mean grey level, and its attention map is the tile.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from dicom_tree import write_dicom
from onnx import TensorProto, helper

from birads_lib import Cascade
from birads_lib.cascade import DESCRIPTION, INTENDED_USE, NOT_INTENDED_USE
from birads_lib.cli import main
from birads_lib.errors import DataError, UsageError
from birads_lib.files import sha256, write_json
from birads_lib.labels import BIRADS, CODES, LESION_CLASSES, LESION_CODES
from birads_lib.report import words, write_report
from birads_lib.report.calibration import calibration_of
from birads_lib.report.reading import MOST, read_inputs, size_remarks
from birads_lib.study.figures_explain import overlay
from birads_lib.study.written import LEDGER, METRICS
from birads_lib.tiles.layout import TILE

LIFT = 10  # grey levels that the autoencoder adds
CENTRES = np.array([60.0, 120.0, 180.0, 240.0])  # grey levels the scorer takes for C2 to C5
SHARPNESS = 400.0
THRESHOLD = 0.5
CELLS = (8, 6)  # of the scorer's attention map
ABOUT = {"profile": "tiny", "data": "d" * 64, "simulated": True}
RANGES = {"mean": [20.0, 220.0], "deviation": [1.0, 90.0], "exponent": [-9.0, 9.0]}
BRIGHT, DARK, STRANGE = 150, 60, 235  # scored, stopped by the gate, outside the ranges
FORMS = (".html", ".pdf", ".json")


# A cascade and pictures


def save_network(path: Path, size: tuple[int, ...], *nodes: Any, **outputs: Any) -> None:
    """One ONNX file from float32 (batch, *size) to outputs of given shapes; constants by name."""
    constants = {
        "lift": np.float32(LIFT),
        "white": np.float32(255),
        "plane": np.array([1, 2], np.int64),
        "channels": np.array([3], np.int64),
        "kernel": np.repeat(2 * CENTRES[np.newaxis] / 3, 3, axis=0).astype(np.float32) / SHARPNESS,
        "offset": (-(CENTRES**2) / SHARPNESS).astype(np.float32),
    }
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("tile", TensorProto.FLOAT, ("batch", *size))],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", *shape))
            for name, shape in outputs.items()
        ],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in used],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def write_cascade(folder: Path, maps: bool = True, **changed: Any) -> Path:
    """A cascade as ``Cascade.save`` leaves it, of three networks with answers known."""
    folder.mkdir(parents=True)
    node = helper.make_node
    lift = node("Add", ["tile", "lift"], ["lifted"])
    save_network(folder / "autoencoder.onnx", (64, 64, 1), lift, lifted=(64, 64, 1))
    mean = node("ReduceMean", ["tile", "plane"], ["mean"], keepdims=0)
    gate = node("Div", ["mean", "white"], ["gate"])
    save_network(folder / "gate.onnx", (16, 16, 1), mean, gate, gate=(1,))
    scores = [
        mean,
        node("MatMul", ["mean", "kernel"], ["products"]),
        node("Add", ["products", "offset"], ["powers"]),
        node("Softmax", ["powers"], ["scores"]),
    ]
    grey = node("ReduceMean", ["tile", "channels"], ["grey"])
    looks = [grey, node("Div", ["grey", "white"], ["looks"])] if maps else []
    outputs = {"scores": (4,)} | ({"looks": (*CELLS, 1)} if maps else {})
    save_network(folder / "scorer.onnx", (*CELLS, 3), *scores, *looks, **outputs)
    parts = ("autoencoder", "gate", "scorer")
    described = {
        "threshold": THRESHOLD,
        "weights": {part: part[0] * 64 for part in parts},
        "files": {path.name: sha256(path) for path in folder.iterdir()},
        "about": ABOUT,
        "familiar": RANGES,
        **changed,
    }
    write_json(folder / DESCRIPTION, described)
    return folder


def tile_of(level: int) -> np.ndarray:
    """A tile of one mean with grain, brightest low on the right: uint8 (299, 299)."""
    grain = np.random.default_rng(level).integers(-8, 9, (TILE, TILE))
    slope = np.linspace(-6, 6, TILE)
    return np.rint(level + grain + slope + slope[:, np.newaxis]).clip(0, 255).astype(np.uint8)


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_cascade(tmp_path_factory.mktemp("saved") / "cascade")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    """One that is scored, one that the gate stops, one that is unlike the training tiles."""
    folder = tmp_path_factory.mktemp("pictures")
    levels = {"scored": BRIGHT, "stopped <b>&é ж": DARK, "strange": STRANGE}
    return [write_picture(folder / f"{k}.png", tile_of(level)) for k, level in levels.items()]


@pytest.fixture(scope="module")
def data(model, pictures, tmp_path_factory) -> dict[str, Any]:
    """The JSON report on the three pictures."""
    out = tmp_path_factory.mktemp("reports") / "report.json"
    write_report(pictures, out, model)
    return json.loads(out.read_text())


class Page(HTMLParser):
    """What a page holds: elements with their attributes, text by landmark, headings."""

    def __init__(self, path: Path):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {"header": [], "main": [], "footer": [], "style": []}
        self.outside = ""
        self._open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.words = {name: " ".join(filter(None, parts)) for name, parts in self.text.items()}

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in self.text:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, text):
        if self._open:
            self.text[self._open[-1]].append(" ".join(text.split()))
        elif self.elements and self.elements[-1][0] != "title":
            self.outside += text.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(model, pictures, tmp_path_factory) -> Page:
    """The HTML report on the three pictures."""
    out = tmp_path_factory.mktemp("reports") / "report.html"
    write_report(pictures, out, model)
    return Page(out)


def picture_in(source: str) -> np.ndarray:
    """Pixels of a data URI, grey or red, green, blue."""
    kind, content = source.split(",", 1)
    assert kind == "data:image/png;base64"
    found = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)
    return found if found.ndim == 2 else found[..., ::-1]


def refused(capsys, *arguments: Any) -> str:
    """Run a report that must end with code 2; its one line."""
    assert main(["report", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("birads: ")
    assert said.err.count("\n") == 1
    return said.err


# What the cascade said


def test_every_picture_has_the_cascades_answers(data, model, pictures):
    tiles = np.stack([tile_of(level) for level in (BRIGHT, DARK, STRANGE)])
    answers = Cascade.load(model).predict(tiles)
    assert [image["tile"] for image in data["images"]] == [path.stem for path in pictures]
    assert [image["input"] for image in data["images"]] == [str(path) for path in pictures]
    digests = [hashlib.sha256(tile.tobytes()).hexdigest() for tile in tiles]
    assert [image["digest"] for image in data["images"]] == digests
    for image, (_, answer) in zip(data["images"], answers.iterrows(), strict=True):
        assert image["gate"] == pytest.approx(answer["gate"], abs=1e-6)
        assert image["predicted"] == answer["predicted"]
        if image["scores"] is not None:
            assert list(image["scores"]) == sorted(LESION_CODES)
            expected = answer[sorted(LESION_CODES)].tolist()
            assert list(image["scores"].values()) == pytest.approx(expected, abs=1e-6)


def test_what_the_gate_stops_has_neither_scores_nor_map(data):
    scored, stopped, _ = data["images"]
    assert (scored["passed"], stopped["passed"]) == (True, False)
    assert sum(scored["scores"].values()) == pytest.approx(1, abs=1e-6)
    assert (stopped["scores"], stopped["attention"]) == (None, None)
    assert (stopped["predicted"], stopped["title"]) == ("C1", "normal")


def test_the_map_has_its_cells_and_their_range(data):
    found = data["images"][0]["attention"]
    cells = np.array(found["cells"])
    assert cells.shape == CELLS
    denoised = tile_of(BRIGHT).astype(np.float32) + LIFT
    expected = cv2.resize(denoised, CELLS[::-1], interpolation=cv2.INTER_AREA) / 255
    assert cells == pytest.approx(expected, abs=2e-3)
    assert (found["lowest"], found["highest"]) == (cells.min(), cells.max())


def test_a_scorer_without_spatial_attention_gives_no_map_and_says_why(tmp_path, pictures):
    model = write_cascade(tmp_path / "cascade", maps=False)
    write_report(pictures[:1], tmp_path / "report.json", model)
    (image,) = json.loads((tmp_path / "report.json").read_text())["images"]
    assert image["attention"] is None
    assert image["scores"] is not None
    write_report(pictures[:1], tmp_path / "report.html", model)
    found = Page(tmp_path / "report.html")
    assert "this scorer has no spatial attention" in found.words["main"]
    assert len(found.all("img")) == 2


def test_only_the_picture_outside_the_ranges_is_called_unlike(data):
    alike, darker, strange = (image["remarks"] for image in data["images"])
    assert (alike, darker) == ([], [])
    assert len(strange) == 1
    assert "mean grey level" in strange[0]


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_engines_agree(engine, data, model, pictures, tmp_path):
    write_report(pictures, tmp_path / "report.json", model, engine)
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["model"]["engine"] == engine
    for image, other in zip(found["images"], data["images"], strict=True):
        assert image["gate"] == pytest.approx(other["gate"], abs=1e-5)
        assert image["predicted"] == other["predicted"]


# Which model answered


def test_the_model_is_named(data, model):
    assert data["model"] == {
        "folder": str(model),
        "digest": Cascade.load(model).digest,
        "threshold": THRESHOLD,
        "engine": "openvino",
        **ABOUT,
        "familiarity_checked": True,
        "card": {
            "page": "book/model_card.html",
            "intended_use": list(INTENDED_USE),
            "not_intended_use": list(NOT_INTENDED_USE),
        },
    }
    made = datetime.fromisoformat(data["created"])
    assert abs((datetime.now(UTC) - made).total_seconds()) < 3600


def test_a_model_that_records_nothing_is_said_to(tmp_path, pictures):
    model = write_cascade(tmp_path / "cascade", about={}, familiar=None)
    write_report(pictures[:1], tmp_path / "report.json", model)
    found = json.loads((tmp_path / "report.json").read_text())
    facts = ("profile", "data", "simulated", "familiarity_checked")
    assert [found["model"][fact] for fact in facts] == [None, None, None, False]
    write_report(pictures[:1], tmp_path / "report.html", model)
    page = Page(tmp_path / "report.html")
    assert words.UNCHECKED in page.words["main"]
    assert words.SIMULATED not in page.words["header"]
    assert "not recorded" in page.words["main"]


def test_real_training_tiles_are_not_called_simulated(tmp_path, pictures):
    model = write_cascade(tmp_path / "cascade", about={**ABOUT, "simulated": False})
    write_report(pictures[:1], tmp_path / "report.html", model)
    page = Page(tmp_path / "report.html")
    assert "simulated" not in page.words["header"]
    assert "real tiles" in page.words["main"]


# Calibration


@pytest.fixture
def finished(tmp_path) -> Path:
    """A run with a cascade, metrics of three stages and their ledger."""
    run = tmp_path / "run"
    write_cascade(run / "models" / "cascade")
    asked = {"protocol": "official", "split": "held-out", "seed": 0, "tiles": 900, "groups": 80}
    errors = {"cascade": 0.21, "gate": 0.11, "scorer": None}
    records = [
        {"stage": stage, **asked, "overall": {"expected_calibration_error": _figure(error)}}
        for stage, error in errors.items()
    ]
    others = [{**records[1], "protocol": "leaky"}, {**records[1], "split": "validation"}]
    write_json(run / METRICS, [*others, *records])
    write_ledger(run)
    return run


def _figure(error: float | None) -> dict[str, Any] | None:
    return None if error is None else {"value": error, "interval": [error / 2, error * 2]}


def write_ledger(run: Path) -> None:
    held = (METRICS, f"models/cascade/{DESCRIPTION}")
    write_json(run / LEDGER, {"files": {name: sha256(run / name) for name in held}})


def test_calibration_is_that_of_the_held_out_tiles_of_the_run(finished, pictures, tmp_path):
    out = tmp_path / "report.json"
    write_report(pictures[:1], out, finished / "models" / "cascade")
    found = json.loads(out.read_text())["calibration"]
    assert found["known"]
    assert "simulated" in found["note"]
    asked = {"protocol": "official", "split": "held-out", "seed": 0, "tiles": 900, "groups": 80}
    assert found["stages"] == [
        {"stage": "gate", **asked, "value": 0.11, "interval": [0.055, 0.22]},
        {"stage": "scorer", **asked, "value": None, "interval": None},
        {"stage": "cascade", **asked, "value": 0.21, "interval": [0.105, 0.42]},
    ]


def test_calibration_stands_on_the_page(finished, pictures, tmp_path):
    write_report(pictures[:1], tmp_path / "report.html", finished / "models" / "cascade")
    said = Page(tmp_path / "report.html").words["main"]
    assert "0.110 (0.055 to 0.220)" in said
    assert "not defined" in said
    assert "900 tiles of 80 groups" in said


def test_a_cascade_outside_a_run_has_no_calibration(data):
    assert not data["calibration"]["known"]
    assert data["calibration"]["stages"] == []
    assert "nothing is known" in data["calibration"]["note"]
    assert "lies in no finished run" in data["calibration"]["note"]


def test_results_of_another_model_are_not_taken_for_its_own(finished):
    cascade = finished / "models" / "cascade" / DESCRIPTION
    write_json(cascade, {**json.loads(cascade.read_text()), "threshold": 0.4})
    found = calibration_of(cascade.parent)
    assert found.stages == ()
    assert "not of the model" in found.unknown


def test_results_that_changed_since_the_run_do_not_count(finished):
    write_json(finished / METRICS, json.loads((finished / METRICS).read_text())[::-1])
    assert calibration_of(finished / "models" / "cascade").stages == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (LEDGER, "{"),
        (LEDGER, "[]"),
        (METRICS, "{"),
        (METRICS, '[{"stage": "gate"}]'),
        (METRICS, "3"),
    ],
)
def test_results_that_cannot_be_read_are_no_reason_to_fail(finished, name, content):
    (finished / name).write_text(content)
    if name == METRICS:
        write_ledger(finished)
    assert calibration_of(finished / "models" / "cascade").stages == ()


# The page


def test_page_is_one_file_that_asks_for_nothing(page):
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action", "background"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))
    assert "url(" not in page.words["style"]
    assert "@import" not in page.words["style"]
    policies = [x["content"] for x in page.all("meta") if "http-equiv" in x]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_page_shows_the_very_pixels(page):
    shown = [picture_in(image["src"]) for image in page.all("img")]
    assert len(shown) == 8  # the gate stops one of three, which so has no map
    tile, denoised, under_map = shown[:3]
    assert (tile == tile_of(BRIGHT)).all()
    assert denoised.shape == (64, 64)
    assert abs(float(denoised.mean()) - BRIGHT - LIFT) < 1
    cells = denoised.astype(np.float32)
    assert under_map.shape == (64, 64, 3)
    smooth = cv2.resize(cv2.resize(cells, CELLS[::-1], interpolation=cv2.INTER_AREA), (64, 64))
    assert np.abs(under_map.astype(int) - overlay(denoised, smooth)).mean() < 3


def test_page_has_landmarks_one_title_and_headings_without_gaps(page):
    assert page.all("html") == [{"lang": "en"}]
    assert [len(page.all(name)) for name in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    assert page.outside == ""  # all that is said stands in a landmark
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch(r"h\d", name)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    ids = [x["id"] for _, x in page.elements if "id" in x]
    assert len(ids) == len(set(ids))
    links = [x["href"][1:] for x in page.all("a")]
    labels = [x["aria-labelledby"] for x in page.all("section")]
    assert len(links) == 1 + 3  # the model card, and the pictures of the overview
    assert set(links + labels) <= set(ids)


def test_every_picture_on_the_page_has_words_of_its_own(page):
    alternatives = [image["alt"] for image in page.all("img")]
    assert len(set(alternatives)) == len(alternatives)
    assert all(len(text) > 20 for text in alternatives)
    # The hand-made tiles, and so their maps, are brightest low on the right.
    assert "92 % from the left and 94 % from the top" in alternatives[2]


def test_page_shows_what_the_json_says(page, data):
    said = page.words["main"]
    scored, stopped, strange = data["images"]
    for image in data["images"]:
        assert f"{image['gate']:.3f}" in said
        assert f"Answer: {image['predicted']}, {image['title']}" in said
    for code, score in scored["scores"].items():
        assert f"{code} {dict(_titles())[code]}" in said
        assert f" {score:.3f}" in said
    for end in ("lowest", "highest"):
        assert f"{scored['attention'][end]:.3f}" in said
    assert "no all-clear" in said
    assert strange["remarks"][0] in said
    for fact in (data["model"]["digest"], ABOUT["profile"], ABOUT["data"], "threshold of 0.500"):
        assert fact in said
    assert data["calibration"]["note"] in said
    assert f"birads-lib {data['version']}" in page.words["header"]
    assert stopped["tile"] in said


def _titles() -> list[tuple[str, str]]:
    return [(c.code, c.title) for c in LESION_CLASSES]


def test_bars_are_as_long_as_the_probabilities_and_marked_at_the_threshold(page, data):
    lengths = [float(x[6:-1]) for s in page.all("span") if (x := s.get("style", ""))]
    expected = []
    for image in data["images"]:
        expected += [image["gate"], *(image["scores"] or {}).values()]
    assert lengths == pytest.approx([100 * share for share in expected], abs=0.06)
    assert [x["style"] for x in page.all("i")] == [f"left:{100 * THRESHOLD:.1f}%"] * 3


def test_page_says_what_it_is_not_at_top_and_bottom(page):
    assert words.NOTICE in page.words["header"]
    assert words.NOTICE in page.words["footer"]
    assert words.SIMULATED in page.words["header"]


def test_page_leads_to_the_model_card_that_it_holds(page):
    assert words.CARD_LINK in page.words["header"]
    (card,) = (x for x in page.all("h2") if x.get("id") == "model-card")
    assert [x for x in page.all("a") if x["href"] == f"#{card['id']}"]
    for line in (*INTENDED_USE, *NOT_INTENDED_USE):
        assert line in page.words["main"]


def test_page_tells_classes_from_categories(page):
    said = page.words["main"]
    assert "They are NOT BI-RADS categories" in said
    for category in BIRADS:
        cells = (category.category, category.meaning, category.likelihood, category.advice)
        assert " ".join(map(str, cells)) in said
    assert words.MODEL_CARD in said


def test_names_are_text_and_never_markup(page, pictures):
    assert "stopped <b>&é ж" in page.words["main"]
    assert page.all("b") == []
    assert "&lt;b&gt;&amp;é ж" in page.source


def test_one_picture_needs_no_overview(model, pictures, tmp_path):
    write_report(pictures[:1], tmp_path / "report.html", model)
    page = Page(tmp_path / "report.html")
    assert [link["href"] for link in page.all("a")] == ["#model-card"]
    assert "Report on scored" in page.words["header"]


# PDF


def pdf_text(path: Path) -> str:
    """Text of a PDF by the tables that its fonts carry, as a reader's search finds it."""
    raw = path.read_bytes()
    objects = {
        int(number): body
        for number, body in re.findall(rb"(?:^|\n)(\d+) 0 obj\n(.*?)\nendobj", raw, re.S)
    }
    said = []
    for body in objects.values():
        content = _content(body)
        for font, texts in re.findall(rb"/(F\d) [\d.]+ Tf ET(.*?)(?=/F\d|\Z)", content, re.S):
            for text in re.findall(rb"\(((?:\\.|[^\\()])*)\) Tj", texts, re.S):
                said.append("".join(_characters(objects, font, text)))
    return " ".join(" ".join(said).split())


def _content(body: bytes) -> bytes:
    stream = re.search(rb"stream\n(.*)\nendstream", body, re.S)
    if stream is None or b"FlateDecode" not in body or b"/Subtype /Image" in body:
        return stream[1] if stream else b""
    return zlib.decompress(stream[1])


def _characters(objects: dict[int, bytes], font: bytes, text: bytes) -> list[str]:
    number = next(m[1] for b in objects.values() if (m := re.search(rb"/%s (\d+) 0 R" % font, b)))
    table = re.search(rb"/ToUnicode (\d+) 0 R", objects[int(number)])
    assert table, f"{font!r} cannot be selected"
    pairs = re.findall(rb"<([0-9A-F]{4})> ?<([0-9A-F]{4,8})>", _content(objects[int(table[1])]))
    known = {int(a, 16): bytes.fromhex(b.decode()).decode("utf-16-be") for a, b in pairs}
    signs = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
    codes = re.sub(rb"\\(.)", lambda m: signs.get(m[1], m[1]), text, flags=re.S)
    return [known[code] for code in np.frombuffer(codes, ">u2").tolist()]


@pytest.fixture(scope="module")
def document(model, pictures, tmp_path_factory) -> Path:
    """The PDF report on the three pictures."""
    out = tmp_path_factory.mktemp("reports") / "report.pdf"
    write_report(pictures, out, model)
    return out


def test_pdf_leads_to_the_model_card_that_it_holds(document):
    said = pdf_text(document)
    assert words.CARD_LINK in said
    for line in (*INTENDED_USE, *NOT_INTENDED_USE):
        assert line in said
    assert b"/Subtype /Link" in document.read_bytes()


def test_pdf_says_what_the_json_says(document, data):
    said = pdf_text(document)
    for image in data["images"]:
        assert f"Picture {image['tile']}" in said
        assert f"a probability of {image['gate']:.3f}" in said
        assert f"Answer: {image['predicted']}, {image['title']}" in said
    for code, score in data["images"][0]["scores"].items():
        assert f"{code}, {dict(_titles())[code]} {score:.3f}" in said
    assert data["images"][2]["remarks"][0] in said
    assert data["calibration"]["note"] in said
    assert data["model"]["digest"] in said
    assert words.SIMULATED in said
    assert "They are NOT BI-RADS categories" in said
    for category in BIRADS:
        assert category.advice in said


def test_pdf_has_the_notice_on_each_page(document):
    pages = document.read_bytes().count(b"/Type /Page\n")
    assert pages >= 4
    assert pdf_text(document).count(words.NOTICE) == pages + 1  # and once in a box


def test_pdf_has_words_for_its_pictures_and_a_language(document, page):
    raw = document.read_bytes()
    assert b"/Lang (en)" in raw
    assert raw.count(b"/Subtype /Image") == len(page.all("img"))
    plain = [text.decode() for text in re.findall(rb"/Alt \(([^()]*)\)", raw)]
    coded = [
        bytes.fromhex(text.decode()).decode("utf-16") for text in re.findall(rb"/Alt <(\w*)>", raw)
    ]
    assert sorted(plain + coded) == sorted(image["alt"] for image in page.all("img"))


# What is refused, before anything is written


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "reports").mkdir()
    return tmp_path / "reports" / "report.html"


def nothing_written(out: Path) -> bool:
    return list(out.parent.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMS)
def test_a_blank_picture_is_not_scored(suffix, model, pictures, out, tmp_path, capsys):
    blank = write_picture(tmp_path / "blank.png", np.full((80, 80), 31, np.uint8))
    out = out.with_suffix(suffix)
    said = refused(capsys, pictures[0], blank, "--out", out, "--model", model)
    assert f"{blank}: blank, grey level 31 throughout; nothing was scored" in said
    assert nothing_written(out)


def test_a_blank_tile_among_others_is_named(model, out, tmp_path, capsys):
    np.save(tmp_path / "mine.npy", np.stack([tile_of(90), np.zeros((TILE, TILE), np.uint8)]))
    said = refused(capsys, tmp_path / "mine.npy", "--out", out, "--model", model)
    assert "mine.npy, tile mine/00001: blank" in said
    assert nothing_written(out)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "not a readable picture"),
        ("broken.dcm", b"DICM", "no readable DICOM scan"),
        ("broken.npy", b"\x93NUMPY", "broken.npy"),
        ("letter.txt", b"no picture", "neither a store nor a file"),
    ],
)
def test_a_file_that_is_no_picture(name, content, told, model, pictures, out, tmp_path, capsys):
    (tmp_path / name).write_bytes(content)
    said = refused(capsys, pictures[0], tmp_path / name, "--out", out, "--model", model)
    assert str(tmp_path / name) in said
    assert told in said
    assert nothing_written(out)


def test_a_colour_photograph(model, out, tmp_path, capsys):
    colour = np.stack([tile_of(90), tile_of(100), tile_of(110)], axis=2)
    photograph = write_picture(tmp_path / "photograph.png", colour)
    said = refused(capsys, photograph, "--out", out, "--model", model)
    assert "a colour picture" in said
    assert nothing_written(out)


@pytest.mark.parametrize("suffix", [".png", ".dcm"])
def test_a_whole_scan_is_not_pressed_into_a_tile(suffix, model, out, tmp_path, capsys):
    pixels = np.tile(tile_of(BRIGHT), (9, 5))
    write = write_dicom if suffix == ".dcm" else write_picture
    scan = write(tmp_path / f"scan{suffix}", pixels)
    said = refused(capsys, scan, "--out", out, "--model", model)
    assert f"{scan}: {5 * TILE} x {9 * TILE} pixels, a whole scan" in said
    assert nothing_written(out)


@pytest.mark.parametrize("name", ["report", "report.docx", "report.htm"])
def test_another_form_is_refused_with_those_there_are(name, model, pictures, out, capsys):
    said = refused(capsys, *pictures, "--out", out.with_name(name), "--model", model)
    assert all(form in said for form in FORMS)
    assert nothing_written(out)


def test_another_engine_is_refused(model, pictures, out, capsys):
    said = refused(capsys, *pictures, "--out", out, "--model", model, "--engine", "keras")
    assert "openvino, onnx" in said
    assert nothing_written(out)


def test_a_missing_model(pictures, out, tmp_path, capsys):
    said = refused(capsys, *pictures, "--out", out, "--model", tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}: no cascade" in said
    assert nothing_written(out)


def test_more_tiles_than_a_report_takes_are_sent_to_predict(model, out, tmp_path, capsys, store):
    said = refused(capsys, store.path, "--out", out, "--model", model)
    assert f"{len(store):,} tiles in all; a report takes at most {MOST}" in said
    assert "birads predict" in said
    tiles = np.stack([tile_of(90)] * (MOST // 2 + 1))
    np.save(tmp_path / "some.npy", tiles)
    assert len(read_inputs([tmp_path / "some.npy"])) == len(tiles)
    with pytest.raises(UsageError, match=str(2 * len(tiles))):
        read_inputs([tmp_path / "some.npy", tmp_path / "some.npy"])


def test_no_tile_at_all(tmp_path):
    np.save(tmp_path / "none.npy", np.empty((0, TILE, TILE), np.uint8))
    with pytest.raises((UsageError, DataError)):
        read_inputs([tmp_path / "none.npy"])


def test_an_earlier_report_stays_when_a_new_one_fails(model, pictures, out, tmp_path, capsys):
    out.write_text("earlier")
    refused(capsys, pictures[0], tmp_path / "nowhere.png", "--out", out, "--model", model)
    assert out.read_text() == "earlier"
    assert len(list(out.parent.iterdir())) == 1


# What a picture is


def test_a_dicom_picture_is_read_as_its_grey_picture_is(model, tmp_path):
    tile = tile_of(BRIGHT)
    inverted = 65535 - tile.astype(np.uint16) * 257
    dicom = write_dicom(tmp_path / "tile.dcm", inverted, PhotometricInterpretation="MONOCHROME1")
    grey = write_picture(tmp_path / "tile.png", tile)
    for path, out in ((dicom, "a.json"), (grey, "b.json")):
        write_report([path], tmp_path / out, model)
    (a,), (b,) = (json.loads((tmp_path / x).read_text())["images"] for x in ("a.json", "b.json"))
    assert {**a, "input": None} == {**b, "input": None}


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (None, []),
        ((TILE, TILE), []),
        ((600, 600), ["resized"]),
        ((600, 400), ["resized", "stretched"]),
        ((400, 600), ["resized", "stretched"]),
    ],
)
def test_a_pictures_size_is_remarked_on(size, told):
    remarks = size_remarks(size)
    assert len(remarks) == len(told)
    assert all(word in remark for word, remark in zip(told, remarks, strict=True))


def test_a_resized_picture_says_so_in_the_report(model, tmp_path):
    wide = np.hstack([tile_of(BRIGHT)] * 2)
    write_report([write_picture(tmp_path / "wide.png", wide)], tmp_path / "report.json", model)
    (image,) = json.loads((tmp_path / "report.json").read_text())["images"]
    assert image["size"] == [TILE, 2 * TILE]
    assert f"{2 * TILE} x {TILE} pixels" in image["remarks"][0]


# The command


def test_the_command_writes_single_files_without_tensorflow(model, pictures, tmp_path):
    outs = [tmp_path / "reports" / f"report{form}" for form in FORMS]
    common = ["report", *map(str, pictures), "--model", str(model), "--out"]
    code = (
        f"import sys\nfrom birads_lib.cli import main\nfor out in {list(map(str, outs))}:\n"
        f"    assert main([*{common}, out]) == 0\n"
        "assert not {'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    said = [f"{out}: report written. Research software, not a medical device." for out in outs]
    assert done.stderr.splitlines() == said
    assert sorted(outs) == sorted((tmp_path / "reports").iterdir())
    assert all(out.stat().st_size > 1000 for out in outs)


def test_json_has_the_classes_and_categories(data):
    assert [entry["code"] for entry in data["classes"]] == list(CODES)
    assert [entry["category"] for entry in data["birads"]] == [c.category for c in BIRADS]
    assert data["notice"] == words.NOTICE
