"""Sweeps: what is read, never repeated, recorded where it fails, collected, refused.

The members here answer from the labels, so nothing is trained; how real kinds train is
tested in test_sweep_training.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from birads_lib.cli import main
from birads_lib.errors import DataError, UsageError
from birads_lib.files import read_json, sealed, sha256, write_json
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import PREDICTION_COLUMNS
from birads_lib.study import sweeps
from birads_lib.study.graph import put_stamp
from birads_lib.study.kinds import DENOISED, KINDS, Kind
from birads_lib.study.ledger import changed_sweeps
from birads_lib.study.run import Run
from birads_lib.study.sweep_data import HELD_OUT, Answers
from birads_lib.study.sweeps import (
    collect,
    drop_stamps_of_lost_answers,
    get_sweep,
    group_stamp,
    member_digest,
    member_folder,
    read_sweeps,
    results_path,
    run_group,
    run_member,
    table_path,
)

ROOT = Path(__file__).resolve().parents[2]
ONCE = {"epochs": 1}
CALLS: list[tuple[float, int]] = []
LUCKY = False


def knowing(task, *, skill: float = 1.0) -> Answers:
    """Knows the class of a share of the infected tiles, drawn by seed; says C2 of the others."""
    CALLS.append((skill, task.seed))
    label = task.data.labels[task.data.part(HELD_OUT, infected=True)]
    known = np.random.default_rng(task.seed).random(len(label)) < skill
    said = np.where(known, label, 1)
    scores = pd.DataFrame(0.1 + 0.6 * np.eye(4)[said - 1], columns=list(LESION_CODES))
    return Answers({"scorer": scores}, f"{skill}")


def failing(task, *, skill: float = 1.0) -> Answers:
    """Fails with an odd seed."""
    if task.seed % 2 and not LUCKY:
        raise RuntimeError("out of luck\nand more")
    return knowing(task, skill=skill)


def short(task) -> Answers:
    """Answers for one tile too few."""
    answers = knowing(task)
    return Answers({"scorer": answers.scores["scorer"].iloc[1:]}, "short")


def member(kind="knowing", group="quick", **settings):
    entry = {"title": f"{kind} {settings}", "kind": kind, "stage": "scorer", "group": group}
    return entry | {"settings": settings}


def described(**members):
    """A file of one sweep; its smoke profile has two seeds a member."""
    groups = {entry["group"] for entry in members.values()}
    sizes = {"smoke": {group: {"seeds": 2} for group in groups}}
    names = [name for name, entry in members.items() if entry["kind"] == "knowing"]
    compare = [[name, names[0]] for name in names[1:]]
    return {"made": {"about": "A test.", "members": members, "compare": compare, "profiles": sizes}}


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    CALLS.clear()
    for predict in (knowing, failing, short):
        monkeypatch.setitem(KINDS, predict.__name__, Kind(predict))


@pytest.fixture
def run(store, tmp_path):
    """A run with tiles and the file that members depend on."""
    folder = tmp_path / "run" / "smoke"
    folder.mkdir(parents=True)
    (folder / "store").symlink_to(store_folder(store))
    (folder / "tiles").mkdir()
    np.save(folder / DENOISED, np.zeros((len(store), 4, 4), np.uint8))
    return Run(folder, "sweep")


def store_folder(store):
    return os.path.dirname(store.images.filename)


@pytest.fixture
def written(tmp_path):
    """Writes a sweeps file and reads its one sweep."""

    def write(entry, profile="smoke", seeds=None):
        path = tmp_path / "sweeps.yml"
        path.write_text(yaml.safe_dump(entry, sort_keys=False))
        return get_sweep("made", profile, path, seeds)

    return write


# Reading


def test_the_projects_sweeps_are_as_the_schema_wants_them_in_every_profile():
    for profile in ("smoke", "laptop", "paper"):
        found = read_sweeps(profile)
        assert "ablations" in found
        for sweep in found.values():
            assert sweep.members
            assert {m.kind for m in sweep.members.values()} <= set(KINDS)


def test_cheap_members_have_five_seeds_in_the_laptop_profile():
    heads = get_sweep("ablations", "laptop").group("heads")
    assert {m.seeds for m in heads} == {5}
    assert {"both", "spatial", "channel", "none"} <= {m.name for m in heads}


def test_seeds_asked_for_go_over_the_profiles(written):
    entry = described(best=member())
    assert written(entry).members["best"].seeds == 2
    assert written(entry, seeds=7).members["best"].seeds == 7


def test_a_members_settings_go_over_its_groups_entry_by_entry():
    sweep = get_sweep("ablations", "laptop")
    assert (
        sweep.members["denoised"].parameters["effort"]
        == (sweep.members["no-attention"].parameters["effort"])
    )
    assert sweeps._over({"effort": {"epochs": 3, "batch_size": 8}}, {"effort": {"epochs": 5}}) == {
        "effort": {"epochs": 5, "batch_size": 8}
    }


def test_what_a_profile_says_of_one_member_goes_over_all_else(written):
    entry = described(best=member(skill=0.9), half=member(skill=0.5))
    size = entry["made"]["profiles"]["smoke"]["quick"]
    size["each"] = {"best": {"seeds": 4, "settings": {"skill": 0.7}}}
    sweep = written(entry)
    assert (sweep.members["best"].seeds, sweep.members["half"].seeds) == (4, 2)
    assert sweep.members["best"].parameters == {"skill": 0.7}
    assert sweep.members["half"].parameters == {"skill": 0.5}
    assert written(entry, seeds=1).members["best"].seeds == 1
    size["each"] = {"worst": {"seeds": 4}}
    with pytest.raises(UsageError, match="group quick: member: unknown 'worst'; use one of best"):
        written(entry)


def test_every_member_is_in_the_smoke_profile_but_for_larger_sizes_of_one_network():
    for name, sweep in read_sweeps("paper").items():
        absent = sweep.members.keys() - read_sweeps("smoke")[name].members.keys()
        larger = {f"EfficientNetB{i}" for i in range(2, 8)} if name == "ablations" else set()
        assert absent == larger, "these differ from B0 and B1 in depth and width alone"


def test_averages_are_short_where_trainings_are():
    averages = {
        profile: get_sweep("related", profile).members["GoogLeNet"].parameters["effort"]["average"]
        for profile in ("laptop", "paper")
    }
    assert averages == {"laptop": 0.9, "paper": 0.99}


def test_networks_that_references_begin_with_pretrained_do_so_in_the_paper_profile():
    for profile, weights in (("laptop", None), ("paper", "imagenet")):
        members = get_sweep("related", profile).members
        for name in ("ResNet50", "VGG16", "VGG16-fine-tuned"):
            assert members[name].parameters.get("weights") == weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["made"]["members"]["best"].update(kind="magic"), "'magic'.*attention"),
        (lambda e: e["made"]["compare"].append(["best", "worst"]), "'worst'.*best, second"),
        (
            lambda e: e["made"]["profiles"]["smoke"]["quick"].update(members=["worst"]),
            "'worst'.*best, second",
        ),
        (lambda e: e["made"]["profiles"]["smoke"].update(slow={"seeds": 1}), "'slow'.*quick"),
        (
            lambda e: e["made"]["profiles"]["smoke"]["quick"].update(settings={"skil": 1}),
            "group quick: setting: unknown 'skil'; use one of skill",
        ),
        (
            lambda e: e["made"]["members"].update(
                net=member("backbone", effort=ONCE, scorer_size=[32, 32], backbone="EfficientNetB8")
            ),
            "member net: backbone: unknown 'EfficientNetB8'; use one of EfficientNetB0",
        ),
        (
            lambda e: e["made"]["members"].update(
                net=member("scorer", effort=ONCE, scorer_size=[32, 32], model="VGG17")
            ),
            "member net: model: unknown 'VGG17'; use one of .*VGG16",
        ),
        (
            lambda e: e["made"]["members"].update(
                net=member("gate", effort=ONCE, gate_size=32, model="SqueezeNet")
            ),
            "member net: model: unknown 'SqueezeNet'; use one of .*SqueezeNet1.1",
        ),
        (
            lambda e: e["made"]["members"].update(forest=member("classic", model="trees")),
            "member forest: model: unknown 'trees'; use one of .*random forest",
        ),
        (
            lambda e: e["made"]["members"].update(
                forest=member("classic", model="XGBoost", features=["wavelets"])
            ),
            "member forest: features: unknown 'wavelets'; use one of .*glcm",
        ),
        (
            lambda e: e["made"]["members"].update(head=member("attention", effort={"epoch": 1})),
            "member head: effort: unknown 'epoch'; use one of .*epochs",
        ),
        (
            lambda e: e["made"]["members"].update(
                head=member("attention", effort=ONCE, attention="spacial")
            ),
            "member head: attention: unknown 'spacial'; use one of both, spatial",
        ),
        (
            lambda e: e["made"]["members"].update(
                head=member("attention", effort=ONCE, pool="windows")
            ),
            "member head: pool: unknown 'windows'; use one of channels, window",
        ),
        (
            lambda e: e["made"]["members"].update(
                net=member(
                    "scorer", effort=ONCE, scorer_size=[32, 32], model="VGG16", noise="mean"
                )
            ),
            "member net: noise: unknown 'mean'; use one of median",
        ),
    ],
    ids=[
        "kind", "pair", "member", "group", "setting", "backbone", "scorer", "gate", "classic",
        "features", "effort", "attention", "pool", "noise",
    ],
)  # fmt: skip
def test_an_unknown_name_lists_the_known_ones(written, change, message):
    entry = described(best=member(), second=member(skill=0.5))
    change(entry)
    with pytest.raises(UsageError, match=message):
        written(entry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["made"]["members"]["best"].update(settings={"luck": 1}), "no setting 'luck'"),
        (lambda e: e["made"]["members"]["best"].pop("title"), "'title' is a required property"),
        (lambda e: e["made"]["profiles"]["smoke"]["quick"].update(seeds=0), "less than the min"),
        (lambda e: e["made"]["members"]["best"].update(kind="attention"), "'effort' is missing"),
    ],
    ids=["setting", "title", "seeds", "needed"],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(written, change, message):
    entry = described(best=member())
    change(entry)
    with pytest.raises(DataError, match=message) as error:
        written(entry)
    assert "\n" not in str(error.value)


def test_an_unknown_sweep_profile_or_group_lists_the_known_ones(written):
    with pytest.raises(UsageError, match="'ablation'; use one of ablations"):
        get_sweep("ablation", "smoke")
    with pytest.raises(UsageError, match="'huge'; use one of smoke"):
        written(described(best=member()), profile="huge")
    with pytest.raises(UsageError, match="'slow'; use one of quick"):
        written(described(best=member())).group("slow")


def test_the_command_line_lists_sweeps_and_refuses_no_seeds(capsys, monkeypatch):
    assert main(["sweep", "nothing", "--profile", "smoke"]) == 2
    assert "unknown 'nothing'; use one of ablations" in capsys.readouterr().err
    assert main(["sweep", "ablations", "--profile", "smoke", "--seeds", "0"]) == 2
    assert "seeds: 0 given" in capsys.readouterr().err


@pytest.fixture
def planned(monkeypatch, tmp_path):
    """Command lines that `birads sweep` would run, in a copy of what it reads."""
    calls: list[list[str]] = []

    def record(command, **_):
        calls.append(command)
        return 1

    for name in ("notebooks", "profiles.yml", "sweeps.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setattr("birads_lib.cli.run_whole", record)
    monkeypatch.chdir(tmp_path)
    return calls


def test_a_sweep_is_handed_to_the_graph_and_goes_on_where_one_group_fails(planned, capsys):
    arguments = ["ablations", "gates", "--profile", "smoke", "--seeds", "3", "--cores", "2"]
    assert main(["sweep", *arguments]) == 1
    (command,) = planned
    assert command[3:7] == ["sweep_ablations", "sweep_gates", "--cores", "2"]
    assert "--keep-going" in command
    assert command[-3:] == ["profile=smoke", "seeds=3", "sweep=ablations,gates"]
    assert "stopped before the sweep" in capsys.readouterr().err


def test_a_sweep_runs_on_a_cluster_too(planned):
    Path("cluster").symlink_to(ROOT / "cluster")
    main(["sweep", "ablations", "--profile", "smoke", "--cluster", "slurm"])
    assert planned[0][4:6] == ["--workflow-profile", "cluster/slurm"]


# Running


def test_a_member_leaves_a_row_for_each_held_out_tile_of_its_stage(run, written):
    sweep = written(described(best=member()))
    table = run_member(run, sweep.members["best"], 0)
    tiles = run.store.table
    expected = tiles[(tiles["origin"] != "training") & (tiles["label"] > 0)]
    assert tuple(table.columns) == PREDICTION_COLUMNS
    assert table["tile"].tolist() == expected["tile"].tolist()
    assert table["group"].tolist() == expected["group"].tolist()
    pd.testing.assert_frame_equal(table, pd.read_parquet(run.path / "sweeps/made/best/0.parquet"))
    assert read_json(run.path / "sweeps/made/best/0.json")["parameters"] == {}


def test_a_finished_training_is_never_repeated(run, written):
    sweep = written(described(best=member(), half=member(skill=0.5)))
    assert run_group(run, sweep, "quick")["state"].tolist() == ["done"] * 4
    assert len(CALLS) == 4
    assert run_group(run, sweep, "quick")["state"].tolist() == ["done before"] * 4
    assert len(CALLS) == 4


def test_more_seeds_train_only_the_new_ones(run, written):
    entry = described(best=member())
    run_group(run, written(entry), "quick")
    CALLS.clear()
    run_group(run, written(entry, seeds=4), "quick")
    assert CALLS == [(1.0, 2), (1.0, 3)]


def test_a_title_decides_nothing_and_a_setting_does(run, written):
    def digest(entry):
        return member_digest(run, written(described(best=entry)).members["best"], 0)

    before = digest(member())
    assert digest(member() | {"title": "another", "group": "other"}) == before
    assert digest(member(skill=0.5)) != before
    assert digest(member("failing")) != before


def test_other_denoised_tiles_decide_and_their_place_does_not(run, written, tmp_path):
    best = written(described(best=member())).members["best"]
    before = member_digest(run, best, 0)
    moved = run.path.rename(tmp_path / "elsewhere")
    assert member_digest(Run(moved, "sweep"), best, 0) == before
    np.save(moved / DENOISED, np.ones((len(run.store), 4, 4), np.uint8))
    assert member_digest(Run(moved, "sweep"), best, 0) != before


def test_a_network_counts_by_its_weights_where_its_training_says_so(tmp_path):
    network = tmp_path / "scorer.keras"
    network.write_bytes(b"one packing")
    assert sweeps._content(network) == sha256(network)
    described = {"weights": "the weights", "file": sha256(network)}
    write_json(network.with_suffix(".json"), described)
    assert sweeps._content(network) == "the weights"
    network.write_bytes(b"of another training")
    assert sweeps._content(network) == sha256(network)


def test_where_a_network_looks_is_kept_by_tile_and_goes_with_it(run, written, monkeypatch):
    best = written(described(best=member())).members["best"]
    first = np.array([[1, 0, 0.5], [0, 1, 0]], np.float32)

    def looking(task, *, skill: float = 1.0) -> Answers:
        answers = knowing(task, skill=skill)
        return Answers(answers.scores, answers.model, {3: first})

    monkeypatch.setitem(KINDS, "knowing", Kind(looking))
    table = run_member(run, best, 0)
    kept = sweeps.affine_path(member_folder(run, best) / "0.parquet")
    assert read_json(kept) == {table["tile"].iloc[3]: first.tolist()}
    monkeypatch.setitem(KINDS, "knowing", Kind(knowing))
    run_member(run, best, 0)
    assert not kept.exists()


def test_a_damaged_table_is_made_again(run, written, flip_byte):
    best = written(described(best=member())).members["best"]
    run_member(run, best, 0)
    flip_byte(member_folder(run, best) / "0.parquet", 50)
    CALLS.clear()
    run_member(run, best, 0)
    assert len(CALLS) == 1


def test_a_failed_training_is_recorded_and_the_others_go_on(run, written):
    sweep = written(described(unlucky=member("failing"), best=member()))
    found = run_group(run, sweep, "quick").set_index(["member", "seed"])
    assert found["state"].to_dict() == {
        ("unlucky", 0): "done",
        ("unlucky", 1): "failed",
        ("best", 0): "done",
        ("best", 1): "done",
    }
    assert found.loc[("unlucky", 1), "reason"] == "RuntimeError: out of luck"


def test_a_failed_training_is_tried_again(run, written, monkeypatch):
    sweep = written(described(unlucky=member("failing")))
    run_group(run, sweep, "quick")
    monkeypatch.setattr(f"{__name__}.LUCKY", True)
    assert run_group(run, sweep, "quick")["state"].tolist() == ["done before", "done"]
    assert collect(run, sweep)["complete"]


def test_a_run_without_denoised_tiles_says_what_to_do(run, written):
    (run.path / DENOISED).unlink()
    with pytest.raises(DataError, match=r"denoised\.npy: missing; run `birads study`"):
        run_member(run, written(described(best=member())).members["best"], 0)


def test_answers_for_too_few_tiles_are_refused(run, written):
    sweep = written(described(hasty=member("short")))
    reasons = run_group(run, sweep, "quick")["reason"]
    assert reasons.str.contains("one for each held-out tile").all()
    assert not list(member_folder(run, sweep.members["hasty"]).glob("*.parquet"))


# Collecting


def test_a_whole_sweep_is_collected_with_scores_and_differences(run, written):
    sweep = written(described(half=member(skill=0.5), best=member()))
    run_group(run, sweep, "quick")
    found = collect(run, sweep)
    assert found["complete"]
    assert pd.read_parquet(table_path(run.path, "made")).attrs["complete"] is True
    assert found["failed"] == {}
    assert found["missing"] == []
    assert found["members"]["best"]["scores"]["scorer"]["accuracy"]["value"] == 1.0
    table = pd.read_parquet(table_path(run.path, "made"))
    infected = int((run.store.table["label"][run.store.table["origin"] != "training"] > 0).sum())
    assert set(table.groupby(["member", "seed"]).size()) == {infected}
    assert set(table["member"]) == {"half", "best"}
    half = table[table["member"] == "half"]
    right = half[list(LESION_CODES)].to_numpy().argmax(axis=1) + 1 == half["label"]
    (difference,) = found["differences"]
    assert (difference["first"], difference["second"]) == ("best", "half")
    assert difference["accuracy"]["value"] == pytest.approx(1 - right.mean())
    assert read_json(run.results / "sweep_made.json") == found


def test_a_sweep_with_a_failed_member_says_which_and_keeps_the_rest(run, written):
    sweep = written(described(best=member(), unlucky=member("failing")))
    run_group(run, sweep, "quick")
    found = collect(run, sweep)
    assert not found["complete"]
    assert found["failed"] == {"unlucky": "seed 1: RuntimeError: out of luck"}
    assert found["members"]["best"]["seeds"] == [0, 1]
    assert found["members"]["unlucky"]["seeds"] == [0], "its other seed is kept"
    said = pd.read_parquet(table_path(run.path, "made")).attrs
    assert said == {key: found[key] for key in ("complete", "failed", "missing")}


def test_a_training_that_has_not_finished_is_missing(run, written):
    sweep = written(described(best=member()))
    run_member(run, sweep.members["best"], 0)
    found = collect(run, sweep)
    assert not found["complete"]
    assert found["missing"] == ["best, seed 1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], "is missing"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "stands twice"),
    ],
    ids=["missing", "twice"],
)
def test_a_table_that_misses_a_tile_or_has_one_twice_is_refused(run, written, change, message):
    sweep = written(described(best=member()))
    run_group(run, sweep, "quick")
    path = member_folder(run, sweep.members["best"]) / "1.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    about = path.with_suffix(".json")
    write_json(about, {**read_json(about), "table": sha256(path)})
    found = collect(run, sweep)
    assert not found["complete"]
    assert message in found["failed"]["best"]
    assert found["members"]["best"]["seeds"] == [0]


def test_collecting_again_changes_nothing_where_nothing_changed(run, written, monkeypatch):
    sweep = written(described(best=member()))
    run_group(run, sweep, "quick")
    first = collect(run, sweep)
    monkeypatch.setattr(sweeps, "commit", lambda: "another")
    assert collect(run, sweep) == first
    more = written(described(best=member()), seeds=1)
    assert collect(run, more)["commit"] == "another"


def test_a_sweep_of_which_nothing_ran_leaves_no_table(run, written):
    found = collect(run, written(described(best=member())))
    assert found["table"] is None
    assert found["members"] == {}
    assert not table_path(run.path, "made").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found["members"]["half"]["scores"]["scorer"]["auroc"].update(value=0.987),
         "not what the predictions give: half scorer auroc value is 0.987, recomputed "),
        (lambda found: found["differences"][0]["accuracy"].update(interval=[0.1, 0.2]),
         "best less half, scorer accuracy interval is [0.1, 0.2], recomputed "),
        (lambda found: found["differences"].pop(), "best less half, scorer is None, recomputed "),
        (lambda found: found["members"]["half"].update(seeds=[0, 7]),
         "does not go with its predictions (IndexError"),
    ],
    ids=["score", "difference", "lost difference", "seeds"],
)  # fmt: skip
def test_results_that_do_not_follow_from_a_sweeps_predictions_are_named(run, written, change, said):
    sweep = written(described(half=member(skill=0.5), best=member()))
    run_group(run, sweep, "quick")
    collect(run, sweep)
    assert changed_sweeps(run.path) == []
    path = results_path(run.path, "made")
    found = read_json(path)
    change(found)
    write_json(path, sealed(found))
    (line,) = changed_sweeps(run.path)
    assert line.startswith(f"{path}: ")
    assert said in line


def test_results_that_say_something_else_are_named(run, written):
    sweep = written(described(best=member(), bad=member("failing")))
    run_group(run, sweep, "quick")
    assert not collect(run, sweep)["complete"]
    path = results_path(run.path, "made")
    write_json(path, {**read_json(path), "complete": True, "failed": {}})
    (line,) = changed_sweeps(run.path)
    assert line == f"{path}: changed since it was written; run `birads sweep made` again"
    collect(run, sweep)
    assert changed_sweeps(run.path) == []


@pytest.mark.parametrize("damaged", ["{", "[]", "1", '{"complete": true}'])
def test_damaged_results_are_written_again(run, written, damaged):
    sweep = written(described(best=member()))
    run_group(run, sweep, "quick")
    whole = collect(run, sweep)
    results_path(run.path, "made").write_text(damaged)
    again = collect(run, sweep)
    assert {**again, "date": "", "checksum": ""} == {**whole, "date": "", "checksum": ""}
    assert read_json(results_path(run.path, "made")) == again


@pytest.mark.parametrize("damaged", ["{", "[]", "{}", '{"digest": 1}', '{"failed": ["x"]}'])
def test_a_damaged_note_of_a_training_is_told_and_made_again(run, written, damaged):
    sweep = written(described(best=member()))
    run_group(run, sweep, "quick")
    (run.path / "sweeps/made/best/1.json").write_text(damaged)
    found = collect(run, sweep)
    assert found["missing"] == ["best, seed 1"] * ("failed" not in damaged)
    assert found["members"]["best"]["seeds"] == [0]
    run_group(run, sweep, "quick")
    assert collect(run, sweep)["complete"]


@pytest.fixture
def study(run):
    """A study whose networks are there, as far as stamps of groups ask."""
    stamp = run.path / "stamps" / "attention" / "made"
    stamp.parent.mkdir(parents=True)
    stamp.touch()
    return SimpleNamespace(run=run.path, stamp=lambda _: stamp, effect=lambda _: "networks")


def test_a_group_whose_answers_are_lost_is_not_done(run, written, study, flip_byte):
    sweep = written(described(best=member(), slow=member(group="slow")))
    for group in sweep.groups:
        run_group(run, sweep, group)
        put_stamp(group_stamp(study, sweep, group))
    drop_stamps_of_lost_answers(study, sweep)
    quick, slow = (group_stamp(study, sweep, group) for group in ("quick", "slow"))
    assert quick.exists()
    assert slow.exists()
    flip_byte(run.path / "sweeps/made/slow/1.parquet", 20)
    drop_stamps_of_lost_answers(study, sweep)
    assert quick.exists()
    assert not slow.exists()
    (run.path / "sweeps/made/best/0.parquet").unlink()
    study.stamp("attention").unlink()
    drop_stamps_of_lost_answers(study, sweep)
    assert quick.exists(), "without networks nothing is compared"
