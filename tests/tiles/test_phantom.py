"""The simulated set: its layout, its defects, its truth, and how like tissue it is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError, UsageError
from birads_lib.files import read_json, sha256
from birads_lib.tiles.layout import (
    CV10_COUNTS,
    FEATURES,
    FILENAME_BYTES,
    FILENAME_DTYPE,
    HELD_OUT_COUNTS,
    HELD_OUT_FILES,
    IMAGE_BYTES,
    PLANNED_COUNTS,
    ROWS_OF_A_FILE,
    TEST10_COUNTS,
    TILE,
    TRAINING_COUNTS,
    TRAINING_FILES,
    TRAINING_NAMES,
    TRAINING_PATHS,
)
from birads_lib.tiles.phantom import (
    PhantomTruth,
    Plan,
    lesions,
    plan_phantom,
    planned_counts,
    tile_id,
    tissue,
    write_phantom,
)
from birads_lib.tiles.phantom.truth import TABLE_COLUMNS
from birads_lib.tiles.tfrecord import decode_example, read_payloads

SCALE, POSITIVES, SEED = 0.004, 0.3, 7
ALL_PATHS = sorted(
    [*TRAINING_PATHS, "phantom.json"]
    + [path for held_out in HELD_OUT_FILES for path in (held_out.data, held_out.labels)]
    + [f"truth/{name}" for name in ("calcification.npy", "clean.npy", "mask.npy", "table.parquet")]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "set"
    return write_phantom(out, scale=SCALE, positives=POSITIVES, seed=SEED, processes=1)


@pytest.fixture(scope="module")
def truth(folder) -> PhantomTruth:
    return PhantomTruth.open(folder)


@pytest.fixture(scope="module")
def records(folder) -> dict[str, dict]:
    """Every training record by tile id."""
    return {
        tile_id(name, i): decode_example(payload)
        for name, path in zip(TRAINING_NAMES, TRAINING_PATHS, strict=True)
        for i, payload in enumerate(read_payloads(folder / path))
    }


@pytest.fixture(scope="module")
def images(folder, records, truth) -> np.ndarray:
    """Every tile in the order of the truth, uint8 (n, 299, 299)."""
    tiles = {
        tile: np.frombuffer(record["image"], np.uint8).reshape(TILE, TILE)
        for tile, record in records.items()
    }
    for held_out in HELD_OUT_FILES:
        for i, tile in enumerate(np.load(folder / held_out.data)[..., 0]):
            tiles[tile_id(held_out.name, i)] = tile
    return np.stack([tiles[tile] for tile in truth.table["tile"]])


@pytest.fixture(scope="module")
def real_size() -> Plan:
    return plan_phantom(scale=1)


def part_of(table: pd.DataFrame) -> pd.Series:
    """``training``, ``test10`` or ``cv10`` of each tile."""
    return table["tile"].str.extract(r"^(training|test10|cv10)")[0]


def files_of(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# Layout


def test_folder_holds_exactly_the_files_of_the_set_and_the_truth(folder):
    assert files_of(folder) == ALL_PATHS


def test_records_have_the_features_of_the_set_in_their_order(records):
    for record in records.values():
        assert tuple(record) == FEATURES
        assert len(record["image"]) == IMAGE_BYTES
        assert len(record["filename"]) == FILENAME_BYTES
        assert record["label_normal"] == int(record["label"] > 0)


def test_normals_are_nameless_and_positives_name_patient_side_and_view(records):
    for record in records.values():
        name = str(np.frombuffer(record["filename"], FILENAME_DTYPE)[0])
        if record["label"] == 0:
            assert name == "NORMAL"
        else:
            patient, number, side, view = name.removesuffix(".jpg").split("_")
            assert patient == "P"
            assert len(number) == 5
            assert number.isdigit()
            assert side in ("LEFT", "RIGHT")
            assert view in ("CC", "MLO")
            assert name.endswith(".jpg")


def test_held_out_arrays_have_the_shapes_and_types_of_the_set(folder):
    for held_out in HELD_OUT_FILES:
        data, labels = np.load(folder / held_out.data), np.load(folder / held_out.labels)
        assert data.dtype == np.uint8
        assert data.shape == (len(labels), TILE, TILE, 1)
        assert labels.dtype == np.int64


def test_card_says_that_the_tiles_are_simulated(folder):
    card = read_json(folder / "phantom.json")
    assert card["simulated"] is True
    assert (card["generator"], card["version"]) == ("birads phantom", 1)
    assert (card["scale"], card["positives"], card["seed"]) == (SCALE, POSITIVES, SEED)
    assert (card["scanners"], card["scan_tiles"]) == ("training", 27)


def test_counts_on_the_card_are_those_of_the_files(folder, truth):
    table = truth.table
    for part, counts in read_json(folder / "phantom.json")["counts"].items():
        labels = table.loc[part_of(table) == part, "label"]
        assert np.bincount(labels, minlength=5).tolist() == counts


# Counts and defects, from the plan


def test_scale_one_plans_the_real_counts(real_size):
    assert planned_counts(1.0) == (PLANNED_COUNTS, TEST10_COUNTS, CV10_COUNTS)
    counts = real_size.counts()
    assert tuple(counts["training"]) == TRAINING_COUNTS
    assert tuple(np.add(counts["test10"], counts["cv10"])) == HELD_OUT_COUNTS


def test_each_training_file_lacks_its_last_row(real_size):
    lost = real_size.table[real_size.table["row"] < 0].sort_values("part")
    assert lost["part"].tolist() == list(range(TRAINING_FILES))
    assert set(lost["record"]) == {ROWS_OF_A_FILE - 1}
    assert sorted(lost["label"]) == [0, 0, 0, 0, 3]


def test_small_files_lack_their_last_row_too(records):
    planned, _, _ = planned_counts(SCALE, POSITIVES)
    assert len(records) == sum(planned) - TRAINING_FILES
    labels = [record["label"] for record in records.values()]
    lost = np.subtract(planned, np.bincount(labels, minlength=5))
    assert lost.tolist() == [4, 0, 0, 1, 0]


@pytest.mark.parametrize("scale", [0.003, 0.01, 0.1, 0.37, 1])
@pytest.mark.parametrize("positives", [None, 0.3])
def test_every_lesion_class_is_a_multiple_of_three_crops(scale, positives):
    training, test10, cv10 = planned_counts(scale, positives)
    assert all(n % 3 == 0 for part in (training, test10, cv10) for n in part[1:])
    assert min(training) > 0
    assert min(cv10) > 0
    assert [n > 0 for n in test10] == [True, False, True, False, True]
    assert sum(training) % TRAINING_FILES == 0


def test_share_of_positives_is_as_asked():
    for part in planned_counts(0.2, 0.25):
        assert sum(part[1:]) / sum(part) == pytest.approx(0.25, abs=0.005)


def test_each_lesion_view_is_cropped_three_times(real_size):
    positives = real_size.table[real_size.table["label"] > 0]
    assert (positives.groupby(["scan", "lesion"]).size() == 3).all()


def test_about_27_normal_tiles_of_a_scan_stand_on_both_sides(real_size):
    normals = real_size.table[real_size.table["label"] == 0]
    sizes = normals.groupby("scan").size()
    assert sizes.iloc[:-1].eq(27).all()
    assert len(sizes) == 2_295
    sides = normals.assign(part=part_of(normals)).groupby("scan")["part"].nunique()
    assert (sides > 1).mean() > 0.9


def test_patients_with_lesions_stand_on_one_side(real_size):
    positives = real_size.table[real_size.table["label"] > 0]
    training = part_of(positives) == "training"
    assert not set(positives["patient"][training]) & set(positives["patient"][~training])
    assert positives["patient"].nunique() > 1_000


def test_some_lesions_are_seen_in_both_views_and_some_women_have_two(real_size):
    positives = real_size.table[real_size.table["label"] > 0]
    assert 0.5 < (positives.groupby("lesion")["scan"].nunique() == 2).mean() < 0.9
    assert 0.05 < (positives.groupby("patient")["lesion"].nunique() == 2).mean() < 0.2


# Determinism and wholeness


def test_bytes_do_not_depend_on_the_number_of_processes(folder, tmp_path):
    again = write_phantom(
        tmp_path / "two", scale=SCALE, positives=POSITIVES, seed=SEED, processes=2
    )
    assert all(sha256(folder / path) == sha256(again / path) for path in ALL_PATHS)


def test_another_seed_gives_other_tiles(folder, tmp_path):
    other = write_phantom(tmp_path / "other", scale=0.003, seed=SEED + 1, processes=1)
    for path in (TRAINING_PATHS[0], "truth/clean.npy"):
        assert sha256(folder / path) != sha256(other / path)


def test_progress_ends_with_all_tiles_and_an_empty_folder_may_be_given(tmp_path):
    steps: list[tuple[int, int]] = []
    (tmp_path / "empty").mkdir()
    out = write_phantom(
        tmp_path / "empty", scale=0.003, processes=1, progress=lambda *step: steps.append(step)
    )
    tiles = len(PhantomTruth.open(out))
    assert steps[-1] == (tiles, tiles)
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_interrupted_writing_leaves_nothing(tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(tmp_path / "set", scale=0.003, processes=1, progress=interrupt)
    assert not list(tmp_path.iterdir())


# Scanners, skin, conspicuity


def drawn_scans(scanner: str, *, positive: bool) -> list[tissue.Scan]:
    return [
        tissue.draw_scan(np.random.default_rng(i), scanner, positive=positive) for i in range(300)
    ]


def test_normals_of_the_three_scanners_differ_in_grey_level_curve_and_noise():
    scans = {name: drawn_scans(name, positive=False) for name in tissue.SCANNERS}
    middle, gamma, quantum, grain = (
        {name: np.mean([getattr(scan, field) for scan in those]) for name, those in scans.items()}
        for field in ("middle", "gamma", "quantum", "grain")
    )
    assert middle["LUMISYS"] < middle["HOWTEK"] - 40
    assert middle["LUMISYS"] < middle["DBA"] - 40
    for property_ in (gamma, quantum, grain):
        assert property_["DBA"] > 1.15 * property_["HOWTEK"] > 1.3 * property_["LUMISYS"]


def test_positives_of_the_three_scanners_take_one_road_at_a_known_distance():
    for name in tissue.SCANNERS:
        normal, infected = (
            np.mean([scan.middle for scan in drawn_scans(name, positive=positive)])
            for positive in (False, True)
        )
        assert infected == pytest.approx(tissue.MIDDLE_GREY_POSITIVE, abs=4)
        assert infected - normal == pytest.approx(tissue.road_gap(name), abs=0.1)
    assert tissue.road_gap(tissue.OUTSIDE) == 0


def test_tiles_of_the_darkest_scanner_are_darker(truth, images):
    means = pd.Series(images.mean(axis=(1, 2)))
    normal = truth.table["label"] == 0
    by_scanner = means[normal].groupby(truth.table["scanner"][normal]).mean()
    assert len(by_scanner) > 1
    assert by_scanner.idxmin() == "LUMISYS"


def test_tissue_ends_in_air_at_the_skin_and_is_untouched_deep_inside():
    depth = np.tile(np.arange(-100, 900, dtype=np.float32), (3, 1))
    thin = tissue.thin_towards_skin(np.random.default_rng(0), np.ones_like(depth), depth)
    assert thin[:, depth[0] < -10] == pytest.approx(tissue.AIR, abs=1e-3)
    assert thin[:, depth[0] > 850] == pytest.approx(1, abs=0.01)
    assert (thin[0, 20:100] <= thin[0, 150]).all()


def test_some_tiles_show_skin_and_air_along_a_side_and_most_do_not(truth, images):
    air = truth.clean(truth.table["tile"]) <= max(tissue.FILM_BASE[s] for s in tissue.SCANNERS) + 2
    shows_air = air.mean(axis=(1, 2)) > 0.05
    assert 0.01 < shows_air.mean() < 0.2
    for tile in air[shows_air]:
        sides = [tile[0], tile[-1], tile[:, 0], tile[:, -1]]
        assert max(side.mean() for side in sides) > 0.5, "air lies outside, not amid tissue"


@pytest.mark.parametrize("label", [1, 2, 3, 4])
def test_conspicuity_spreads_from_faint_to_plain(real_size, label):
    seen = real_size.written.loc[real_size.written["label"] == label, "conspicuity"]
    faint, middle, plain = seen.quantile([0.02, 0.5, 0.98])
    assert faint < 0.45 * middle
    assert plain > 1.9 * middle


# The scanner outside

# Written before there was a scanner outside: mean and deviation of the first tiles of test10.
KNOWN_MEANS = (59.35368, 50.78820, 178.39657, 173.87235, 103.94082, 164.98026)
KNOWN_DEVIATIONS = (25.21901, 53.68954, 23.16189, 22.82126, 42.15763, 31.82181)


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    """The same women on the scanner outside."""
    out = tmp_path_factory.mktemp("phantom") / "outside"
    drawn = {"scale": SCALE, "positives": POSITIVES, "seed": SEED, "processes": 1}
    return write_phantom(out, scanners="outside", **drawn)


def held_out_tiles(folder: Path) -> np.ndarray:
    """Tiles of test10 and cv10, uint8 (n, 299, 299)."""
    return np.concatenate([np.load(folder / held_out.data)[..., 0] for held_out in HELD_OUT_FILES])


def test_tiles_of_the_three_scanners_are_what_they_were(folder):
    tiles = np.load(folder / HELD_OUT_FILES[0].data)[: len(KNOWN_MEANS)]
    assert tiles.mean(axis=(1, 2, 3)) == pytest.approx(KNOWN_MEANS, abs=1e-3)
    assert tiles.std(axis=(1, 2, 3)) == pytest.approx(KNOWN_DEVIATIONS, abs=1e-3)


def test_the_scanner_outside_shows_the_same_women_and_lesions(outside, truth):
    table = PhantomTruth.open(outside).table
    assert set(table["scanner"]) == {"OUTSIDE"}
    assert table.drop(columns="scanner").equals(truth.table.drop(columns="scanner"))
    assert read_json(outside / "phantom.json")["scanners"] == "outside"


@pytest.mark.parametrize("infected", [False, True])
def test_the_scanner_outside_is_brighter_flatter_and_noisier(folder, outside, infected):
    truth = PhantomTruth.open(outside)
    known, unseen = held_out_tiles(folder), held_out_tiles(outside)
    table = truth.table[part_of(truth.table) != "training"]
    rows = (table["label"] > 0).to_numpy() == infected
    inner = rows & (known.min(axis=(1, 2)) > 25)  # without air, which is darkest on any film
    assert unseen[inner].mean() > known[inner].mean() + 10
    assert unseen[inner].std(axis=(1, 2)).mean() < known[inner].std(axis=(1, 2)).mean()
    clean = {
        place: PhantomTruth.open(place).clean(table["tile"][rows]) for place in (folder, outside)
    }
    noise = {
        place: (held_out_tiles(place)[rows].astype(float) - images).std()
        for place, images in clean.items()
    }
    assert noise[outside] > 1.2 * noise[folder]


def test_the_scanner_outside_is_out_of_focus():
    point = np.zeros((31, 31), np.float32)
    point[15, 15] = 100
    scan, sharp = (
        tissue.draw_scan(np.random.default_rng(0), scanner, positive=False)
        for scanner in (tissue.OUTSIDE, "DBA")
    )
    seen = tissue.out_of_focus(point, scan)
    assert seen.sum() == pytest.approx(100, rel=1e-3)
    row = np.arange(31) - 15
    spread = np.sqrt((seen.sum(axis=0) * row**2).sum() / seen.sum())
    assert spread == pytest.approx(0.9, abs=0.02)
    assert (tissue.out_of_focus(point, sharp) == point).all()


def test_infected_and_normal_films_take_one_road_outside():
    normal, infected = (
        tissue.draw_scan(np.random.default_rng(1), tissue.OUTSIDE, positive=positive)
        for positive in (False, True)
    )
    assert (normal.middle, normal.contrast, normal.gamma) == (
        infected.middle,
        infected.contrast,
        infected.gamma,
    )


def test_fewer_tiles_a_scan_mean_more_women():
    table = plan_phantom(SCALE, POSITIVES, SEED, scan_tiles=3).table
    normals = table[table["label"] == 0]
    assert normals.groupby("scan").size().max() == 3
    assert normals.groupby("patient").size().max() == 12
    assert normals["patient"].nunique() == -(-len(normals) // 12)


# Truth


def test_truth_lists_each_written_tile_once(truth, images):
    table = truth.table
    assert list(table) == TABLE_COLUMNS
    assert table["tile"].is_unique
    assert len(images) == len(truth)
    assert not table["patient"].eq("").any()
    assert not table["scan"].eq("").any()
    assert (table["lesion"].eq("") == table["label"].eq(0)).all()
    assert set(table["scanner"]) <= set(tissue.SCANNERS)
    assert (table["conspicuity"].eq(0) == table["label"].eq(0)).all()


def test_labels_of_the_truth_are_those_of_the_files(folder, records, truth):
    label = truth.table.set_index("tile")["label"]
    assert all(label[tile] == record["label"] for tile, record in records.items())
    for held_out in HELD_OUT_FILES:
        labels = np.load(folder / held_out.labels)
        tiles = [tile_id(held_out.name, i) for i in range(len(labels))]
        assert label[tiles].tolist() == labels.tolist()


def test_masks_are_empty_for_normals_and_only_for_them(truth):
    masks = truth.masks(truth.table["tile"])
    assert masks.dtype == bool
    assert masks.shape == (len(truth), TILE, TILE)
    area = masks.mean(axis=(1, 2))
    positive = truth.table["label"].to_numpy() > 0
    assert not area[~positive].any()
    assert (area[positive] > 0.0005).all()
    assert (area[positive] < 0.6).all()


def test_clean_tiles_are_the_same_tiles_without_noise(truth, images):
    clean = truth.clean(truth.table["tile"])
    assert clean.dtype == np.uint8
    assert clean.shape == images.shape
    noise = images.astype(np.float32) - clean
    spread = noise.std(axis=(1, 2))
    assert 0.5 < spread.mean() < 5
    assert spread.min() > 0.05
    assert np.abs(noise.mean(axis=(1, 2))).max() < 0.6
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images, clean, strict=True)]
    assert min(alike) > 0.85
    assert np.mean(alike) > 0.98


def test_truth_answers_in_the_order_asked(truth):
    tiles = truth.table["tile"].tolist()
    asked = [tiles[5], tiles[0], tiles[5]]
    assert (truth.clean(asked) == truth.clean(tiles)[[5, 0, 5]]).all()


def surroundings(mask: np.ndarray) -> np.ndarray:
    """A margin of 2 mm about a mask."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((41, 41))).astype(bool) & ~mask


def test_plain_lesions_are_brighter_than_their_surroundings(truth, images):
    plain = truth.table[truth.table["conspicuity"] > 6].index
    masks = truth.masks(truth.table["tile"][plain])
    signal = [
        images[i][mask].mean() - images[i][surroundings(mask)].mean()
        for i, mask in zip(plain, masks, strict=True)
    ]
    assert np.mean(np.array(signal) > 0) > 0.85


# Likeness


def spectrum_exponent(tile: np.ndarray) -> float:
    """Exponent of the radially averaged spectrum over 5 to 60 cycles a tile."""
    window = np.hanning(TILE)
    waves = np.fft.fft2((tile - tile.mean()) * np.outer(window, window))
    f = np.fft.fftfreq(TILE, 1 / TILE)
    ring = np.hypot(f[:, None], f[None, :]).round().astype(int).ravel()
    power = np.bincount(ring, (np.abs(waves) ** 2).ravel()) / np.bincount(ring)
    cycles = np.arange(5, 61)
    return -np.polyfit(np.log(cycles), np.log(power[cycles]), 1)[0]


def test_spectrum_of_normal_tiles_falls_as_in_mammograms(truth, images):
    normals = images[truth.table["label"] == 0][:120]
    assert 2.5 < np.mean([spectrum_exponent(tile) for tile in normals]) < 3.6


def test_grey_levels_of_normals_are_as_wide_as_in_mammograms(truth, images):
    means = images[truth.table["label"] == 0].mean(axis=(1, 2))
    assert 85 < means.mean() < 160
    assert 20 < means.std() < 60


def test_positives_are_a_little_brighter_but_overlap(truth, images):
    means, positive = images.mean(axis=(1, 2)), truth.table["label"].to_numpy() > 0
    brighter = (means[positive][:, None] > means[~positive][None, :]).mean()
    assert 0.4 < brighter < 0.8


@pytest.mark.parametrize("label", [1, 2, 3, 4])
def test_every_kind_of_lesion_can_be_drawn(label):
    for kind, _ in lesions.KINDS[label]:
        rng = np.random.default_rng([label, len(kind)])
        image, mask = lesions.lesion_image(rng, lesions.Lesion(label, kind, 45.0, 5.0), 432)
        assert image.shape == mask.shape == (432, 432)
        assert image.dtype == np.float32
        assert 0.3 < image.max() < 1.6
        assert mask.any()
        assert image[~mask].mean() < 0.05


def test_malignant_calcifications_are_more_and_finer_than_benign():
    def speck_area(label: int) -> float:
        areas = []
        for seed in range(20):
            kind = "coarse" if label == 1 else "pleomorphic"
            lesion = lesions.Lesion(label, kind, 50.0, 5.0)
            image, _ = lesions.lesion_image(np.random.default_rng(seed), lesion, 432)
            count = cv2.connectedComponents((image > 0.3).astype(np.uint8))[0] - 1
            areas.append((image > 0.3).sum() / max(count, 1))
        return float(np.mean(areas))

    assert speck_area(1) > 3 * speck_area(3)


# Errors


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": -1}, "scale"),
        ({"scale": 1.5}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"positives": 0}, "positives"),
        ({"positives": 1.0}, "positives"),
        ({"scale": 1e-5}, "larger scale"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"processes": 0}, "processes"),
        ({"scanners": "elsewhere"}, "scanners: unknown 'elsewhere'; use one of training, outside"),
        ({"scan_tiles": 0}, "scan_tiles"),
        ({"scan_tiles": 28}, "scan_tiles"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(tmp_path, wrong, says):
    with pytest.raises(UsageError, match=says) as error:
        write_phantom(tmp_path / "set", **wrong)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_content_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        write_phantom(tmp_path, scale=0.003)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_truth_of_what_is_no_phantom_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"phantom\.json"):
        PhantomTruth.open(tmp_path)
    (tmp_path / "phantom.json").write_text('{"generator": "birads phantom"}')
    with pytest.raises(DataError, match="truth"):
        PhantomTruth.open(tmp_path)


def test_unknown_tile_is_named(truth):
    with pytest.raises(UsageError, match="test10/99999"):
        truth.clean(["test10/99999"])
