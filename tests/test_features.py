"""A frozen backbone's features: as computed, kept on disk, taken again, trained on."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from birads_lib import features as module
from birads_lib.errors import DataError, UsageError
from birads_lib.features import backbone_features, train_frozen
from birads_lib.files import digest_note, read_json, sha256
from birads_lib.networks.ordinal import OrdinalHead, predicted_category
from birads_lib.tiles.feed import FeatureBatches
from birads_lib.tiles.resizing import network_input, resize_tiles
from birads_lib.training import Recipe, train

SIZE = (8, 6)


def small_backbone(seed: int = 0, scale: float = 1.0) -> keras.Model:
    """Two features in each of 4 x 3 cells, with a batch normalisation that could learn."""
    keras.utils.set_random_seed(seed)
    tile = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(2, 2, strides=2, name="convolution")(tile)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(tile, keras.layers.Rescaling(scale)(x), name="small")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, 16, 16), np.uint8)


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """How many tiles each call of the backbone got."""
    sizes: list[int] = []

    def apply(model, tiles, original=module.apply_network):
        sizes.append(len(tiles))
        return original(model, tiles)

    monkeypatch.setattr(module, "apply_network", apply)
    return sizes


@pytest.mark.parametrize(("precision", "atol"), [("float32", 1e-3), ("float16", 0.2)])
def test_features_are_those_of_the_backbone_in_prediction(images, tmp_path, precision, atol):
    backbone = small_backbone()
    found = backbone_features(backbone, images, tmp_path, precision)
    resized = network_input(resize_tiles(images, SIZE), 3)
    expected = np.asarray(backbone(resized, training=False))
    assert found.dtype == precision
    assert isinstance(found, np.memmap)
    np.testing.assert_allclose(found, expected, atol=atol)


def test_the_backbone_runs_once_a_block_at_a_time(images, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)
    backbone = small_backbone()
    first = np.array(backbone_features(backbone, images, tmp_path))
    assert counted == [4, 4, 2]
    np.testing.assert_array_equal(backbone_features(backbone, images, tmp_path), first)
    assert counted == [4, 4, 2]
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_other_tiles_weights_or_precision_are_another_file(images, tmp_path):
    backbone_features(small_backbone(), images, tmp_path)
    changed = images.copy()
    changed[9, 15, 15] ^= 1
    backbone_features(small_backbone(), changed, tmp_path)
    backbone_features(small_backbone(seed=1), images, tmp_path)
    backbone_features(small_backbone(), images, tmp_path, "float32")
    assert len(list(tmp_path.glob("*.npy"))) == 4


def test_a_file_without_its_digest_was_not_finished_and_is_made_again(images, tmp_path, counted):
    backbone = small_backbone()
    first = np.array(backbone_features(backbone, images, tmp_path))
    (path,) = tmp_path.glob("*.npy")
    digest_note(path).unlink()
    path.write_bytes(path.read_bytes()[:-5])
    np.testing.assert_array_equal(backbone_features(backbone, images, tmp_path), first)
    assert len(counted) == 2


def test_a_changed_byte_is_named(images, tmp_path):
    backbone = small_backbone()
    backbone_features(backbone, images, tmp_path)
    (path,) = tmp_path.glob("*.npy")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="features changed since they were written") as error:
        backbone_features(backbone, images, tmp_path)
    assert str(path) in str(error.value)


def test_nothing_is_left_of_a_run_that_failed(images, tmp_path, monkeypatch):
    def fails(model, tiles):
        raise RuntimeError("stopped")

    monkeypatch.setattr(module, "apply_network", fails)
    with pytest.raises(RuntimeError, match="stopped"):
        backbone_features(small_backbone(), images, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_values_that_the_precision_cannot_hold_are_refused(images, tmp_path):
    backbone = small_backbone(scale=1e6)
    with pytest.raises(DataError, match="float16 ends at") as error:
        backbone_features(backbone, images, tmp_path)
    assert "\n" not in str(error.value)
    assert np.isfinite(backbone_features(backbone, images, tmp_path, "float32")).all()


def test_another_precision_is_refused(images, tmp_path):
    with pytest.raises(UsageError, match="precision: unknown 'int8'; use one of float16, float32"):
        backbone_features(small_backbone(), images, tmp_path, "int8")


# Batches


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features whose mean grows with their category 0..3, with noise."""
    rng = np.random.default_rng(count)
    category = np.arange(count) % 4
    features = category[:, None, None, None] + rng.normal(0, 0.2, (count, 2, 3, 5))
    return features.astype(np.float16), category


def test_batches_hold_each_row_once_with_its_target():
    features, category = rows(10)
    batches = FeatureBatches(features, category, batch_size=4, seed=3)
    x, y = (np.concatenate(parts) for parts in zip(*(batches[i] for i in range(3)), strict=True))
    assert x.dtype == np.float32
    order = [int(np.flatnonzero((features == row).all((1, 2, 3)))[0]) for row in x]
    assert sorted(order) == list(range(10))
    assert order != list(range(10))
    np.testing.assert_array_equal(category[order], y)


def test_batches_reach_keras_as_they_are():
    features, category = rows(10)
    batches = FeatureBatches(features, category, batch_size=4)
    (first, *_) = batches.dataset()
    np.testing.assert_array_equal(first[0], features[:4])
    np.testing.assert_array_equal(first[1], category[:4])


def test_a_head_trained_on_features_learns_the_order(tmp_path):
    def build() -> keras.Model:
        features = keras.Input((2, 3, 5))
        pooled = keras.layers.GlobalAveragePooling2D()(features)
        return keras.Model(features, OrdinalHead(4, name="grade")(pooled), name="head")

    batches = FeatureBatches(*rows(240), 16, seed=0, balance="weights")
    recipe = Recipe("grade", epochs=8, learning_rate=0.3)
    path = tmp_path / "head.keras"
    trained = train(build, batches, FeatureBatches(*rows(60)), recipe, path)
    features, category = rows(40)
    said = np.asarray(predicted_category(trained.model(features.astype(np.float32))))
    assert (said == category).mean() > 0.9
    last = trained.history.iloc[-1]
    assert last["val_sensitivity"] > 0.9
    assert last["val_distance"] < 0.1 < trained.history.iloc[0]["distance"]
    assert train(build, batches, FeatureBatches(*rows(60)), recipe, path).reused


def test_frozen_training_changes_the_head_alone_and_keeps_the_whole(images, tmp_path, counted):
    def build():
        backbone = small_backbone()
        tile = keras.Input((*SIZE, 3))
        pooled = keras.layers.GlobalAveragePooling2D(name="pool")(backbone(tile))
        score = keras.layers.Dense(4, activation="softmax", name="score")(pooled)
        return keras.Model(tile, score, name="scorer")

    labels = np.arange(10) % 4
    parts = (images[:8], labels[:8]), (images[8:], labels[8:])
    path = tmp_path / "scorer.keras"
    recipe = Recipe("score", 2, seed=3)
    first = train_frozen(build, *parts, recipe, path, tmp_path / "features", 4)
    assert sum(counted) == 10
    whole = keras.saving.load_model(path)
    kept = small_backbone().get_weights()
    for one, other in zip(whole.get_layer("small").get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)
    x = network_input(resize_tiles(images, SIZE), 3)
    np.testing.assert_allclose(whole(x), first.model(x), atol=1e-6)
    described = read_json(path.with_suffix(".json"))
    assert described["frozen"]
    assert described["weights"] == first.digest
    assert described["file"] == sha256(path)
    assert len(described["history"]) == len(first.history)
    again = train_frozen(build, *parts, recipe, path, tmp_path / "features", 4)
    assert again.reused
    assert again.digest == first.digest
    assert sum(counted) == 10
