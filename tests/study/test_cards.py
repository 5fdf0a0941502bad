"""Data card and model card: what is written is checked, what is published comes from the run."""

import copy
import re

import jsonschema
import pytest
import yaml

from birads_lib.cascade import INTENDED_USE, NOT_INTENDED_USE
from birads_lib.errors import DataError
from birads_lib.files import read_json
from birads_lib.labels import CODES
from birads_lib.study import cards
from birads_lib.tiles import TileStore, layout

CARDS = [
    (cards.read_data_card, cards.DATA_CARD),
    (cards.read_model_card, cards.MODEL_CARD),
]


@pytest.fixture(autouse=True)
def _(in_project):
    """All tests here read the project's cards."""


def test_reports_and_exports_say_what_the_model_card_says_it_is_for():
    card = cards.read_model_card()
    assert card["intended_use"] == list(INTENDED_USE)
    out_of_scope = " ".join(card["out_of_scope"])
    for use in NOT_INTENDED_USE:
        assert re.split(r"[,:]", use)[0] in out_of_scope, use


@pytest.mark.parametrize(("read", "path"), CARDS)
def test_the_cards_of_the_book_are_as_their_schemas_want_them(read, path):
    assert read() == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(("read", "path"), CARDS)
def test_a_card_without_limits_or_with_an_unknown_field_is_refused(read, path, tmp_path):
    for damage in (lambda card: card.pop("limits"), lambda card: card.update(speed="high")):
        card = yaml.safe_load(path.read_text())
        damage(card)
        (tmp_path / "card.yml").write_text(yaml.safe_dump(card))
        with pytest.raises(DataError, match=r"card\.yml: .*(limits|speed)"):
            read(tmp_path / "card.yml")


def test_a_source_must_name_its_terms_and_a_doi_that_could_be_one(tmp_path):
    card = yaml.safe_load(cards.DATA_CARD.read_text())
    for damage in ({"licence": ""}, {"doi": "see the archive"}):
        damaged = copy.deepcopy(card)
        damaged["sources"][0].update(damage)
        (tmp_path / "card.yml").write_text(yaml.safe_dump(damaged))
        with pytest.raises(DataError, match=f"sources/0/{next(iter(damage))}"):
            cards.read_data_card(tmp_path / "card.yml")


def test_versions_of_the_cards_are_that_of_the_software():
    from importlib.metadata import version

    assert cards.read_data_card()["version"] == version("birads-lib")
    assert cards.read_model_card()["version"] == version("birads-lib")


def test_what_a_card_cites_is_in_the_bibliography():
    known = (cards.DATA_CARD.parent / "references.bib").read_text()
    cited = [s["cite"] for s in cards.read_data_card()["sources"]]
    cited += [n["cite"] for n in cards.read_model_card()["networks"]]
    assert [key for keys in cited for key in keys if f"{{{key}," not in known] == []


def test_the_published_data_card_counts_the_runs_tiles(finished_run):
    card = cards.published_data_card(finished_run)
    jsonschema.validate(card, cards.PUBLISHED_DATA_SCHEMA)
    store = TileStore.open(finished_run / "store")
    assert card["run"]["data_digest"] == store.digest
    assert card["run"]["simulated"] is True
    by_label = [sum(column) for column in zip(*card["run"]["counts"].values(), strict=True)]
    assert by_label == store.counts().tolist()
    assert sum(card["kaggle_counts"]["training"]) == sum(layout.TRAINING_COUNTS)
    assert [c["code"] for c in card["classes"]] == list(CODES)


def test_the_published_model_card_has_the_runs_figures_and_digests(finished_run):
    card = cards.published_model_card(finished_run)
    jsonschema.validate(card, cards.PUBLISHED_MODEL_SCHEMA)
    written = read_json(finished_run / "results" / "metrics.json")
    stages = ["gate", "scorer", "cascade"]
    assert [m["stage"] for m in card["run"]["metrics"]] == stages
    records = sorted(written, key=lambda record: stages.index(record["stage"]))
    for stated, record in zip(card["run"]["metrics"], records, strict=True):
        assert stated["figures"]["auroc"] == record["overall"]["auroc"]
        name, of_class = next(iter(record["per_class"].items()))
        assert stated["figures"][f"sensitivity, {name}"] == of_class["sensitivity"]
    assert card["run"]["model_digest"] == "5a" * 32


def test_a_published_card_without_an_interval_or_digest_would_be_refused(finished_run):
    card = cards.published_model_card(finished_run)
    for damage in (
        lambda c: c["run"].pop("model_digest"),
        lambda c: c["run"]["metrics"][0]["figures"]["auroc"].pop("interval"),
        lambda c: c["run"].update(data_digest="unknown"),
    ):
        damaged = copy.deepcopy(card)
        damage(damaged)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(damaged, cards.PUBLISHED_MODEL_SCHEMA)
