"""Whatever is written is read back: records, arrays, films, their list, stores."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from birads_lib.errors import DataError
from birads_lib.tiles import TileStore, mias, tfrecord
from birads_lib.tiles.mias import Finding, read_info, read_pgm
from birads_lib.tiles.store import COLUMNS, digest_of, load_array, verify_store, writing_store
from birads_lib.tiles.tfrecord import (
    ExampleDecoder,
    count_records,
    decode_example,
    encode_example,
    frame,
    read_blocks,
    read_payloads,
)

settings.register_profile(
    "battery",
    max_examples=60,
    deadline=None,
    derandomize=True,  # the same on every machine
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("battery")

NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
EXAMPLES = st.dictionaries(NAMES, NUMBERS | st.binary(max_size=40), max_size=5)

# Records


@given(st.lists(st.binary(max_size=60), max_size=8), st.integers(1, 200))
def test_records_come_back_in_order_however_far_one_reads_ahead(tmp_path, payloads, ahead):
    path = tmp_path / "any.tfrecords"
    path.write_bytes(b"".join(map(frame, payloads)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfrecord, "READ_AHEAD", ahead)
        assert list(read_payloads(path)) == payloads
    assert count_records(path) == len(payloads)


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5), st.data())
def test_a_file_that_is_cut_gives_the_records_before_and_an_error(tmp_path, payloads, data):
    path = tmp_path / "cut.tfrecords"
    frames = [frame(payload) for payload in payloads]
    ends = np.cumsum([0, *map(len, frames)]).tolist()
    cut = data.draw(st.integers(0, ends[-1]))
    path.write_bytes(b"".join(frames)[:cut])
    whole = sum(end <= cut for end in ends) - 1
    reading = read_payloads(path)
    assert list(itertools.islice(reading, whole)) == payloads[:whole]
    if cut in ends:
        assert list(reading) == []
    else:
        with pytest.raises(DataError, match=f"record {whole} at byte {ends[whole]} is truncated"):
            next(reading)


@given(EXAMPLES)
def test_an_example_comes_back(features):
    assert decode_example(encode_example(features)) == features


@given(st.lists(EXAMPLES, min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=8))
def test_examples_of_several_builds_are_decoded_as_one_by_one(tmp_path, kinds, order):
    path = tmp_path / "mixed.tfrecords"
    given_ones = [kinds[i % len(kinds)] for i in order]
    path.write_bytes(b"".join(frame(encode_example(one)) for one in given_ones))
    decode, found, first = ExampleDecoder(), {}, 0
    for block in read_blocks(path):
        for examples in decode(block):
            for position, row in enumerate(examples.rows.tolist()):
                found[first + row] = {
                    name: None if values is None else values[position].tolist()
                    for name, values in examples.features.items()
                }
        first += len(block)
    expected = [
        {name: value if isinstance(value, int) else list(value) for name, value in one.items()}
        for one in given_ones
    ]
    assert [found[row] for row in range(len(given_ones))] == expected


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_records_or_refused(tmp_path, content):
    path = tmp_path / "any.tfrecords"
    path.write_bytes(content)
    payloads = []
    with contextlib.suppress(DataError):
        for payload in read_payloads(path):
            payloads.append(payload)
    assert content.startswith(b"".join(map(frame, payloads)))


# Arrays

TYPES = arrays.scalar_dtypes().filter(lambda dtype: dtype.kind not in "mM")


@given(arrays.arrays(TYPES, arrays.array_shapes(min_dims=0, min_side=0)), st.booleans())
def test_an_array_comes_back_whatever_its_type_and_order(tmp_path, values, turned):
    path = tmp_path / "any.npy"
    given_one = np.asfortranarray(values) if turned else values
    np.save(path, given_one)
    found = load_array(path)
    assert (found.dtype, found.shape) == (given_one.dtype, given_one.shape)
    assert found.tobytes() == given_one.tobytes()


# Films and their list

GAPS = st.text(st.sampled_from(" \t\r\n"), min_size=1, max_size=3)
COMMENTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9)
BREAKS = GAPS | st.tuples(GAPS, COMMENTS).map(lambda parts: f"{parts[0]}#{parts[1]}\n")


@given(BREAKS, BREAKS, BREAKS, st.sampled_from(" \t\n"), st.integers(0, 2**32 - 1))
def test_a_film_comes_back_whatever_parts_its_header(tmp_path, first, second, third, end, seed):
    side = 16
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    path = tmp_path / "mdb001.pgm"
    header = f"P5{first}{side}{second}{side}{third}255{end}"
    path.write_bytes(header.encode() + pixels.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mias, "SCAN_SIDE", side)
        assert (read_pgm(path) == pixels).all()


PLACES = st.tuples(st.integers(0, 1023), st.integers(0, 1023), st.integers(1, 1023))
FINDINGS = st.builds(
    Finding,
    st.sampled_from(sorted(mias.LESION_TYPES)),
    st.sampled_from("BM"),
    st.none() | PLACES.map(lambda place: tuple(map(float, place))),
)
LISTS = st.dictionaries(
    st.integers(1, 322).map(lambda number: f"mdb{number:03d}"),
    st.lists(FINDINGS, max_size=3, unique_by=lambda finding: finding),
    min_size=1,
    max_size=8,
)
PROSE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def written(name: str, finding: Finding | None, gap: str) -> str:
    """A line of the list, where coordinates count from the lower edge."""
    if finding is None:
        return gap.join([name, "G", "NORM"])
    place = []
    if finding.circle:
        column, row, radius = finding.circle
        place = [f"{column:g}", f"{row:g}", f"{radius:g}"]
    return gap.join([name, "G", finding.kind, finding.severity, *place])


def turned(finding: Finding) -> Finding:
    """The finding as it is read: its place in the middle of a pixel, counted from above."""
    if finding.circle is None:
        return finding
    column, row, radius = finding.circle
    return Finding(finding.kind, finding.severity, (column + 0.5, 1023.5 - row, radius))


@given(LISTS, PROSE, st.sampled_from([" ", "  ", "\t"]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_list_of_findings_comes_back(tmp_path, findings, prose, gap, line_end):
    assume("mdb" not in prose)
    assume("left" not in prose)
    lines = [
        written(name, finding, gap)
        for name, listed in findings.items()
        for finding in listed or [None]
    ]
    path = tmp_path / "Info.txt"
    path.write_bytes(line_end.join([prose, *lines, ""]).encode())
    found = read_info(path)
    expected = {
        name: tuple(
            Finding(
                f.kind,
                f.severity,
                f.circle and (f.circle[0] + 0.5, 1023.5 - f.circle[1], f.circle[2]),
            )
            for f in listed
        )
        for name, listed in findings.items()
    }
    assert found.findings == expected
    assert found.repeated == 0


# Stores

TEXTS = [column for column in COLUMNS if column not in ("tile", "label", "digest")]
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
ROWS = st.fixed_dictionaries(
    {"tile": CELLS, "label": st.integers(0, 4), **dict.fromkeys(TEXTS, CELLS)}
)
TABLES = st.lists(ROWS, min_size=1, max_size=4, unique_by=lambda row: row["tile"])


def store_of(path: Path, rows: list[dict], seed: int = 0) -> TileStore:
    shutil.rmtree(path, ignore_errors=True)
    images = np.random.default_rng(seed).integers(0, 256, (len(rows), 299, 299), np.uint8)
    with writing_store(path) as writer:
        writer.append(images)
        writer.table = pd.DataFrame(rows)
        writer.meta = {"simulated": False, "counts": {}, "notes": []}
    return TileStore.open(path)


@settings(max_examples=25)
@given(TABLES, st.integers(0, 2**32 - 1))
def test_a_store_comes_back_and_is_as_written(tmp_path, rows, seed):
    store = store_of(tmp_path / "store", rows, seed)
    images = np.random.default_rng(seed).integers(0, 256, (len(rows), 299, 299), np.uint8)
    assert (np.asarray(store.images) == images).all()
    kept = store.table[["tile", "label", *TEXTS]].to_dict("records")
    assert kept == [{key: row[key] for key in ("tile", "label", *TEXTS)} for row in rows]
    assert verify_store(store) == []


@settings(max_examples=25)
@given(TABLES, st.data())
def test_a_cell_that_changed_is_reported(tmp_path, rows, data):
    store = store_of(tmp_path / "store", rows)
    row = data.draw(st.integers(0, len(rows) - 1))
    column, value = data.draw(st.sampled_from(TEXTS)), data.draw(CELLS)
    assume(value != rows[row][column])
    store.table.loc[row, column] = value
    assert verify_store(store) == [f"{store.path / 'table.parquet'}: the table has changed"]


@given(CELLS, CELLS, st.sampled_from("\t\n\\"))
def test_no_two_tables_have_one_digest(first, second, parting):
    """What parts columns and rows, within a cell, moves nothing from one column to the next."""
    row = dict.fromkeys(COLUMNS, "x")
    one = pd.DataFrame([{**row, "group": f"{first}{parting}{second}", "lesion": ""}])
    other = pd.DataFrame([{**row, "group": first, "lesion": f"{second}{parting}"}])
    assert digest_of(one) != digest_of(other)


def test_a_tab_within_a_name_is_no_next_column():
    row = dict.fromkeys(COLUMNS, "x")
    one = pd.DataFrame([{**row, "group": "a\tb", "lesion": "c"}])
    other = pd.DataFrame([{**row, "group": "a", "lesion": "b\tc"}])
    assert digest_of(one) != digest_of(other)
