"""Batches for Keras: order, balance, turns, noise, sizes, and what decides a training."""

from __future__ import annotations

import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.tiles import feed, resizing
from birads_lib.tiles.feed import TileBatches, add_noise, random_patches
from birads_lib.tiles.resizing import network_input, resize_tiles
from birads_lib.tiles.store import streamed

SIDE = 8
SHAPE = (SIDE, SIDE, 1)


@pytest.fixture
def tiles() -> np.ndarray:
    """Ten tiles; tile ``i`` is grey level ``10 i`` all over."""
    return np.repeat(np.arange(0, 100, 10, np.uint8), SIDE * SIDE).reshape(10, SIDE, SIDE)


@pytest.fixture
def noisy_tiles() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, 12, 12), dtype=np.uint8)


def labels_of(batches: TileBatches) -> np.ndarray:
    return np.concatenate([batches[i][1] for i in range(len(batches))])


def inputs_of(batches: TileBatches) -> np.ndarray:
    return np.concatenate([batches[i][0] for i in range(len(batches))])


def numbered(tiles: np.ndarray, seed: int | None = 0, **options) -> TileBatches:
    """Batches of three whose labels are the tiles' own numbers."""
    return TileBatches(tiles, np.arange(len(tiles)), SHAPE, batch_size=3, seed=seed, **options)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_every_tile_comes_once_an_epoch(tiles, seed):
    batches = numbered(tiles, seed)
    assert len(batches) == 4
    assert [len(batches[i][1]) for i in range(4)] == [3, 3, 3, 1]
    for epoch in range(3):
        batches.start_epoch(epoch)
        assert sorted(labels_of(batches)) == list(range(10))


def test_label_stays_with_its_tile(tiles):
    batches = numbered(tiles, seed=5, turn=True)
    np.testing.assert_array_equal(inputs_of(batches)[:, 0, 0, 0], 10 * labels_of(batches))


def test_epoch_is_decided_by_seed_and_number_alone(noisy_tiles):
    options = {"turn": True, "noise": 9.0}
    walked, fresh = numbered(noisy_tiles, 4, **options), numbered(noisy_tiles, 4, **options)
    for epoch in range(4):
        walked.start_epoch(epoch)
        inputs_of(walked)
    fresh.start_epoch(3)
    np.testing.assert_array_equal(labels_of(fresh), labels_of(walked))
    np.testing.assert_array_equal(inputs_of(fresh), inputs_of(walked))


def test_batch_is_the_same_however_often_and_in_whatever_order_it_is_asked_for(noisy_tiles):
    batches = numbered(noisy_tiles, 4, turn=True, noise=9.0)
    first = [batches[i][0] for i in range(len(batches))]
    again = [batches[i][0] for i in reversed(range(len(batches)))]
    for one, other in zip(first, reversed(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_epochs_and_seeds_differ(tiles):
    batches = numbered(tiles, seed=0)
    orders = []
    for epoch in range(3):
        batches.start_epoch(epoch)
        orders.append(tuple(labels_of(batches)))
    orders.append(tuple(labels_of(numbered(tiles, seed=1))))
    assert len(set(orders)) == 4


def test_without_a_seed_tiles_come_in_order_and_untouched(noisy_tiles):
    targets = np.arange(10)
    batches = TileBatches(noisy_tiles, targets, (12, 12, 1), 3, None, turn=True, noise=50)
    np.testing.assert_array_equal(labels_of(batches), targets)
    np.testing.assert_array_equal(inputs_of(batches)[..., 0], noisy_tiles)


def test_batch_has_the_networks_shape_and_range(noisy_tiles):
    x, y = TileBatches(noisy_tiles, np.arange(10), (6, 5, 3), batch_size=4, seed=0)[0]
    assert x.shape == (4, 6, 5, 3)
    assert x.dtype == np.float32
    assert y.shape == (4,)
    assert y.dtype == np.int64
    assert x.min() >= 0
    assert x.max() <= 255


def test_grey_is_repeated_to_three_channels(noisy_tiles):
    x = network_input(noisy_tiles, 3)
    assert x.shape == (10, 12, 12, 3)
    assert x.dtype == np.float32
    for channel in range(3):
        np.testing.assert_array_equal(x[..., channel], noisy_tiles)


def test_image_targets_come_at_the_networks_size_with_one_channel(noisy_tiles):
    x, y = TileBatches(noisy_tiles, 255 - noisy_tiles, (6, 6, 1), batch_size=4, seed=None)[0]
    assert y.shape == (4, 6, 6, 1)
    assert y.dtype == np.float32
    np.testing.assert_allclose(x + y, 255, atol=1)


def test_memory_map_gives_what_the_array_gives(noisy_tiles, tmp_path):
    np.save(tmp_path / "tiles.npy", noisy_tiles)
    mapped = np.load(tmp_path / "tiles.npy", mmap_mode="r")
    options = {"batch_size": 4, "seed": 3, "turn": True}
    from_map = TileBatches(mapped, np.arange(10), (6, 6, 1), **options)
    from_array = TileBatches(noisy_tiles, np.arange(10), (6, 6, 1), **options)
    np.testing.assert_array_equal(inputs_of(from_map), inputs_of(from_array))
    assert from_map.digest() == from_array.digest()


def unequal(count: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Tiny tiles with labels 0, 1 and 3 in the proportion 16 : 3 : 1."""
    labels = np.repeat([0, 1, 3], [count * 16 // 20, count * 3 // 20, count // 20])
    return np.zeros((count, 2, 2), np.uint8), labels


def test_weights_give_each_class_the_same_sum():
    images, labels = unequal()
    batches = TileBatches(images, labels, (2, 2, 1), batch_size=64, seed=0, balance="weights")
    parts = [batches[i] for i in range(len(batches))]
    y, weight = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
    sums = [weight[y == label].sum() for label in (0, 1, 3)]
    assert weight.mean() == pytest.approx(1, rel=1e-4)
    assert sums == pytest.approx([len(labels) / 3] * 3, rel=1e-4)


def test_sampling_draws_classes_equally_often():
    images, labels = unequal()
    batches = TileBatches(images, labels, (2, 2, 1), batch_size=64, seed=0, balance="sampling")
    drawn = labels_of(batches)
    assert len(drawn) == len(labels)
    shares = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.04)


def test_without_balance_there_is_no_weight():
    images, labels = unequal(100)
    assert len(TileBatches(images, labels, (2, 2, 1), seed=0)[0]) == 2


def symmetries(picture: np.ndarray) -> list[bytes]:
    return [
        np.rot90(flipped, turns).tobytes()
        for flipped in (picture, picture[:, ::-1])
        for turns in range(4)
    ]


def test_turns_are_the_eight_symmetries_and_targets_turn_too():
    picture = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)
    images = np.repeat(picture[np.newaxis], 200, axis=0)
    batches = TileBatches(images, 255 - images, SHAPE, batch_size=200, seed=0, turn=True)
    x, y = batches[0]
    allowed = symmetries(picture)
    found = [tile.astype(np.uint8).tobytes() for tile in x[..., 0]]
    assert len(set(allowed)) == 8
    assert set(found) == set(allowed)
    assert min(found.count(one) for one in allowed) > 8
    np.testing.assert_array_equal(y, 255 - x)


def test_without_turn_tiles_stand_upright():
    picture = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(1, SIDE, SIDE)
    for epoch in range(9):
        batches = TileBatches(picture, np.zeros(1, int), SHAPE, seed=0)
        batches.start_epoch(epoch)
        np.testing.assert_array_equal(batches[0][0][0, ..., 0], picture[0])


def test_noise_is_on_the_input_only_and_stays_grey():
    images = np.repeat(np.array([0, 128, 255], np.uint8), 400).reshape(3, 20, 20)
    x, y = TileBatches(images, images, (20, 20, 1), seed=0, noise=60)[0]
    assert np.unique(y).tolist() == [0, 128, 255]
    assert x.min() == 0
    assert x.max() == 255
    assert all(tile.std() > 0 for tile in x)


def test_strength_of_noise_varies_up_to_the_most_asked_for():
    images = np.full((60, 30, 30), 128, np.uint8)
    x, _ = TileBatches(images, np.arange(60), (30, 30, 1), batch_size=60, seed=0, noise=20)[0]
    strengths = x.std(axis=(1, 2, 3))
    assert strengths.max() < 20 * 1.1
    assert strengths.max() > 15
    assert strengths.min() < 5
    assert abs(x.mean() - 128) < 1


def test_noise_differs_between_epochs(noisy_tiles):
    batches = TileBatches(noisy_tiles[:1], np.zeros(1, int), (12, 12, 1), seed=0, noise=20)
    first = batches[0][0]
    batches.start_epoch(1)
    assert not np.array_equal(batches[0][0], first)


@pytest.mark.parametrize("level", [0, 37, 255])
@pytest.mark.parametrize("size", [(224, 224), (200, 150), (299, 150), (310, 299), (400, 320)])
def test_plain_tile_stays_plain(level, size):
    resized = resize_tiles(np.full((1, 299, 299), level, np.uint8), size)
    assert resized.shape == (1, *size)
    assert resized.dtype == np.uint8
    assert (resized == level).all()


def test_checkerboard_becomes_grey():
    board = (np.indices((16, 16)).sum(0) % 2 * 255).astype(np.uint8)[np.newaxis]
    assert set(np.unique(resize_tiles(board, (8, 8)))) <= {127, 128}


def test_shrinking_averages_areas():
    images = np.random.default_rng(1).integers(0, 256, (2, 12, 20), dtype=np.uint8)
    means = images.reshape(2, 4, 3, 5, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(resize_tiles(images, (4, 5)), means, atol=0.51)


def test_same_size_is_the_same_tiles(noisy_tiles):
    np.testing.assert_array_equal(resize_tiles(noisy_tiles, (12, 12)), noisy_tiles)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 6, 1)])
def test_kept_tiles_are_what_resizing_anew_gives(noisy_tiles, shape, monkeypatch):
    def epochs() -> list[np.ndarray]:
        batches = TileBatches(noisy_tiles, np.arange(10), shape, 3, seed=0, turn=True)
        listed = []
        for epoch in range(3):
            batches.start_epoch(epoch)
            listed.append(inputs_of(batches))
        return listed

    kept = epochs()
    monkeypatch.setattr(resizing, "MOST_KEPT", 0)
    np.testing.assert_array_equal(kept, epochs())


@pytest.mark.parametrize(("most", "resized"), [(10 * 8 * 8, 10), (10 * 8 * 8 - 1, 20)])
def test_a_tile_is_resized_once_unless_memory_would_not_hold_them_all(
    noisy_tiles, most, resized, monkeypatch
):
    seen = []
    resize = resizing.resize_tiles
    monkeypatch.setattr(
        resizing, "resize_tiles", lambda x, size: (seen.extend(x), resize(x, size))[1]
    )
    monkeypatch.setattr(resizing, "MOST_KEPT", most)
    batches = numbered(noisy_tiles)
    inputs_of(batches)
    inputs_of(batches)
    assert len(seen) == resized


def test_equal_seeds_cut_patches_at_equal_places(noisy_tiles):
    rows, columns = np.indices((12, 12), np.uint8)
    places = np.repeat((rows * 12 + columns)[np.newaxis], 10, axis=0)
    cut = random_patches(places, 5, seed=2)
    patches = random_patches(noisy_tiles, 5, seed=2)
    assert patches.shape == (10, 5, 5)
    for patch, place, tile in zip(patches, cut, noisy_tiles, strict=True):
        row, column = divmod(int(place[0, 0]), 12)
        np.testing.assert_array_equal(patch, tile[row : row + 5, column : column + 5])
    assert len({int(place[0, 0]) for place in cut}) > 5
    assert not np.array_equal(random_patches(places, 5, seed=3), cut)


def test_patches_of_rows_on_disk_are_those_of_the_array(noisy_tiles, tmp_path, monkeypatch):
    expected = random_patches(noisy_tiles[[7, 0, 3, 9]], 5, seed=2)
    np.save(tmp_path / "tiles.npy", noisy_tiles)
    mapped = np.load(tmp_path / "tiles.npy", mmap_mode="r")
    monkeypatch.setattr(feed, "BLOCK", 3)
    rows = streamed(mapped).rows(np.array([7, 0, 3, 9]))
    np.testing.assert_array_equal(random_patches(rows, 5, seed=2), expected)


def test_patch_may_lie_at_every_place_and_be_the_whole_tile(noisy_tiles):
    places = np.repeat(np.arange(4, dtype=np.uint8).reshape(1, 2, 2), 100, axis=0)
    assert set(random_patches(places, 1, seed=0).ravel()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(random_patches(noisy_tiles, 12, seed=0), noisy_tiles)


def test_added_noise_has_the_strength_asked_for():
    images = np.full((4, 60, 60), 128, np.uint8)
    noisy = add_noise(images, 12, seed=0)
    assert noisy.dtype == np.uint8
    assert noisy.shape == images.shape
    assert noisy.std() == pytest.approx(12, rel=0.05)
    np.testing.assert_array_equal(noisy, add_noise(images, 12, seed=0))
    assert not np.array_equal(noisy, add_noise(images, 12, seed=1))


def test_added_noise_does_not_wrap_round():
    assert add_noise(np.full((1, 40, 40), 250, np.uint8), 30, seed=0).min() > 100
    assert add_noise(np.full((1, 40, 40), 5, np.uint8), 30, seed=0).max() < 155


CHANGES = [
    {"input_shape": (6, 6, 3)},
    {"batch_size": 5},
    {"seed": 1},
    {"seed": None},
    {"turn": True},
    {"balance": "weights"},
    {"noise": 1.0},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_digest_changes_with_each_setting(change, noisy_tiles):
    options = {"input_shape": (6, 6, 1), "batch_size": 4, "seed": 0}
    before = TileBatches(noisy_tiles, np.arange(10), **options).digest()
    assert TileBatches(noisy_tiles, np.arange(10), **options).digest() == before
    assert TileBatches(noisy_tiles, np.arange(10), **{**options, **change}).digest() != before


def test_digest_changes_with_any_pixel_and_any_target(noisy_tiles):
    digests = {numbered(noisy_tiles).digest()}
    for place in (0, 9):
        images, targets = noisy_tiles.copy(), np.arange(10)
        images[place, 11, 11] ^= 1
        digests.add(numbered(images).digest())
        targets[place] = 11
        digests.add(TileBatches(noisy_tiles, targets, SHAPE, batch_size=3, seed=0).digest())
    assert len(digests) == 5


def test_digest_does_not_depend_on_the_epoch_or_on_blocks(noisy_tiles, monkeypatch):
    batches = numbered(noisy_tiles)
    before = batches.digest()
    batches.start_epoch(2)
    monkeypatch.setattr(feed, "BLOCK", 3)
    assert batches.digest() == before


@pytest.mark.parametrize(
    ("count", "targets", "options", "message"),
    [
        (0, 0, {}, "batches: 0 tiles and 0 targets given"),
        (3, 2, {}, "batches: 3 tiles and 2 targets given"),
        (3, 3, {"balance": "luck"}, "balance: unknown 'luck'; use one of none, weights, sampling"),
    ],
)
def test_wrong_arguments_are_named(count, targets, options, message):
    with pytest.raises(UsageError, match=message):
        TileBatches(np.zeros((count, 4, 4), np.uint8), np.zeros(targets, int), SHAPE, **options)
