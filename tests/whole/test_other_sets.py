"""Sets of whole scans enter a study: CBIS-DDSM and mini-MIAS folders, made small.

A whole smoke run on each would take minutes and train the same networks once more. Here the
chapters whose way depends on the set run as steps, with an untrained scorer in its place.
"""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from dicom_tree import DicomTree
from mias_set import MiasSet
from studies import ROOT, SOURCES, birads

from birads_lib.labels import LESION_CODES
from birads_lib.networks import attention_scorer
from birads_lib.tiles import TileStore

GRADES = (2, 3, 4, 5)


def cbis_folder(folder):
    """Sixteen women with a lesion in each view, and every category that the chapter grades."""
    tree = DicomTree(patients=16)
    tree.lesions = [
        replace(lesion, assessment=GRADES[(int(lesion.patient[2:]) // 4 + i) % 4])
        for i, lesion in enumerate(tree.lesions)
    ]
    tree.write(folder)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other_sets")
    for name in SOURCES:
        (folder / name).symlink_to(ROOT / name)
    return folder


def step(folder, name, data):
    done = birads(folder, "step", name, "--profile", "smoke", "--data", data)
    assert done.returncode == 0, done.stdout + done.stderr


def merged_run(folder, data):
    """A run after its first chapter, with what the chapter on BI-RADS reads of later ones."""
    step(folder, "data_merging", data)
    newest = max((folder / "_build" / "run").iterdir(), key=lambda p: p.stat().st_mtime)
    store = TileStore.open(newest / "store")
    (newest / "tiles").mkdir()
    np.save(newest / "tiles" / "denoised.npy", store.images[:, ::4, ::4])
    answers = store.table.loc[store.table["label"] > 0, ["tile"]].reset_index(drop=True)
    answers[list(LESION_CODES)] = 1 / len(LESION_CODES)
    answers.to_parquet(newest / "predictions" / "scorer.parquet")
    keras.utils.set_random_seed(0)
    scorer = attention_scorer("EfficientNetB0", (32, 32, 3), last_block=1)
    scorer.save(newest / "models" / "scorer.keras")
    step(folder, "real_birads", data)
    return newest


def test_a_cbis_folder_is_merged_and_its_radiologists_categories_are_learned(fresh):
    cbis_folder(fresh / "cbis")
    run = merged_run(fresh, "cbis")
    store = TileStore.open(run / "store")
    assert store.meta["source"]["layout"] == "cbis-ddsm"
    assert set(store.table["assessment"].dropna()) == set(GRADES)
    said = json.loads((run / "results" / "real_birads.json").read_text())
    assert said["source"] == "stated"
    assert said["birads"]["overall"]["quadratic_kappa"]["interval"]
    assert (run / "models" / "birads.keras").exists()
    shown = [json.loads(path.read_text()) for path in (run / "figures").glob("*.json")]
    shown = [figure for figure in shown if figure["chapter"] == "real_birads"]
    assert shown
    assert not any(figure["simulated"] for figure in shown)


def test_a_mias_folder_is_merged_and_the_chapter_says_that_it_has_no_birads(fresh):
    MiasSet().write(fresh / "mias")
    run = merged_run(fresh, "mias")
    assert TileStore.open(run / "store").table["label"].max() > 0
    said = json.loads((run / "results" / "real_birads.json").read_text())
    assert said == {"available": False}
