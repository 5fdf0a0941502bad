"""Files of networks that are damaged, or that would bring code along: refused by name."""

import json
import zipfile

import keras
import pytest

from birads_lib.errors import DataError
from birads_lib.networks import read_model

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A small network as Keras writes it."""
    path = tmp_path_factory.mktemp("networks") / "sound.keras"
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    network.save(path)
    return path


def rewritten(source, target, **changed):
    """Copy an archive with other contents of some members; ``None`` leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            content = changed.get(member.split(".")[0], old.read(member))
            if content is not None:
                new.writestr(member, content)
    return target


def config_of(source):
    with zipfile.ZipFile(source) as archive:
        return json.loads(archive.read(CONFIG))


def test_a_sound_file_is_read(sound, tmp_path):
    assert read_model(sound).count_params() == 8
    assert read_model(rewritten(sound, tmp_path / "copy.keras")).count_params() == 8


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(share, sound, tmp_path):
    path = tmp_path / "cut.keras"
    content = sound.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.keras: no network that can be read"):
        read_model(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"config": None}, {"config": b"{"}, {"config": b"[]"}, {"model": None},
        {"model": b"no HDF5"},
    ],
    ids=["no config", "half a config", "a list", "no weights", "other weights"],
)  # fmt: skip
def test_a_file_whose_members_are_wrong_is_refused(changed, sound, tmp_path):
    path = rewritten(sound, tmp_path / "wrong.keras", **changed)
    with pytest.raises(DataError, match=r"wrong\.keras: no network that can be read"):
        read_model(path)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
def test_a_flipped_bit_of_the_weights_is_noticed(at, sound, tmp_path):
    path = tmp_path / "flipped.keras"
    content = bytearray(sound.read_bytes())
    with zipfile.ZipFile(sound) as archive:
        member = archive.getinfo(WEIGHTS)
    content[member.header_offset + 60 + int(at * member.compress_size)] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"flipped\.keras: no network that can be read"):
        read_model(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.keras: no network that can be read"):
        read_model(tmp_path / "nowhere.keras")


def test_code_in_a_layer_is_not_run(tmp_path):
    path, ran = tmp_path / "code.keras", tmp_path / "ran"
    layer = keras.layers.Lambda(lambda x, place=str(ran): (open(place, "w").close(), x)[1])
    keras.Sequential([keras.Input((3,)), layer]).save(path)
    ran.unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"code\.keras: no network that can be read"):
        read_model(path)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("nowhere", "Layer")],
)
def test_a_class_that_is_no_layer_is_not_made(module, name, sound, tmp_path):
    ran = tmp_path / "ran"
    config = config_of(sound)
    layer = config["config"]["layers"][1]
    layer.update(module=module, class_name=name, registered_name=name)
    layer["config"] = {"command": f"touch {ran}", "name": "dense"}
    path = rewritten(sound, tmp_path / "foreign.keras", config=json.dumps(config).encode())
    with pytest.raises(DataError, match=r"foreign\.keras: no network that can be read"):
        read_model(path)
    assert not ran.exists()
