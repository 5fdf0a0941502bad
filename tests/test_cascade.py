"""The cascade with hand-made networks whose answers can be told from a tile's grey level."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from birads_lib import Cascade, cascade
from birads_lib.cascade import apply_network, denoise_tiles, denoise_to
from birads_lib.engines import SUFFIXES
from birads_lib.errors import DataError, UsageError
from birads_lib.files import read_json, write_json
from birads_lib.labels import LESION_CODES

CENTRES = np.array([60.0, 120.0, 180.0, 240.0])  # grey levels the scorer takes for C2 to C5
SHARPNESS = 400.0
LIFT = 10  # grey levels that the autoencoder adds


@pytest.fixture(scope="module")
def gate() -> keras.Model:
    """Probability of infected: mean grey level / 255; at 4 x 4."""
    tile = keras.Input((4, 4, 1))
    x = layers.GlobalAveragePooling2D()(tile)
    return keras.Model(tile, layers.Rescaling(1 / 255)(x))


@pytest.fixture(scope="module")
def scorer() -> keras.Model:
    """The class whose centre is nearest to the mean grey level; at 6 x 5, three channels."""
    tile = keras.Input((6, 5, 3))
    x = layers.GlobalAveragePooling2D()(tile)
    model = keras.Model(tile, layers.Dense(4, activation="softmax")(x))
    kernel = np.repeat(2 * CENTRES[np.newaxis] / 3, 3, axis=0) / SHARPNESS
    model.set_weights([kernel, -(CENTRES**2) / SHARPNESS])
    return model


@pytest.fixture(scope="module")
def autoencoder() -> keras.Model:
    """Adds ten grey levels; at 7 x 9."""
    tile = keras.Input((7, 9, 1))
    return keras.Model(tile, layers.Rescaling(1.0, offset=LIFT)(tile))


def plain_tiles(levels: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(levels, np.uint8), 64).reshape(-1, 8, 8)


@pytest.fixture
def levels() -> np.ndarray:
    """150 grey levels in no order: more than two batches of 64."""
    return np.random.default_rng(0).permutation(np.arange(50, 200))


def expected_scores(levels: np.ndarray) -> np.ndarray:
    powers = -((levels[:, np.newaxis] - CENTRES) ** 2) / SHARPNESS
    values = np.exp(powers - powers.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


def expected_table(levels: np.ndarray, threshold: float) -> pd.DataFrame:
    table = pd.DataFrame({"gate": levels / 255})
    scores = expected_scores(levels)
    scores[levels / 255 < threshold] = np.nan
    table[list(LESION_CODES)] = scores
    nearest = np.abs(levels[:, np.newaxis] - CENTRES).argmin(axis=1)
    table["predicted"] = np.where(
        levels / 255 < threshold, "C1", np.array(LESION_CODES)[nearest]
    ).astype(str)
    return table


def check_table(found: pd.DataFrame, levels: np.ndarray, threshold: float) -> None:
    pd.testing.assert_frame_equal(found, expected_table(levels, threshold), atol=1e-5, rtol=1e-4)


@pytest.fixture
def rows_seen(monkeypatch) -> Callable[[keras.Model], list[int]]:
    """Counts the tiles of each batch that a network gets."""

    def watch(model: keras.Model) -> list[int]:
        seen: list[int] = []
        whole = model.predict_on_batch

        def counted(x):
            seen.append(len(x))
            return whole(x)

        monkeypatch.setattr(model, "predict_on_batch", counted)
        return seen

    return watch


def test_table_has_a_row_a_tile_with_the_contracts_columns(gate, scorer):
    table = Cascade(gate, scorer, threshold=0.5).predict(plain_tiles([10, 130, 240]))
    assert list(table.columns) == ["gate", "C2", "C3", "C4", "C5", "predicted"]
    assert table.index.tolist() == [0, 1, 2]
    assert [str(kind) for kind in table.dtypes[:5]] == ["float64"] * 5
    assert pd.api.types.is_string_dtype(table["predicted"])
    assert table["predicted"].tolist() == ["C1", "C3", "C5"]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_rows_below_the_threshold_and_only_those_are_not_scored(gate, scorer, levels, threshold):
    table = Cascade(gate, scorer, threshold=threshold).predict(plain_tiles(levels))
    stopped = (table["gate"] < threshold).to_numpy()
    np.testing.assert_array_equal(stopped, levels / 255 < threshold)
    scores = table[list(LESION_CODES)].to_numpy()
    np.testing.assert_array_equal(np.isnan(scores), np.repeat(stopped[:, np.newaxis], 4, axis=1))
    np.testing.assert_array_equal(table["predicted"] == "C1", stopped)
    np.testing.assert_allclose(scores[~stopped].sum(axis=1), 1, atol=1e-6)


def test_tile_just_at_the_threshold_passes(gate, scorer):
    tiles = plain_tiles([100, 101, 102])
    probability = Cascade(gate, scorer, threshold=1.0).predict(tiles)["gate"]
    table = Cascade(gate, scorer, threshold=probability[1]).predict(tiles)
    assert table["C2"].isna().tolist() == [True, False, False]


@pytest.mark.parametrize("name", ["autoencoder", "gate", "scorer"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf], ids=str)
def test_a_network_that_answers_no_numbers_is_named(
    gate, scorer, autoencoder, levels, monkeypatch, name, wrong
):
    network = {"autoencoder": autoencoder, "gate": gate, "scorer": scorer}[name]
    whole = network.predict_on_batch
    monkeypatch.setattr(network, "predict_on_batch", lambda x: whole(x) * wrong)
    with pytest.raises(DataError, match=f"{name}: answers with NaN or infinity"):
        Cascade(gate, scorer, autoencoder).predict(plain_tiles(levels))


def test_only_what_passes_reaches_the_scorer(gate, scorer, levels, rows_seen):
    judged, scored = rows_seen(gate), rows_seen(scorer)
    Cascade(gate, scorer, threshold=0.5).predict(plain_tiles(levels))
    assert sum(judged) == len(levels)
    assert sum(scored) == (levels / 255 >= 0.5).sum()
    assert max(judged + scored) <= 64


def test_scorer_waits_for_full_batches(gate, scorer, rows_seen):
    """Of four batches of tiles a quarter passes: the scorer is called once, not four times."""
    scored = rows_seen(scorer)
    tiles = plain_tiles(np.tile([200, 10, 10, 10], 64))
    Cascade(gate, scorer, threshold=0.5).predict(tiles)
    assert scored == [64]


def test_scorer_stays_idle_when_nothing_passes(gate, scorer, levels, rows_seen):
    scored = rows_seen(scorer)
    table = Cascade(gate, scorer, threshold=1.0).predict(plain_tiles(levels))
    assert scored == []
    assert set(table["predicted"]) == {"C1"}


@pytest.mark.parametrize("threshold", [0.0, 0.45, 1.0])
@pytest.mark.parametrize("form", ["array", "with channel", "memory map", "mapped with channel"])
def test_order_is_kept_over_batches(form, threshold, gate, scorer, levels, tmp_path):
    tiles = plain_tiles(levels)
    if "channel" in form:
        tiles = tiles[..., np.newaxis]
    if "map" in form:
        np.save(tmp_path / "tiles.npy", tiles)
        tiles = np.load(tmp_path / "tiles.npy", mmap_mode="r")
    table = Cascade(gate, scorer, threshold=threshold).predict(tiles)
    check_table(table, levels, threshold)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 129])
def test_every_number_of_tiles_is_read_to_the_last(count, gate, scorer):
    levels = np.arange(count) + 100
    check_table(Cascade(gate, scorer, threshold=0.5).predict(plain_tiles(levels)), levels, 0.5)


def test_tiles_are_not_changed(gate, scorer, autoencoder, levels):
    tiles = plain_tiles(levels)
    before = tiles.copy()
    Cascade(gate, scorer, autoencoder).predict(tiles)
    np.testing.assert_array_equal(tiles, before)


def test_gate_and_scorer_see_denoised_tiles(gate, scorer, autoencoder, levels):
    table = Cascade(gate, scorer, autoencoder, threshold=0.5).predict(plain_tiles(levels))
    check_table(table, levels + LIFT, 0.5)


def test_scorer_gets_grey_in_three_channels_at_its_size(gate, scorer, levels):
    """A tile with structure: means over areas are the same at any size."""
    tile = np.zeros((1, 8, 8), np.uint8)
    tile[:, :4] = 240
    table = Cascade(gate, scorer, threshold=0.4).predict(tile)
    assert table["gate"][0] == pytest.approx(120 / 255, abs=1e-3)
    assert table["predicted"][0] == "C3"


def test_denoised_tiles_have_the_autoencoders_size(gate, scorer, autoencoder, levels):
    denoised = Cascade(gate, scorer, autoencoder).denoise(plain_tiles(levels))
    assert denoised.shape == (150, 7, 9)
    assert denoised.dtype == np.uint8
    np.testing.assert_array_equal(denoised[:, 3, 4], levels + LIFT)


def test_denoised_white_stays_white(autoencoder):
    assert (denoise_tiles(autoencoder, plain_tiles([250, 255])) == 255).all()


def test_denoised_levels_are_rounded():
    tile = keras.Input((8, 8, 1))
    halves = keras.Model(tile, layers.Rescaling(0.5, offset=0.2)(tile))
    assert denoise_tiles(halves, plain_tiles([101, 3]))[:, 0, 0].tolist() == [51, 2]


@pytest.mark.parametrize("form", [(-1, 8, 8), (-1, 8, 8, 1)])
def test_without_autoencoder_tiles_stay_as_they_are(form, gate, scorer, levels):
    tiles = plain_tiles(levels)
    denoised = Cascade(gate, scorer).denoise(tiles.reshape(form))
    np.testing.assert_array_equal(denoised, tiles)


def test_denoising_to_a_file_is_denoising(gate, scorer, autoencoder, levels, tmp_path, monkeypatch):
    monkeypatch.setattr(cascade, "BLOCK", 40)
    path = tmp_path / "denoised.npy"
    denoise_to(path, autoencoder, plain_tiles(levels))
    expected = Cascade(gate, scorer, autoencoder).denoise(plain_tiles(levels))
    np.testing.assert_array_equal(np.load(path), expected)
    assert [file.name for file in tmp_path.iterdir()] == ["denoised.npy"]


def test_denoising_that_fails_leaves_no_file(autoencoder, tmp_path, monkeypatch):
    def fails(*args):
        raise RuntimeError

    monkeypatch.setattr(cascade, "denoise_tiles", fails)
    with pytest.raises(RuntimeError):
        denoise_to(tmp_path / "denoised.npy", autoencoder, plain_tiles([1]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", [(0, 8, 8), (0, 8, 8, 1)])
@pytest.mark.parametrize("denoises", [False, True])
def test_no_tiles_give_no_rows(form, denoises, gate, scorer, autoencoder):
    table = Cascade(gate, scorer, autoencoder if denoises else None).predict(
        np.zeros(form, np.uint8)
    )
    assert list(table.columns) == ["gate", *LESION_CODES, "predicted"]
    assert len(table) == 0


@pytest.mark.parametrize(("denoises", "size"), [(False, (8, 8)), (True, (7, 9))])
def test_no_tiles_are_denoised_to_none(denoises, size, gate, scorer, autoencoder):
    whole = Cascade(gate, scorer, autoencoder if denoises else None)
    denoised = whole.denoise(np.zeros((0, 8, 8), np.uint8))
    assert denoised.shape == (0, *size)
    assert denoised.dtype == np.uint8


def test_no_tiles_run_through_a_network_give_no_rows(scorer):
    assert apply_network(scorer, np.zeros((0, 8, 8), np.uint8)).shape == (0, 4)


@pytest.mark.parametrize("denoises", [False, True])
def test_saved_cascade_gives_the_same_answers(
    denoises, gate, scorer, autoencoder, levels, tmp_path
):
    about = {"data": "simulated", "tiles": 150}
    whole = Cascade(gate, scorer, autoencoder if denoises else None, 0.55, about)
    whole.save(tmp_path / "cascade")
    again = Cascade.load(tmp_path / "cascade")
    pd.testing.assert_frame_equal(
        again.predict(plain_tiles(levels)), whole.predict(plain_tiles(levels))
    )
    assert (again.autoencoder is not None) == denoises
    assert again.threshold == 0.55
    assert again.about == about
    assert again.digest == whole.digest


def test_digest_tells_cascades_apart(gate, scorer):
    other = keras.models.clone_model(scorer)
    other.set_weights([2 * values for values in scorer.get_weights()])
    cascades = [
        Cascade(gate, scorer),
        Cascade(gate, other),
        Cascade(scorer, scorer),
        Cascade(gate, scorer, threshold=0.6),
    ]
    assert len({one.digest for one in cascades}) == len(cascades)
    assert Cascade(gate, scorer).digest == cascades[0].digest


def test_saving_takes_the_place_of_an_earlier_cascade(gate, scorer, autoencoder, tmp_path):
    Cascade(gate, scorer, autoencoder).save(tmp_path / "cascade")
    Cascade(gate, scorer).save(str(tmp_path / "cascade"))
    names = sorted(file.name for file in (tmp_path / "cascade").iterdir())
    assert names == [
        "cascade.json", "gate.keras", "gate.onnx", "scorer.keras", "scorer.onnx",
    ]  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["cascade"]
    assert Cascade.load(str(tmp_path / "cascade")).autoencoder is None


@pytest.fixture
def saved(gate, scorer, autoencoder, tmp_path):
    Cascade(gate, scorer, autoencoder).save(tmp_path / "cascade")
    return tmp_path / "cascade"


@pytest.mark.parametrize("engine", ["openvino", "onnx", "keras"])
@pytest.mark.parametrize("name", ["autoencoder", "gate", "scorer"])
def test_changed_model_is_named(name, engine, saved):
    path = saved / f"{name}{SUFFIXES[engine]}"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="has changed since it was saved") as error:
        Cascade.load(saved, engine)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_model_is_named(saved):
    (saved / "scorer.onnx").unlink()
    with pytest.raises(DataError, match=r"scorer\.onnx: the model is missing"):
        Cascade.load(saved)


def test_form_that_was_not_written_is_named(saved):
    said = r"autoencoder\.tflite: this cascade was saved without .* litert reads; use openvino"
    with pytest.raises(DataError, match=said):
        Cascade.load(saved, "litert")


def test_unknown_engine_lists_the_known(saved):
    with pytest.raises(UsageError, match="tensorrt"):
        Cascade.load(saved, "tensorrt")


def test_cascade_that_an_engine_runs_cannot_be_saved_again(saved, tmp_path):
    with pytest.raises(UsageError, match='load it with engine="keras"'):
        Cascade.load(saved).save(tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_predicting_needs_no_tensorflow(saved, tmp_path):
    np.save(tmp_path / "tiles.npy", np.zeros((3, 299, 299), np.uint8))
    code = (
        "import sys; from birads_lib.cli import main; main(sys.argv[1:]); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "predict", str(saved), str(tmp_path / "tiles.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 4


HEARS_A_SIGNAL = """
import gc, os, signal, sys
from birads_lib.cascade import Cascade
cascade = Cascade.load(sys.argv[1], sys.argv[2])
del cascade
gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("engine", ["openvino", "onnx", "litert"])
def test_a_signal_is_heard_after_an_engine_has_gone(engine, gate, scorer, tmp_path):
    Cascade(gate, scorer).save(tmp_path / "cascade", forms=("onnx", "litert"))
    command = [sys.executable, "-c", HEARS_A_SIGNAL, str(tmp_path / "cascade"), engine]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_folder_that_holds_no_cascade_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match=r"no cascade \(cascade\.json is missing\)") as error:
            Cascade.load(folder)
        assert str(folder) in str(error.value)


def test_damaged_description_is_named(saved):
    (saved / "cascade.json").write_text("{")
    with pytest.raises(DataError, match=r"cascade\.json: not readable as JSON"):
        Cascade.load(saved)


@pytest.mark.parametrize("lost", ["threshold", "weights", "files", "about"])
def test_description_of_another_version_is_named(lost, saved):
    path = saved / "cascade.json"
    write_json(path, {k: v for k, v in read_json(path).items() if k != lost})
    with pytest.raises(DataError, match=r"cascade\.json: not as this version writes it"):
        Cascade.load(saved)


@pytest.mark.parametrize("weights", [{}, {"gate": "0"}, {"gate": "0", "scorer": "0", "x": "0"}])
def test_description_of_other_parts_is_named(weights, saved):
    path = saved / "cascade.json"
    write_json(path, {**read_json(path), "weights": weights})
    with pytest.raises(DataError, match=r"cascade\.json: names no gate and scorer"):
        Cascade.load(saved)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8), np.float32),
        np.zeros((2, 8, 8), np.uint16),
        np.zeros((2, 8, 8), bool),
        np.zeros((8, 8), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.zeros((2, 1, 8, 8, 1), np.uint8),
    ],
    ids=lambda images: f"{images.dtype}{images.shape}",
)
@pytest.mark.parametrize("what", ["predict", "denoise"])
def test_wrong_images_are_named(what, images, gate, scorer):
    with pytest.raises(DataError, match=f"images: {images.dtype} .*expected uint8") as error:
        getattr(Cascade(gate, scorer), what)(images)
    assert str(images.shape) in str(error.value)
