"""Mini-MIAS: where lesions lie, whose breast it is, what is cut, what is refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from birads_lib.errors import DataError
from birads_lib.tiles import TileStore, make_splits, tiles_from_mias
from birads_lib.tiles.mias import read_info, read_pgm, read_scan
from birads_lib.tiles.store import verify_store

BLACK = np.zeros((1024, 1024), np.uint8)


def pgm(pixels: np.ndarray = BLACK, header: bytes = b"P5\n1024 1024\n255\n") -> bytes:
    return header + pixels.tobytes()


def refused(made, folder) -> str:
    """Read a set that must be refused; the message, of one line, and nothing written."""
    source = made.write(folder / "films")
    with pytest.raises(DataError) as error:
        tiles_from_mias(source, folder / "store")
    assert [path.name for path in folder.iterdir()] == ["films"]
    assert "\n" not in str(error.value)
    return str(error.value)


# Where lesions lie


def test_coordinates_count_from_the_bottom_left(mias_set, tmp_path):
    x, y, radius = 200, 800, 10  # as mdb003's line says: left of the middle, near the top
    row = 1023 - y
    mias_set.scans["mdb003"][row - radius : row + radius + 1, x - radius : x + radius + 1] = 255
    store = tiles_from_mias(mias_set.write(tmp_path))
    crops = store.images[(store.table["label"] == 2).to_numpy()]
    assert len(crops) == 3
    for crop in crops:
        rows, columns = np.nonzero(crop > 180)  # the square, enlarged twofold, and whole
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (42, 42)
        assert len(rows) == 42 * 42


def test_the_square_lies_where_the_list_says(mias_set, tmp_path):
    mias_set.lines[2] = "mdb003 F CIRC B 10 0 4"  # the lower left corner of the film
    mias_set.scans["mdb003"] = BLACK.copy()
    mias_set.scans["mdb003"][1020:, 6:15] = 255
    store = tiles_from_mias(mias_set.write(tmp_path))
    crops = store.images[(store.table["label"] == 2).to_numpy()]
    assert [int((crop > 100).sum()) for crop in crops] == [8 * 18] * 3


@pytest.mark.parametrize(
    ("kind", "severity", "label"),
    [
        ("CALC", "B", 1), ("CALC", "M", 3), ("CIRC", "B", 2), ("CIRC", "M", 4),
        ("SPIC", "B", 2), ("SPIC", "M", 4), ("MISC", "B", 2), ("MISC", "M", 4),
        ("ARCH", "B", 2), ("ARCH", "M", 4), ("ASYM", "B", 2), ("ASYM", "M", 4),
    ],
)  # fmt: skip
def test_class_and_severity_give_the_label(mias_set, tmp_path, kind, severity, label):
    mias_set.lines[2] = f"mdb003 F {kind} {severity} 200 800 10"
    store = tiles_from_mias(mias_set.write(tmp_path))
    rows = store.table[store.table["filename"] == "mdb003.pgm"]
    assert rows["label"].tolist() == [label] * 3
    said = any("ARCH, ASYM" in note and note.endswith(": 1") for note in store.meta["notes"])
    assert said == (kind in ("ARCH", "ASYM"))


def test_lesions_of_different_severity_in_one_film_stay_apart(mias_set, tmp_path):
    mias_set.lines.insert(3, "mdb003 F MISC M 250 200 30")
    table = tiles_from_mias(mias_set.write(tmp_path)).table
    film = table[table["filename"] == "mdb003.pgm"]
    assert film.groupby("lesion")["label"].agg(list).tolist() == [[2, 2, 2], [4, 4, 4]]
    assert film["group"].unique().tolist() == ["mdb003-004"]


@pytest.mark.parametrize("rest", ["", " ", " *NOTE 3* "])
def test_a_lesion_without_coordinates_gives_neither_lesion_nor_normal_tiles(
    mias_set, tmp_path, rest
):
    mias_set.lines[2] = f"mdb003 F CALC B{rest}"
    store = tiles_from_mias(mias_set.write(tmp_path))
    assert "mdb003.pgm" not in set(store.table["filename"])
    assert "lesions without coordinates, not cut: 1" in store.meta["notes"]
    assert "scans of such lesions alone, which give no tile: 1" in store.meta["notes"]


def test_normal_tiles_come_from_films_without_a_lesion(mias_set, tmp_path):
    table = tiles_from_mias(mias_set.write(tmp_path)).table
    films = {f"mdb{number:03d}.pgm" for number in (1, 2, 4, 6)}
    assert set(table.loc[table["label"] == 0, "filename"]) == films
    assert set(table.loc[table["label"] == 0, "lesion"]) == {""}


def test_normal_tiles_show_breast(mias_set, tmp_path):
    store = tiles_from_mias(mias_set.write(tmp_path))
    normal = np.asarray(store.images)[(store.table["label"] == 0).to_numpy()]
    assert (normal > 50).mean(axis=(1, 2)).min() >= 0.65  # 0.7 of the blurred mask


# Whose breast


def test_two_numbers_that_follow_each_other_are_one_woman(mias_set, tmp_path):
    table = tiles_from_mias(mias_set.write(tmp_path)).table
    women = table.groupby("group")["filename"].unique()
    assert {woman: sorted(films) for woman, films in women.items()} == {
        "mdb001-002": ["mdb001.pgm", "mdb002.pgm"],
        "mdb003-004": ["mdb003.pgm", "mdb004.pgm"],
        "mdb005-006": ["mdb005.pgm", "mdb006.pgm"],
    }
    assert (table["patient"] == table["group"]).all()


@pytest.mark.parametrize(
    ("even", "odd"), [("left", "right"), ("right", "left")], ids=["as published", "turned round"]
)
def test_sides_are_as_the_list_says(mias_set, tmp_path, even, odd):
    said = {"left": "even", "right": "odd"} if even == "left" else {"left": "odd", "right": "even"}
    mias_set.header = (
        f"represents the left ({said['left']} filename numbers) and right mammograms\n"
        f"({said['right']} filename numbers) of a single patient.\n"
    )
    table = tiles_from_mias(mias_set.write(tmp_path)).table
    sides = table.groupby("filename")["side"].unique().map(list).to_dict()
    assert sides["mdb003.pgm"] == [odd.upper()]
    assert sides["mdb004.pgm"] == [even.upper()]
    assert set(table["view"]) == {"MLO"}


# Who is held out


def many_women(made):
    """Eight women, two of each lesion class, one of them with two; films all alike."""
    picture = made.scans["mdb001"]
    kinds = ["CALC B", "CIRC B", "CALC M", "CIRC M"] * 2
    made.scans = {f"mdb{number:03d}": picture for number in range(1, 17)}
    made.lines = []
    for woman, kind in enumerate(kinds):
        made.lines.append(f"mdb{2 * woman + 1:03d} F {kind} 200 500 10")
        made.lines.append(f"mdb{2 * woman + 2:03d} F NORM")
    made.lines[1] = "mdb002 F CALC M 200 500 10"
    return made


@pytest.mark.parametrize("seed", range(3))
def test_each_class_is_on_both_sides_and_no_woman_is(mias_set, tmp_path, seed):
    store = tiles_from_mias(many_women(mias_set).write(tmp_path), seed=seed)
    table = store.table
    assert (table.groupby("group")["origin"].nunique() == 1).all()
    for _, part in table.groupby("origin"):
        assert set(part["label"]) == set(range(5))
    split = make_splits(table, "official", validation=0)
    assert (split == "held-out").equals(table["origin"] == "held-out")


def test_a_quarter_of_many_women_is_held_out(mias_set, tmp_path):
    picture = mias_set.scans["mdb001"]
    mias_set.scans = {f"mdb{number:03d}": picture for number in range(1, 25, 2)}
    mias_set.lines = [f"{name} F CIRC M 200 500 10" for name in mias_set.scans]
    store = tiles_from_mias(mias_set.write(tmp_path))
    women = store.table.groupby("origin")["group"].nunique()
    assert women.to_dict() == {"training": 9, "held-out": 3}
    assert "women held out, by seed 0: 3 of 12" in store.meta["notes"]


def test_a_seed_decides_crops_and_women(mias_set, tmp_path):
    source = many_women(mias_set).write(tmp_path)
    first, again, other = (tiles_from_mias(source, seed=seed) for seed in (1, 1, 2))
    assert first.digest == again.digest
    assert set(first.table["origin"]) == set(other.table["origin"])
    assert first.digest != other.digest


def test_crops_of_a_film_do_not_depend_on_the_others(mias_set, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 1024), np.uint8)
    mias_set.scans["mdb005"] = pixels
    whole = tiles_from_mias(mias_set.write(tmp_path / "whole")).table.set_index("tile")
    del mias_set.scans["mdb003"]
    part = tiles_from_mias(mias_set.write(tmp_path / "part")).table.set_index("tile")
    crops = [tile for tile in part.index if tile.startswith("mdb005/")]
    assert len(set(part.loc[crops, "digest"])) == 3
    assert part.loc[crops, "digest"].equals(whole.loc[crops, "digest"])


# The store


def test_a_written_store_equals_one_in_memory(mias_set, tmp_path):
    source = mias_set.write(tmp_path / "films", scans="all/scans")
    kept = tiles_from_mias(source)
    tiles_from_mias(source, tmp_path / "store")
    written = TileStore.open(tmp_path / "store")
    assert written.digest == kept.digest
    assert (np.asarray(written.images) == kept.images).all()
    assert verify_store(written) == verify_store(kept) == []
    assert not written.simulated
    assert written.meta["known_counts"] == {}
    assert np.sum(list(written.meta["counts"].values())) == len(written)
    assert set(written.table["source"]) >= {"all/scans/mdb001.pgm"}


def test_enlarging_is_said(mias_set, tmp_path):
    notes = tiles_from_mias(mias_set.write(tmp_path)).meta["notes"]
    assert "enlarged from 0.2 to 0.1 mm" in notes[0]
    assert "cubic" in notes[0]


def test_progress_counts_scans(mias_set, tmp_path):
    calls = []
    tiles_from_mias(mias_set.write(tmp_path), progress=lambda *call: calls.append(call))
    assert calls == [(done, 6) for done in range(1, 7)]


# Info.txt


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mdb003 F CIRC B 200 eight 10", "200 eight 10"),
        ("mdb003 F CIRC B 200 800", "200 800"),
        ("mdb003 F CIRC B 200 800 10 5", "200 800 10 5"),
        ("mdb003 F CIRC B 200 nan 10", "outside the scan"),
        ("mdb003 F CIRC B 1024 800 10", "outside the scan"),
        ("mdb003 F CIRC B 200 -1 10", "outside the scan"),
        ("mdb003 F CIRC B 200 800 0", "outside the scan"),
        ("mdb003 F CIRC X 200 800 10", "CIRC X"),
        ("mdb003 F CIRC", "CIRC"),
        ("mdb003 F LUMP B 200 800 10", "LUMP"),
        ("mdb003 F NORM B", "NORM B"),
        ("mdb003", "expected reference, tissue and class"),
        ("mdb3 F NORM", "mdb3 F NORM"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(mias_set, tmp_path, line, said):
    mias_set.lines[2] = line
    message = refused(mias_set, tmp_path)
    number = mias_set.header.count("\n") + 3
    assert f"Info.txt: line {number}: " in message
    assert said in message


def test_a_film_cannot_be_normal_and_not(mias_set, tmp_path):
    mias_set.lines[1] = "mdb003 F NORM"
    assert "mdb003 is NORM here or in an earlier line" in refused(mias_set, tmp_path)


def test_a_repeated_line_counts_once(mias_set, tmp_path):
    mias_set.lines += ["mdb003  F CIRC B 200 800 10", "mdb001 D NORM"]
    store = tiles_from_mias(mias_set.write(tmp_path))
    assert (store.table["label"] == 2).sum() == 3
    assert "lines of Info.txt that repeat an earlier one, passed over: 2" in store.meta["notes"]


@pytest.mark.parametrize("header", ["", "only prose\n"])
def test_a_list_without_entries_is_refused(mias_set, tmp_path, header):
    mias_set.header, mias_set.lines = header, []
    assert "no line such as" in refused(mias_set, tmp_path)


def test_absent_and_unnamed_films_are_counted(mias_set, tmp_path):
    del mias_set.scans["mdb001"], mias_set.scans["mdb003"]
    mias_set.scans["mdb007"] = BLACK
    store = tiles_from_mias(mias_set.write(tmp_path))
    assert "scans named by Info.txt but absent: 2" in store.meta["notes"]
    assert "scans that Info.txt does not name, not read: 1" in store.meta["notes"]
    assert set(store.table["filename"]) == {"mdb002.pgm", "mdb004.pgm", "mdb005.pgm", "mdb006.pgm"}


def test_a_list_of_other_films_is_refused(mias_set, tmp_path):
    mias_set.scans = {"mdb099": BLACK}
    assert "names none of the 1 scans" in refused(mias_set, tmp_path)


def test_films_without_breast_give_no_store(mias_set, tmp_path):
    mias_set.scans, mias_set.lines = {"mdb001": BLACK}, ["mdb001 D NORM"]
    assert "no scan gave a tile" in refused(mias_set, tmp_path)


# Files


def test_a_film_that_stands_twice_is_refused(mias_set, tmp_path):
    mias_set.files["copy/MDB001.PGM"] = pgm()
    assert "also at" in refused(mias_set, tmp_path)


def test_a_folder_without_films_or_list_is_refused(mias_set, tmp_path):
    source = mias_set.write(tmp_path)
    (source / "Info.txt").unlink()
    with pytest.raises(DataError, match=r"Info\.txt not found"):
        tiles_from_mias(source)
    with pytest.raises(DataError, match="no such folder"):
        tiles_from_mias(tmp_path / "nowhere")


NUMBERED = np.arange(1024 * 1024, dtype=np.uint32).astype(np.uint8).reshape(1024, 1024)


@pytest.mark.parametrize(
    "header",
    [
        b"P5\n1024 1024\n255\n",
        b"P5 1024 1024 255 ",
        b"P5\n# made by hand, 7 8 9\n1024 1024\n255\n",
        b"P5\n1024 # wide\n# and\n1024\n# high\n255\n",
    ],
)
def test_headers_may_hold_comments(tmp_path, header):
    path = tmp_path / "mdb001.pgm"
    path.write_bytes(pgm(NUMBERED, header))
    pixels = read_pgm(path)
    assert pixels.dtype == np.uint8
    assert (pixels == NUMBERED).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected a binary PGM"),
        (b"P5\n1024", "expected a binary PGM"),
        (pgm(header=b"P2\n1024 1024\n255\n"), "b'P2'"),
        (pgm(header=b"\x89PNG\n1024 1024\n255\n"), "expected a binary PGM"),
        (pgm(header=b"P5\n1024 1024\n254\n"), "grey level 254"),
        (pgm(BLACK.astype(np.uint16), b"P5\n1024 1024\n65535\n"), "grey level 65535"),
        (pgm(BLACK[:512], b"P5\n1024 512\n255\n"), "1024 x 512"),
        (pgm(BLACK[:-1]), "holds 1,047,552 bytes"),
        (pgm() + b"more", "holds 1,048,580 bytes"),
    ],
)
def test_a_damaged_film_is_refused_and_nothing_is_written(mias_set, tmp_path, content, said):
    mias_set.files["mdb004.pgm"] = content
    message = refused(mias_set, tmp_path)
    assert str(tmp_path / "films" / "mdb004.pgm") in message
    assert said in message


def test_a_scan_is_enlarged_twofold(tmp_path):
    pixels = np.full((1024, 1024), 90, np.uint8)
    pixels[:512] = 30
    path = tmp_path / "mdb007.pgm"
    path.write_bytes(pgm(pixels))
    scan = read_scan(path)
    assert (scan.name, scan.patient, scan.side, scan.view) == (
        "mdb007", "mdb007-008", "RIGHT", "MLO",
    )  # fmt: skip
    assert scan.pixels.shape == (2048, 2048)
    assert (scan.pixels[:1020] == 30).all()
    assert (scan.pixels[1028:] == 90).all()


# The real scans


@pytest.fixture(scope="module")
def real(real_data, tmp_path_factory) -> TileStore:
    return tiles_from_mias(real_data / "mini-mias-sample", tmp_path_factory.mktemp("m") / "store")


def test_real_lesions_are_those_of_the_list(real, real_data):
    lines = (real_data / "mini-mias-sample" / "Info.txt").read_text(errors="replace").split("\n")
    fields = [line.split() for line in lines if line.startswith("mdb")]
    located = [f for f in fields if len(f) == 7]
    wanted = Counter((f[0], {"CALC": 1}.get(f[2], 2) + 2 * (f[3] == "M")) for f in located)
    lesions = real.table[real.table["label"] > 0].drop_duplicates("lesion")
    found = Counter(zip(lesions["filename"].str[:6], lesions["label"], strict=True))
    assert found == wanted
    assert real.table["lesion"].value_counts().drop("").unique().tolist() == [3]
    normal = {f[0] for f in fields if f[2] == "NORM"}
    assert set(real.table.loc[real.table["label"] == 0, "filename"].str[:6]) == normal


def test_the_real_set_divides_into_parts_that_show_each_class(real):
    assert real.table["group"].nunique() == 27
    split = make_splits(real.table, "official", 0.1, 0, 0.1)
    for part in ("train", "held-out"):
        assert set(real.table.loc[split == part, "label"]) == set(range(5))


def test_the_real_list_says_that_even_numbers_are_left(real_data):
    info = read_info(real_data / "mini-mias-sample" / "Info.txt")
    assert info.left_is_even
    assert len(info.findings) == 54


def test_real_breasts_lie_towards_the_chest_wall_of_their_side(real, real_data):
    for name, side in (("mdb003", "RIGHT"), ("mdb004", "LEFT"), ("mdb148", "LEFT")):
        scan = read_scan(real_data / "mini-mias-sample" / f"{name}.pgm")
        left, right = np.array_split(scan.pixels.astype(float), 2, axis=1)
        assert scan.side == side
        assert (left.mean() > right.mean()) == (side == "LEFT")
