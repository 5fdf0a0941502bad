"""The shortcut probe: features by hand, and what a logistic regression makes of them."""

import cv2
import numpy as np
import pytest

from birads_lib.tiles import shortcuts


@pytest.fixture(scope="module")
def tiles():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (20, 299, 299), dtype=np.uint8)


def test_mean_and_deviation(tiles):
    features = shortcuts.mean_and_deviation(tiles)
    assert features.shape == (20, 2)
    assert features[4] == pytest.approx([tiles[4].mean(), tiles[4].std()])


def test_histogram_has_eight_equal_bins():
    tile = np.array([[0, 31, 32, 255]], np.uint8)[np.newaxis]
    assert shortcuts.histogram(tile)[0].tolist() == [0.5, 0.25, 0, 0, 0, 0, 0, 0.25]


def test_a_jpeg_grid_stands_out_wherever_the_crop_begins():
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.normal(128, 400, (330, 330)), (0, 0), 3)
    image = np.clip(smooth, 0, 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 15])
    jpeg = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    crops = [jpeg[y : y + 299, x : x + 299] for y, x in ((0, 0), (3, 5), (7, 2))]
    plain = shortcuts.jpeg_blockiness(image[np.newaxis, :299, :299])[0]
    for features in shortcuts.jpeg_blockiness(np.stack(crops)):
        assert features.shape == (16,)
        assert features[7] > plain[7] + 0.1
        assert features[15] > plain[15] + 0.1


def test_features_are_the_same_in_blocks(tiles, monkeypatch):
    whole = shortcuts.probe_features(tiles, "8-bin histogram")
    monkeypatch.setattr(shortcuts, "BLOCK", 7)
    assert (shortcuts.probe_features(tiles, "8-bin histogram") == whole).all()


def test_a_shortcut_is_found_where_there_is_one_and_only_there():
    rng = np.random.default_rng(0)
    infected = rng.random(400) < 0.4
    learning = np.arange(400) < 200
    noise = rng.normal(size=(400, 2))
    shifted = noise + np.outer(infected, [2.0, 0.0])
    from sklearn.metrics import roc_auc_score

    judged = ~learning
    found = shortcuts.probe_scores(shifted, infected, learning)
    nothing = shortcuts.probe_scores(noise, infected, learning)
    assert roc_auc_score(infected[judged], found[judged]) > 0.85
    assert 0.38 < roc_auc_score(infected[judged], nothing[judged]) < 0.62
    assert ((found >= 0) & (found <= 1)).all()
