"""What the book offers for download: all of a run's tables, and never tiles of women."""

import hashlib
import shutil

import jsonschema
import pandas as pd
import pytest

from birads_lib import deployment
from birads_lib.errors import DataError
from birads_lib.files import read_json, sha256, write_json
from birads_lib.study import cards, downloads
from birads_lib.study.profiles import CHAPTERS
from birads_lib.tiles.store import META


@pytest.fixture(scope="module")
def offered(finished_run, tmp_path_factory):
    """The downloads of the finished run."""
    target = tmp_path_factory.mktemp("extra") / "downloads"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cards.__file__.split("birads_lib")[0])
        downloads.copy_downloads(finished_run, target)
    return target


def test_predictions_are_offered_as_they_are_and_as_csv(finished_run, offered):
    for path in (finished_run / "predictions").iterdir():
        copy = offered / "predictions" / path.name
        assert sha256(copy) == sha256(path)
        table, read = pd.read_parquet(copy), pd.read_csv(copy.with_suffix(".csv"))
        pd.testing.assert_frame_equal(read, table, check_dtype=False)


def test_each_chapter_is_offered_executed_and_as_script(finished_run, offered):
    for chapter in CHAPTERS:
        executed = finished_run / "notebooks" / f"{chapter}.ipynb"
        assert (offered / "notebooks" / executed.name).read_bytes() == executed.read_bytes()
        assert (offered / "notebooks" / f"{chapter}.py").stat().st_size > 500


def test_the_cards_are_offered_whole(offered):
    data, model = (read_json(offered / f"{kind}_card.json") for kind in ("data", "model"))
    for card, kind in ((data, "data"), (model, "model")):
        jsonschema.validate(card, read_json(offered / f"{kind}_card.schema.json"))
    assert read_json(offered / "manifest.schema.json") == read_json(deployment.SCHEMA)


def test_a_card_that_breaks_its_schema_is_not_offered(finished_run, tmp_path):
    card = cards.published_data_card(finished_run)
    card["run"]["tiles"] = 0
    with pytest.raises(DataError, match=r"card\.json: run/tiles: 0 is less than the minimum"):
        downloads.write_card(tmp_path / "card.json", card, cards.PUBLISHED_DATA_SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_digests_is_true_and_names_every_file(offered):
    lines = (offered / "SHA256SUMS").read_text().splitlines()
    listed = dict(reversed(line.split("  ", 1)) for line in lines)
    files = {p.relative_to(offered).as_posix() for p in offered.rglob("*") if p.is_file()}
    assert listed.keys() == files - {"SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256((offered / name).read_bytes()).hexdigest() == digest


def test_figures_are_offered_with_their_descriptions_and_tables_as_csv(offered):
    names = {path.name for path in (offered / "figures").iterdir()}
    assert {"curve.svg", "tiles.svg", "counts.csv"} <= names
    assert {"curve.json", "tiles.json", "scan.json", "counts.json"} <= names


@pytest.mark.parametrize("place", ["store", "external/store"])
def test_a_run_with_real_tiles_offers_no_drawing_that_holds_pixels(copied, place):
    assert downloads.all_simulated(copied)
    real = copied / place
    source = real.resolve() if real.exists() else (copied / "store").resolve()
    real.unlink(missing_ok=True)
    shutil.copytree(source, real)
    write_json(real / META, {**read_json(real / META), "simulated": False})
    left = {path.name for path in downloads.figure_files(copied)}
    assert not {"tiles.svg", "scan.svg"} & left
    assert {"curve.svg", "tiles.json", "counts.csv"} <= left, "lines and letters are not tiles"


def test_no_store_and_no_picture_is_among_them(offered):
    endings = {path.suffix for path in offered.rglob("*") if path.is_file()}
    assert endings == {".csv", ".ipynb", ".json", ".parquet", ".py", ".svg", ""}
