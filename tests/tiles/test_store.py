"""The store: opened without reading, sliced lazily, checked tile by tile."""

from __future__ import annotations

import errno
import os

import numpy as np
import pandas as pd
import pytest

from birads_lib.cli import main
from birads_lib.errors import DataError, DiskFullError
from birads_lib.files import read_json, write_json
from birads_lib.tiles import TileStore
from birads_lib.tiles import store as module
from birads_lib.tiles.layout import IMAGE_BYTES, TILE
from birads_lib.tiles.store import (
    COLUMNS,
    IMAGES,
    META,
    TABLE,
    ImageRows,
    collect_store,
    digest_of,
    load_array,
    open_images,
    streamed,
    verify_store,
    writing_store,
)


def refused(path) -> str:
    """Open what must be refused; the message, of one line."""
    with pytest.raises(DataError) as error:
        TileStore.open(path)
    assert "\n" not in str(error.value)
    return str(error.value)


# Reading


def test_opening_maps_the_images_and_reads_the_table(store):
    again = TileStore.open(store.path)
    assert isinstance(again.images, np.memmap)
    assert not again.images.flags.writeable
    assert again.images.shape == (len(again), TILE, TILE)
    assert again.images.dtype == np.uint8
    assert again.table.equals(store.table)
    assert again.meta == store.meta


def test_a_path_given_as_text_opens_too(store):
    assert len(TileStore.open(str(store.path))) == len(store)


def test_length_and_counts_are_those_of_the_table(store):
    assert len(store) == len(store.table) == store.counts().sum()
    assert store.counts().dtype == np.int64
    for label, count in enumerate(store.counts()):
        assert (store.table["label"] == label).sum() == count > 0


def test_counts_have_five_entries_where_the_last_classes_are_empty(store):
    normals = store.subset(store.table["label"] == 0)
    assert normals.counts().tolist() == [len(normals), 0, 0, 0, 0]


def test_repr_names_size_kind_and_counts(small_store, store):
    assert repr(small_store) == (
        "TileStore(16 real tiles: C1 8, C2 2, C3 2, C4 2, C5 2; small-store)"
    )
    assert f"{len(store)} simulated tiles" in repr(store)


@pytest.mark.parametrize("column", COLUMNS)
def test_digest_covers_every_column_and_the_order(small_store, column):
    table = small_store.table
    assert digest_of(table) == small_store.digest
    assert digest_of(table.iloc[::-1]) != small_store.digest
    changed = table.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[3, column] = "another"
    assert digest_of(changed) != small_store.digest


def test_rows_of_finds_tiles_in_the_order_asked(small_store):
    tiles = ["cv10/00002", "training10_0/00000", "test10/00001"]
    assert small_store.rows_of(tiles).tolist() == [15, 0, 11]
    assert small_store.rows_of([]).tolist() == []


def test_rows_of_an_unknown_tile_is_a_key_error(small_store):
    with pytest.raises(KeyError, match="test10/00099"):
        small_store.rows_of(["test10/00000", "test10/00099"])


# Subsets


@pytest.fixture
def no_whole_reads(monkeypatch):
    """Makes it an error to read all rows of a subset at once."""

    def refuse(self, dtype=None, copy=None):
        raise AssertionError("all images were read")

    monkeypatch.setattr(ImageRows, "__array__", refuse)


def test_a_subset_holds_the_right_rows(small_store):
    lesions = small_store.subset(small_store.table["label"] > 0)
    rows = np.flatnonzero(small_store.table["label"] > 0)
    assert lesions.table["tile"].tolist() == small_store.table["tile"].iloc[rows].tolist()
    assert lesions.table.index.tolist() == list(range(8))
    assert (np.asarray(lesions.images) == small_store.images[rows]).all()
    assert len(lesions) == len(lesions.images) == 8
    assert lesions.images.shape == (8, TILE, TILE)
    assert lesions.images.dtype == np.uint8
    assert lesions.rows_of(["test10/00002"]).tolist() == [5]


def test_a_subset_reads_only_what_is_asked_for(small_store, no_whole_reads):
    lesions = small_store.subset((small_store.table["label"] > 0).to_numpy())
    grey = [12, 14, 16, 18, 101, 102, 111, 112]
    assert lesions.images[2][1, 1] == grey[2]
    assert lesions.images[-1].shape == (TILE, TILE)
    assert lesions.images[1:4][:, 1, 1].tolist() == grey[1:4]
    assert lesions.images[[7, 0]][:, 1, 1].tolist() == [grey[7], grey[0]]
    assert lesions.images[np.array(grey) > 100][:, 1, 1].tolist() == grey[4:]


def test_a_subset_of_a_subset_reads_nothing_either(small_store, no_whole_reads):
    lesions = small_store.subset(small_store.table["label"] > 0)
    masses = lesions.subset(lesions.table["label"].isin([2, 4]))
    assert masses.table["tile"].tolist() == [
        "training10_2/00000",
        "training10_4/00000",
        "test10/00001",
        "test10/00002",
    ]
    assert masses.images[:][:, 1, 1].tolist() == [14, 18, 101, 102]


def test_an_empty_subset_is_a_store_without_tiles(small_store):
    nothing = small_store.subset(np.zeros(16, bool))
    assert len(nothing) == 0
    assert nothing.counts().tolist() == [0] * 5
    assert np.asarray(nothing.images).shape == (0, TILE, TILE)


def test_a_subset_can_be_verified(small_store):
    assert verify_store(small_store.subset(np.ones(16, bool))) == []


# Checking


def test_a_store_as_written_has_nothing_to_report(store):
    assert verify_store(store) == []


@pytest.mark.parametrize("row", [0, 7, 15])
def test_a_flipped_byte_names_the_tile(small_store, flip_byte, row):
    flip_byte(small_store.path / IMAGES, -(16 - row) * TILE * TILE + 1000)
    found = verify_store(TileStore.open(small_store.path))
    assert len(found) == 1
    assert f"tile {small_store.table['tile'][row]} (row {row})" in found[0]
    assert str(small_store.path / IMAGES) in found[0]


@pytest.mark.parametrize("column", ["tile", "label", "digest"])
def test_a_changed_table_is_reported_and_not_opened(small_store, column):
    table = small_store.table.copy()
    table.loc[3, column] = 1 if column == "label" else "another"
    changed = TileStore(small_store.path, small_store.images, table, small_store.meta)
    assert f"{small_store.path / TABLE}: the table has changed" in verify_store(changed)
    table.to_parquet(small_store.path / TABLE)
    assert f"{small_store.path / TABLE}: the table has changed" in refused(small_store.path)


def test_another_digest_in_the_description_is_not_opened(small_store):
    path = small_store.path / META
    write_json(path, {**read_json(path), "digest": "0" * 64})
    assert f"or {META} has" in refused(small_store.path)


# What cannot be opened


def test_a_missing_store_is_refused_with_the_command_that_makes_one(tmp_path):
    said = refused(tmp_path / "store")
    assert str(tmp_path / "store") in said
    assert "birads merge" in said


@pytest.mark.parametrize("name", [IMAGES, TABLE, META])
def test_a_missing_file_is_named(small_store, name):
    (small_store.path / name).unlink()
    assert str(small_store.path / name) in refused(small_store.path)


@pytest.mark.parametrize("name", [IMAGES, TABLE, META])
@pytest.mark.parametrize(
    "content",
    [b"", b"neither array, table nor JSON", b"PK\x03\x04" * 9],
    ids=["empty", "text", "half a zip"],
)
def test_a_broken_file_is_named(small_store, name, content):
    (small_store.path / name).write_bytes(content)
    assert str(small_store.path / name) in refused(small_store.path)


@pytest.mark.parametrize("meta", [[], {}, {"digest": "0" * 64}], ids=["list", "empty", "bare"])
def test_a_description_without_its_entries_is_refused(small_store, meta):
    write_json(small_store.path / META, meta)
    assert str(small_store.path / META) in refused(small_store.path)


@pytest.mark.parametrize("name", [IMAGES, TABLE, META])
def test_a_truncated_file_is_named(small_store, name):
    path = small_store.path / name
    path.write_bytes(path.read_bytes()[:-20])
    assert str(path) in refused(small_store.path)


@pytest.mark.parametrize("rows", [15, 17])
def test_table_and_images_that_disagree_are_refused(small_store, rows):
    table = pd.concat([small_store.table] * 2).iloc[:rows]
    table.to_parquet(small_store.path / TABLE)
    said = refused(small_store.path)
    assert "16 images" in said
    assert f"{rows} table rows" in said


def test_a_missing_column_is_named(small_store):
    small_store.table.drop(columns=["group", "view"]).to_parquet(small_store.path / TABLE)
    said = refused(small_store.path)
    assert "group" in said
    assert "view" in said


@pytest.mark.parametrize("images", [np.zeros((16, 8, 8), np.uint8), np.zeros((16, TILE, TILE))])
def test_images_of_another_form_are_refused(small_store, images):
    np.save(small_store.path / IMAGES, images)
    assert "expected uint8" in refused(small_store.path)


# Arrays


@pytest.mark.parametrize("shape", [(2, TILE, TILE), (2, TILE, TILE, 1)])
def test_images_open_with_and_without_a_channel_axis(tmp_path, shape):
    np.save(tmp_path / "tiles.npy", np.ones(shape, np.uint8))
    images = open_images(tmp_path / "tiles.npy")
    assert isinstance(images, np.memmap)
    assert images.shape == (2, TILE, TILE)


def test_an_archive_of_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "tiles.npz", np.ones(3))
    with pytest.raises(DataError, match="an archive, not one array"):
        load_array(tmp_path / "tiles.npz")


# Writing


def test_a_new_store_is_whole_and_gets_digests(tmp_path, small_store):
    table = small_store.table.drop(columns="digest").iloc[:2]
    with writing_store(tmp_path / "new") as writer:
        writer.append(small_store.images[:2])
        writer.table, writer.meta = table, {"simulated": False, "counts": {}, "notes": []}
    new = TileStore.open(tmp_path / "new")
    assert new.table["digest"].tolist() == small_store.table["digest"].tolist()[:2]
    assert read_json(tmp_path / "new" / META)["digest"] == digest_of(new.table)
    assert verify_store(new) == []


def test_a_store_whose_writing_fails_leaves_nothing(tmp_path):
    def write_half():
        with writing_store(tmp_path / "new") as writer:
            writer.append(np.full((1, 299, 299), 7, np.uint8))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_rows_of_a_memory_map_are_read_from_its_file(small_store):
    images = small_store.images
    whole = np.array(images)
    for part, expected in ((images, whole), (images[3:9], whole[3:9]), (images[-1:], whole[-1:])):
        rows = streamed(part)
        np.testing.assert_array_equal(rows[:], expected)
        np.testing.assert_array_equal(rows[[-1, 0]], expected[[-1, 0]])
        np.testing.assert_array_equal(rows[0], expected[0])
        assert rows[0:0].shape == (0, 299, 299)
    order = np.array([5, 6, 7, 2, 2, 11])
    np.testing.assert_array_equal(streamed(images).rows(order)[:], whole[order])
    np.testing.assert_array_equal(streamed(images)[order.reshape(2, 3)], whole[order.reshape(2, 3)])


def test_rows_of_an_array_in_memory_are_its_rows():
    images = np.arange(4, dtype=np.uint8).repeat(9).reshape(4, 3, 3)
    rows = streamed(images).where(np.array([True, False, False, True]))
    np.testing.assert_array_equal(rows[:], images[[0, 3]])


def test_a_file_cut_short_after_it_was_opened_is_named(small_store):
    path = small_store.path / "images.npy"
    rows = streamed(small_store.images)
    os.truncate(path, path.stat().st_size - 299)
    with pytest.raises(DataError, match=r"images\.npy: cut short"):
        rows[-1]


# Blocks of tiles with their rows


class FullDisk:
    """A file on a disk with room for so many bytes; what waits to be written has none either."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.room -= memoryview(data).nbytes
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def writelines(self, rows):
        for row in rows:
            self.write(row)

    def close(self):
        self.file.close()
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def small_disk(monkeypatch):
    """Makes the disk hold one tile of a store's images."""

    def opened(*how):
        return FullDisk(open(*how), room=IMAGE_BYTES)

    monkeypatch.setattr(module, "open", opened, raising=False)


def test_a_disk_that_fills_is_told_in_one_line_and_nothing_is_left(
    small_disk, small_set, tmp_path, capsys
):
    source = small_set.write(tmp_path / "set")
    before = sorted(tmp_path.iterdir())
    assert main(["merge", str(source), str(tmp_path / "store")]) == 1
    assert capsys.readouterr().err == (
        f"birads: {tmp_path / 'store'}: No space left on device; the store needs "
        f"{16 * IMAGE_BYTES:,} bytes there; make room or name another place\n"
    )
    assert sorted(tmp_path.iterdir()) == before


def test_an_earlier_store_stays_where_the_disk_fills(small_store, tmp_path, small_disk, listing):
    before = listing(small_store.path)
    with pytest.raises(DiskFullError, match="needs more than 178,802 bytes"):
        collect_store(small_store.path, two_blocks(small_store.table), finished)
    assert listing(small_store.path) == before


def two_blocks(table):
    """The first three tiles of the hand-made set, two and one, with their rows."""
    rows = table.drop(columns="digest").to_dict("records")
    images = np.stack([np.full((TILE, TILE), grey, np.uint8) for grey in (5, 6, 7)])
    yield images[:2], rows[:2]
    yield images[2:], rows[2:3]


def finished(table):
    return table, {"simulated": False, "counts": {}, "notes": [f"{len(table)} rows"]}


def test_blocks_make_the_same_store_in_memory_and_in_a_folder(tmp_path, small_store):
    kept = collect_store(None, two_blocks(small_store.table), finished)
    written = collect_store(tmp_path / "new", two_blocks(small_store.table), finished)
    assert [int(image.max()) for image in kept.images] == [5, 6, 7]
    assert (np.asarray(written.images) == kept.images).all()
    assert written.digest == kept.digest
    assert written.meta == kept.meta
    assert verify_store(kept) == []
    assert len(kept.subset(np.array([True, False, True])).images) == 3 - 1


def test_blocks_refused_at_the_end_leave_nothing(tmp_path, small_store):
    def refuse(table):
        raise DataError(f"{len(table)} rows")

    with pytest.raises(DataError, match="3 rows"):
        collect_store(tmp_path / "new", two_blocks(small_store.table), refuse)
    assert not (tmp_path / "new").exists()
    assert not any(path.name.startswith(".new") for path in tmp_path.iterdir())
