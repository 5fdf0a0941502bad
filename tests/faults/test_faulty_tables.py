"""Tables: the case files of CBIS-DDSM (CSV), a store's and a run's Parquet."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sound
from damage import (
    Change,
    append,
    cut,
    edited,
    flip,
    folder,
    gone,
    nowhere,
    pipe,
    put,
    stretch,
    swap,
)
from watch import watched

from birads_lib.errors import DataError
from birads_lib.metrics import PREDICTION_COLUMNS, summarise
from birads_lib.study import ledger
from birads_lib.study.written import LEDGER, METRICS
from birads_lib.tiles import TileStore, cbis_labels
from birads_lib.tiles.cbis_labels import CASE_FILES
from birads_lib.tiles.store import COLUMNS, writing_store

# CSV

CASES = CASE_FILES[2].name
HEADING = "patient id,"

TEXTS = {
    "nothing is left of it": (cut(0), "holds no lesion|no column"),
    "it ends within its heading": (cut(20), "no column 'abnormality type'|no column"),
    "it ends after its heading": (
        edited(lambda text: text[: text.index(b"\n") + 1]), "holds no lesion",
    ),
    "a column is missing": (swap("pathology", "finding"), "no column 'pathology'"),
    "a column stands twice": (swap("subtlety", "pathology"), "more than one column 'pathology'"),
    "a bit of its heading is turned over": (flip(3), "no column 'patient id'"),
    "a quote never closes": (append(b'"P_1,LEFT'), "not CSV"),
    "a field is a megabyte": (append(b"x" * (1 << 20)), "not CSV"),
    "it is UTF-16": (edited(lambda text: text.decode().encode("utf-16")), "no column"),
    "it is a spreadsheet": (put(b"PK\x03\x04" + bytes(range(256)) * 9), "no column|not CSV"),
    "it is zeros": (put(bytes(4096)), "no column"),
    "it is a terabyte": (stretch(1 << 40), "expected at most 16,777,216; take the published"),
}  # fmt: skip
PLACES = {
    "it is missing": (gone, "missing; download the case description files"),
    "it is a folder": (folder, "missing; download the case description files"),
    "it is a pipe": (pipe, "missing; download the case description files"),
    "it is a link to nothing": (nowhere, "missing; download the case description files"),
}


@pytest.fixture
def counting(entrance, monkeypatch):
    """The case files, counted with few bootstrap replicates."""
    few_counts = functools.partial(cbis_labels.label_counts, replicates=20)
    monkeypatch.setattr(cbis_labels, "label_counts", few_counts)
    return entrance(sound.case_files, lambda source, out: ["cbis-labels", source, "--out", out])


@pytest.mark.parametrize(("change", "told"), TEXTS.values(), ids=TEXTS)
def test_a_damaged_case_file_is_refused(counting, change, told):
    counting.refuses(CASES, change, told)


@pytest.mark.parametrize(("change", "told"), PLACES.values(), ids=PLACES)
def test_a_case_file_that_is_not_there_is_named(counting, change, told):
    counting.refuses(CASES, change, told, blamed="")


ROWS = {
    "a row stands twice": "P_00002,LEFT,CC,mass,1,4,BENIGN,3,2",
    "a row contradicts another": "P_00002,LEFT,CC,mass,1,5,MALIGNANT,3,2",
    "a patient has no name": ",LEFT,CC,mass,2,4,BENIGN,3,2",
    "a number is none": "P_00002,LEFT,CC,mass,3,nan,BENIGN,3,2",
    "a number is infinite": "P_00002,LEFT,CC,mass,4,1e999,BENIGN,inf,-inf",
    "a row is too short": "P_00002,LEFT",
    "a row is too long": "P_00002,LEFT,CC,mass,5,4,BENIGN,3,2,,,,,,",
    "a name leads upwards": "../../P_00002,LEFT,CC,mass,6,9,BENIGN,3,2",
    "a name holds a terminal's commands": "\x1b[2J\x07P_00002,LEFT,CC,mass,7,9,BENIGN,3,2",
    "a name holds a line break": '"P_00002\nbirads: fine",LEFT,CC,mass,8,9,BENIGN,3,2',
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_that_cannot_be_counted_is_noted_in_one_line(counting, row):
    counting.write(counting.source)
    append(row.encode() + b"\n")(counting.source / CASES)
    code, _, said = counting.check.run(*counting.command(counting.source, counting.out))
    assert code == 0, said
    notes = said.splitlines()
    assert all(note.startswith("note: ") for note in notes)
    assert sum("kept apart" in note for note in notes) <= 1 or "\x1b" not in said
    assert "\x1b" not in said


# A store's Parquet

TABLE = "table.parquet"
STEP = 7 * 89  # bits of a footer
NONE = r"not readable as Parquet \(.+\); merge the tiles again"


def table(change: Callable[[pd.DataFrame], Any]) -> Change:
    """Writes the table anew, changed."""

    def write(path: Path) -> None:
        content = pd.read_parquet(path)
        changed = change(content)
        (content if changed is None else changed).to_parquet(path, index=False)

    return write


def cell(column: str, value: Any) -> Change:
    """Puts a value of any kind into the fourth row of a column."""

    def change(content: pd.DataFrame) -> pd.DataFrame:
        values = content[column].astype(object)
        values.iloc[3] = value
        return content.assign(**{column: values.convert_dtypes() if value is None else values})

    return table(change)


def many_rows(path: Path) -> None:
    """Puts a table there of three million rows, which are all alike and take few bytes."""
    once = pa.Table.from_pandas(pd.read_parquet(path).iloc[:1], preserve_index=False)
    alike = pa.array(np.zeros(3_000_000, np.int8))
    columns = zip(once.column_names, once.columns, strict=True)
    rows = {n: pa.DictionaryArray.from_arrays(alike, column.chunk(0)) for n, column in columns}
    pq.write_table(pa.table(rows), path)


STORED = {
    "nothing is left of it": (cut(0), NONE),
    "it ends within its magic bytes": (cut(2), NONE),
    "it ends after its magic bytes": (cut(4), NONE),
    "it ends within its columns": (cut(300), NONE),
    "it ends before its footer's length": (cut(-8), NONE),
    "it lacks its last byte": (cut(-1), NONE),
    "a bit of its last bytes is turned over": (flip(-1), NONE),
    "a bit of its footer's length is turned over": (flip(-6, bit=7), NONE),
    "its footer claims 2 GB": (edited(lambda own: own[:-8] + b"\xff\xff\xff\x7fPAR1"), NONE),
    "its footer is zeros": (edited(lambda own: own[:-200] + bytes(192) + own[-8:]), NONE),
    "its pages are zeros": (edited(lambda own: own[:4] + bytes(800) + own[804:]), NONE),
    "it is CSV": (put("tile,label\n0,1\n"), NONE),
    "it is a pickle": (put(b"\x80\x04\x95" + bytes(50)), NONE),
    "it is a pipe": (pipe, "no file but a folder, a pipe or a device; merge the tiles again"),
    "it is a folder": (folder, "no file but a folder, a pipe or a device; merge the tiles again"),
    "it is a link to nothing": (nowhere, "no such file; merge the tiles again"),
    "it is missing": (gone, "no such file; merge the tiles again"),
}
VALUES = {
    "a tile stands twice": (
        cell("tile", "training10_0/00000"),
        "'training10_0/00000' stands twice",
    ),
    "a tile has no name": (cell("tile", None), "column tile holds more than text"),
    "a label is 5": (cell("label", 5), "a label is not one of 0 to 4"),
    "a label is below 0": (cell("label", -1), "a label is not one of 0 to 4"),
    "a label is missing": (cell("label", None), "a label is not one of 0 to 4"),
    "a label is a fraction": (cell("label", 1.5), "a label is not one of 0 to 4"),
    "labels are no numbers": (table(lambda own: own.assign(label=np.nan)), "a label is not one"),
    "labels are infinite": (table(lambda own: own.assign(label=np.inf)), "a label is not one"),
    "labels are text": (table(lambda own: own.assign(label="2")), "a label is not one of 0 to 4"),
    "digests are numbers": (table(lambda own: own.assign(digest=7)), "column digest holds more"),
    "groups are lists": (table(lambda own: own.assign(group=[[1]] * 16)), "column group holds"),
}
SHAPES = {
    "a row is missing": (table(lambda own: own.iloc[1:]), "16 images, 15 table rows"),
    "all rows are missing": (table(lambda own: own.iloc[:0]), "16 images, 0 table rows"),
    "a column is missing": (table(lambda own: own.drop(columns="group")), r"missing: \['group'\]"),
    "it holds millions of rows": (many_rows, "16 images, 3000000 table rows"),
}


@pytest.mark.parametrize(("change", "told"), STORED.values(), ids=STORED)
def test_a_damaged_table_of_a_store_is_refused(auditing, change, told):
    auditing.refuses(TABLE, change, told)


@pytest.mark.parametrize(("change", "told"), VALUES.values(), ids=VALUES)
def test_a_value_that_cannot_be_is_refused(auditing, change, told):
    auditing.refuses(TABLE, change, told)


@pytest.mark.parametrize(("change", "told"), SHAPES.values(), ids=SHAPES)
def test_a_table_of_another_shape_is_refused(auditing, change, told):
    auditing.refuses(TABLE, change, told, blamed="")


def test_no_bit_of_a_footer_makes_opening_fail_otherwise(small_store):
    """Some hundred of its bits turned over: refused, or as many tiles come out."""
    path = small_store.path / TABLE
    whole, wrong = path.read_bytes(), []
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    tiles = small_store.table["tile"].tolist()
    with watched():
        for bit in range(0, 8 * footer, STEP):
            path.write_bytes(whole)
            flip(bit // 8 - footer, bit % 8)(path)
            try:
                found = TileStore.open(small_store.path).table
            except DataError as error:
                wrong.append(str(error))
            else:
                assert len(found) == len(tiles)
    assert wrong
    assert all("merge the tiles again" in line for line in wrong)


# A simulated set's own record

TRUTH = "truth/table.parquet"


def truth(path: Path) -> None:
    """Puts the record of a simulated set beside its tiles."""
    origins = {f"training10_{i}": 2 for i in range(5)} | {"test10": 3, "cv10": 3}
    tiles = [f"{name}/{row:05d}" for name, rows in origins.items() for row in range(rows)]
    path.parent.mkdir(exist_ok=True)
    record = pd.DataFrame({"tile": tiles, "patient": "S_1", "lesion": ""})
    record.to_parquet(path, index=False)


def false_truth(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Change:
    return lambda path: (truth(path), table(change)(path))[0]


TRUTHS = {
    "a tile is missing from it": false_truth(lambda own: own.iloc[1:]),
    "a tile stands in it twice": false_truth(lambda own: pd.concat([own, own.iloc[:1]])),
    "it lacks a column": false_truth(lambda own: own.drop(columns="patient")),
    "it is no table": put("a letter"),
}


@pytest.mark.parametrize("change", TRUTHS.values(), ids=TRUTHS)
def test_a_damaged_record_of_simulated_tiles_is_refused(kaggle_set, change):
    kaggle_set.refuses(TRUTH, change, "write the simulated set again")


# A run's predictions

PREDICTIONS = "predictions/gate.parquet"
few = functools.partial(summarise, replicates=20)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A run of one table of predictions, with metrics and ledger; do not write into it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    names = [f"t/{number}" for number in range(20)]
    some = pd.DataFrame({"tile": names, "label": [number % 5 for number in range(20)]})
    some = some.assign(**dict.fromkeys(set(COLUMNS) - {"tile", "label", "digest"}, ""))
    some["group"] = names
    with writing_store(run / "store") as writer:
        writer.append(np.zeros((20, 299, 299), np.uint8))
        writer.table, writer.meta = some, {"simulated": True, "counts": {}, "notes": []}
    scores = np.random.default_rng(0).random(len(some))
    rows = some[["tile", "group", "label"]].assign(
        split="held-out", stage="gate", protocol="official", seed=0, model="0" * 64,
        threshold=0.5, gate=scores, C2=np.nan, C3=np.nan, C4=np.nan, C5=np.nan,
    )  # fmt: skip
    (run / "predictions").mkdir()
    rows[list(PREDICTION_COLUMNS)].to_parquet(run / PREDICTIONS, index=False)
    (run / "results").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "summarise", few)
        ledger.write_results(run)
    return run


@pytest.fixture
def verifying(entrance, finished, monkeypatch):
    """The run, verified by few bootstrap replicates."""
    monkeypatch.setattr(ledger, "summarise", few)
    return entrance(
        lambda source: shutil.copytree(finished, source), lambda source, out: ["verify", source]
    )


AGAIN = "run `birads study` again"
PREDICTED = {
    "nothing is left of it": (cut(0), AGAIN),
    "it lacks its last byte": (cut(-1), AGAIN),
    "a column is missing": (table(lambda own: own.drop(columns="gate")), "columns missing: gate"),
    "a tile stands twice": (
        table(lambda own: pd.concat([own, own.iloc[:1]])), "stands twice; keep one row a tile",
    ),
    "a probability is not a number": (
        table(lambda own: own.assign(gate=np.nan)), "has no probability of the gate",
    ),
    "a probability is infinite": (
        table(lambda own: own.assign(gate=np.inf)), "a probability lies outside of 0 to 1",
    ),
    "a probability is below 0": (
        table(lambda own: own.assign(gate=-0.1)), "a probability lies outside of 0 to 1",
    ),
    "a probability is text": (table(lambda own: own.assign(gate="high")), AGAIN),
    "a label is 7": (table(lambda own: own.assign(label=7)), "label the gate does not know"),
    "a stage is unknown": (table(lambda own: own.assign(stage="guess")), "unknown 'guess'"),
    "it is missing": (gone, "no predictions; run `birads study` first"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), PREDICTED.values(), ids=PREDICTED)
def test_damaged_predictions_are_refused(verifying, change, told):
    blamed = "predictions" if "first" in told else None
    verifying.refuses(PREDICTIONS, change, told, blamed)


LEDGERS = {
    "nothing is left of it": (LEDGER, cut(0), "not readable as JSON"),
    "it ends within an entry": (LEDGER, cut(-40), "not readable as JSON"),
    "it is a list": (LEDGER, put("[]"), "lists no files"),
    "it lists no files": (LEDGER, put('{"files": 7}'), "lists no files"),
    "it names a file above the run": (
        LEDGER, swap(METRICS, "../../secret"), "names '../../secret', which lies outside",
    ),
    "it names a file of the system": (
        LEDGER, swap(METRICS, "/etc/passwd"), "names '/etc/passwd', which lies outside",
    ),
    "its metrics are no list": (METRICS, put('{"gate": 1}'), "no records of metrics"),
    "its metrics are of nothing": (METRICS, put("[{}]"), "no records of metrics"),
    "its metrics hold what is no number": (METRICS, swap('"value": 0', '"value": NaN'), "finite"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change", "told"), LEDGERS.values(), ids=LEDGERS)
def test_a_damaged_ledger_is_refused(verifying, name, change, told):
    verifying.refuses(name, change, f"{told}.*; .*again")
