"""The lightweight gates and the systems that the paper cites, as their sweeps left them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from birads_lib.files import read_json
from birads_lib.metrics import (
    actual_class,
    in_words,
    mean_with_interval,
    predicted_class,
    share_with_interval,
)
from birads_lib.recipe import STAIR_EPOCHS
from birads_lib.study.ablations import (
    Results,
    difference,
    learned,
    provenance,
    read_results,
    settings_of,
)

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from birads_lib.networks.cost import Cost
    from birads_lib.study.latency import Latency
    from birads_lib.tiles.store import ImageRows

GATES, RELATED = "gates", "related"
"""The two sweeps."""
TITLES = {GATES: "Lightweight gates", RELATED: "Related work"}
OURS = "MobileNetV2"
PEERS = ("SqueezeNet", "ShuffleNetV2")
"""The members that the paper's statement on lightweight models is about."""
BETTER, NOT_BETTER, UNDECIDED, UNLEARNED = "better", "not better", "undecided", "not learned"
ANSWERS = {
    BETTER: "**Yes**: MobileNetV2 ranks better than both, with both whole intervals.",
    NOT_BETTER: "**No**: at least one of the two ranks better than MobileNetV2, with its whole "
    "interval.",
    UNDECIDED: "**Undecided**: an interval holds 0, and neither of the two ranks better with its "
    "whole interval.",
    UNLEARNED: "**No answer**: none of the three ranks these tiles better than chance.",
}
EXPLAINED = "XGBoost"  # whose answers Islam et al. explain by SHAP
TRANSFORMER = "GoogLeNet-STN"  # the member that chooses where to look
STILL = 0.01  # of half a tile's side: what no eye sees of a shift

BY_PAPER = "as the paper tells, section II"
REPORTED = {
    "two-stage-CNN": f"79.7 % of BI-RADS 3, ultrasound ({BY_PAPER})",
    "ResNet50": f"75.5 %, ultrasound ({BY_PAPER})",
    "VGG16": f"72.3 %, ultrasound ({BY_PAPER})",
    "VGG16-fine-tuned": f"98.96 %, MIAS, three classes ({BY_PAPER})",
    "GoogLeNet-STN": f"98.08 %, histopathology ({BY_PAPER})",
    "EfficientNetB7": "85.9, 77.9, 81.4, 90.8 % of C1 to C4, Mini-DDSM (Purnama et al. 2024)",
    "XGBoost": f"97 %, 500 patients ({BY_PAPER})",
}
"""Accuracy that the reference states of other pictures, by member, and who says so."""


@dataclass(frozen=True)
class GateAnswers:
    """What a gate's members said of the held-out tiles, seeds averaged.

    Attributes:
        infected: bool (N,).
        right: Share of seeds that were right, float (N,), 0..1.
        group: (N,), the patient or scan of each tile.
    """

    infected: NDArray[np.bool_]
    right: NDArray[np.float64]
    group: NDArray[np.object_]

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> GateAnswers:
        """From predictions of the stage ``"gate"``, a tile once for each seed."""
        right = predicted_class(predictions, "gate") == actual_class(predictions, "gate")
        tiles = predictions.assign(right=right).groupby("tile", sort=True)
        first = tiles[["label", "group"]].first()
        return cls(
            (first["label"] > 0).to_numpy(),
            tiles["right"].mean().to_numpy(float),
            first["group"].to_numpy(),
        )

    def sensitivity(self) -> dict[str, Any]:
        """Share of infected tiles let through, ``{"value", "interval"}``, over patients."""
        return self._share(self.infected)

    def specificity(self) -> dict[str, Any]:
        """Share of uninfected tiles turned away, ``{"value", "interval"}``."""
        return self._share(~self.infected)

    def _share(self, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        right, group = self.right[chosen], self.group[chosen]
        if np.isin(right, (0, 1)).all():
            return share_with_interval(right, group)
        return mean_with_interval(right, group)  # seeds that disagree about a tile


def read_sweep(run: Path, sweep: str) -> dict[str, Any] | None:
    """Results of a sweep; ``None`` if it has not run or no member of it succeeded.

    Raises:
        DataError: See ``ablations.read_results``.
    """
    found = read_results(run, sweep)
    return found if found and found["members"] else None


def what_ran(sweeps: Mapping[str, Results | None], profile: str) -> str:
    """When each sweep ran, or the command that runs it, a paragraph each, as Markdown."""
    return "\n\n".join(
        f"{TITLES[name]}: {provenance(found)}"
        if found
        else f"{TITLES[name]}: **this sweep has not been run to its end.** `birads sweep {name} "
        f"--profile {profile}` runs it (or `make sweep SWEEP={name} PROFILE={profile}`); then "
        "`make book` shows its results here."
        for name, found in sweeps.items()
    )


def swept_predictions(run: Path, sweep: str) -> pd.DataFrame:
    """The table of a collected sweep, ``PREDICTION_COLUMNS`` and ``member``.

    Args:
        run: The run's folder.
        sweep: Its name; ``ablations.read_results`` has checked the table.
    """
    return pd.read_parquet(run / "predictions" / f"sweep_{sweep}.parquet")


def averaged_over(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Whose weights were averaged, and over how many steps, as sentences; "" of none.

    One whose learning rate should fall in steps, and that ends before the first, is named.

    Args:
        settings: From ``ablations.settings_of``.
    """
    efforts = {name: of_member.get("effort", {}) for name, of_member in settings.items()}
    said = [
        f"{name} keeps {effort['average']:g} of its running mean at each step, a mean over about "
        f"{1 / (1 - effort['average']):.0f} steps."
        for name, effort in efforts.items()
        if effort.get("average")
    ]
    said += [
        f"The learning rate of {name} never falls: the first step comes after {STAIR_EPOCHS} "
        f"epochs, and it trains for {effort['epochs']}."
        for name, effort in efforts.items()
        if effort.get("schedule") == "staircase" and effort["epochs"] <= STAIR_EPOCHS
    ]
    return " ".join(said)


def network_of(settings: Mapping[str, Any]) -> keras.Model | None:
    """A member's network, untrained, at the size of its sweep; ``None`` of a classic model.

    Args:
        settings: Of one member, see ``ablations.settings_of``.
    """
    from birads_lib.networks import peers

    clip = settings.get("clip")
    if "gate_size" in settings:
        side = settings["gate_size"]
        return peers.GATES[settings["model"]]((side, side, 1), clip=clip)
    if "scorer_size" in settings:
        height, width = settings["scorer_size"]
        return peers.SCORERS[settings["model"]]((height, width, 3), clip=clip)
    return None


def member_networks(run: Path, sweep: str, found: Results) -> dict[str, keras.Model]:
    """The networks of a collected sweep's members, untrained; classic models have none."""
    built = {name: network_of(s) for name, s in settings_of(run, sweep, found).items()}
    return {name: network for name, network in built.items() if network is not None}


def network_costs(networks: Mapping[str, keras.Model]) -> dict[str, Cost]:
    """What one tile costs each network, by its name."""
    from birads_lib.networks.cost import cost_of

    return {name: cost_of(network) for name, network in networks.items()}


def gate_table(
    found: Results,
    predictions: pd.DataFrame,
    costs: Mapping[str, Cost],
    latencies: Mapping[str, Latency],
) -> pd.DataFrame:
    """Quality and cost of each gate, cheapest first, for a reader; indexed by title.

    Args:
        found: Results of the sweep.
        predictions: Its table.
        costs: From ``network_costs``.
        latencies: Of the same networks, from ``latency.latencies``.

    Returns:
        ``seeds``, ``AUROC``, ``sensitivity``, ``specificity`` (each with its interval, in
        words), ``weights``, ``million multiply-adds`` and ``ms a tile`` (median and
        quartiles, in words).
    """
    rows = {}
    for name, member in found["members"].items():
        answers = GateAnswers.of(predictions[predictions["member"] == name])
        rows[member["title"]] = {
            "seeds": len(member["seeds"]),
            "AUROC": in_words(member["scores"]["gate"]["auroc"]),
            "sensitivity": in_words(answers.sensitivity()),
            "specificity": in_words(answers.specificity()),
            **_size(costs[name]),
            "ms a tile": str(latencies[name]),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("gate")
    return table.loc[cost_points(found, costs, latencies)["multiply_adds"].sort_values().index]


def cost_points(
    found: Results, costs: Mapping[str, Cost], latencies: Mapping[str, Latency]
) -> pd.DataFrame:
    """AUROC of each gate over its cost, indexed by title.

    Returns:
        ``multiply_adds`` and ``milliseconds`` of a tile, ``value``, ``low`` and ``high``.
    """
    rows = {}
    for name, member in found["members"].items():
        auroc = member["scores"]["gate"]["auroc"]
        low, high = auroc["interval"] or (auroc["value"], auroc["value"])
        cost = costs[name].multiply_adds, latencies[name].median
        rows[member["title"]] = (*cost, auroc["value"], low, high)
    columns = ["multiply_adds", "milliseconds", "value", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def peer_gains(found: Results) -> tuple[dict[str, dict[str, Any]], str] | None:
    """By how much MobileNetV2's AUROC exceeds those of SqueezeNet and ShuffleNetV2.

    Returns:
        By peer the difference in points of AUROC, and a key of ``ANSWERS``; ``None`` if one
        of them was not run.
    """
    gains = {}
    for peer in PEERS:
        gain = difference(found, OURS, peer, "gate", "auroc")
        if gain is None:
            return None
        gains[peer] = gain
    if not any(learned(found, member, "gate") for member in (OURS, *PEERS)):
        return gains, UNLEARNED
    ends = [gain["interval"] or (gain["value"], gain["value"]) for gain in gains.values()]
    if any(high < 0 for _, high in ends):
        return gains, NOT_BETTER
    return gains, BETTER if all(low > 0 for low, _ in ends) else UNDECIDED


def plain_answer(answer: str) -> str:
    """One of ``ANSWERS`` without emphasis."""
    return ANSWERS[answer].replace("*", "")


def reference_table(found: Results, costs: Mapping[str, Cost]) -> pd.DataFrame:
    """One row a system that the paper cites or names, in the order of its references.

    Args:
        found: Results of the sweep.
        costs: From ``network_costs``; classic models have none.

    Returns:
        Indexed by title: ``reference``, ``seeds``, ``balanced accuracy`` here, with its
        interval, ``weights`` and ``it reports, of accuracy``, on other pictures.
    """
    by_reference = sorted(
        found["members"].items(), key=lambda item: (item[1]["reference"], item[1]["title"])
    )
    rows = {
        member["title"]: {
            "reference": member["reference"],
            "seeds": len(member["seeds"]),
            "balanced accuracy": in_words(member["scores"]["scorer"]["balanced_accuracy"]),
            "weights": _size(costs.get(name))["weights"],
            "it reports, of accuracy": REPORTED.get(name, "\u2013"),
        }
        for name, member in by_reference
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("system")


def affine_maps(run: Path, found: Results) -> dict[str, NDArray[np.float64]]:
    """Where the spatial transformer's first training looks in a few held-out tiles.

    Returns:
        By tile the affine map (2, 3) from places of what the network sees to places in the
        tile, -1..1 from edge to edge; empty where the sweep has left none.
    """
    member = found["members"].get(TRANSFORMER)
    if member is None:
        return {}
    path = run / "sweeps" / RELATED / TRANSFORMER / f"{member['seeds'][0]}.affine.json"
    maps = read_json(path) if path.is_file() else {}
    return {tile: np.asarray(values, float) for tile, values in maps.items()}


def sampling_sentence(affine: Mapping[str, NDArray[np.float64]]) -> str:
    """How much of its tile a spatial transformer reads, and how far off centre, in words."""
    if not affine:
        return "The sweep has left no such map, so there is nothing to draw."
    area = [abs(float(np.linalg.det(found[:, :2]))) for found in affine.values()]
    shift = [float(np.hypot(*found[:, 2])) for found in affine.values()]
    moved = max(float(np.abs(found - np.eye(2, 3)).max()) for found in affine.values())
    text = (
        f"Of these {len(affine)} tiles it reads {100 * min(area):.0f} to {100 * max(area):.0f} % "
        f"of the area; its centre lies {100 * min(shift) / 2:.0f} to {100 * max(shift) / 2:.0f} % "
        "of a side beside the tile's own."
    )
    if moved < STILL:
        return f"{text} That is the whole tile: this training never left where it began."
    return text


def texture_weights(
    images: ImageRows,
    labels: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    most: int,
    shown: int,
    seed: int,
) -> pd.DataFrame:
    """What an XGBoost on texture features heeds, by SHAP, as Islam et al. explain theirs.

    Args:
        images: uint8 (N, H, W).
        labels: int (N,), 0 to 4; those above 0 take part.
        held_out: bool (N,), tiles to explain; the rest is learned from.
        most: Tiles to learn from, at most; drawn by seed.
        shown: Tiles to explain, at most.
        seed: Of both draws and of the model.

    Returns:
        See ``texture.shap_summary``.
    """
    from birads_lib.texture import fit_classic, shap_summary, texture_features

    draw = np.random.default_rng(seed)
    learning, explained = (
        np.sort(draw.permutation(np.flatnonzero((labels > 0) & part))[:count])
        for part, count in ((~held_out, most), (held_out, shown))
    )
    features = texture_features(images[np.concatenate([learning, explained])])
    model = fit_classic(EXPLAINED, features[: len(learning)], labels[learning], seed)
    return shap_summary(model, features[len(learning) :])


def _size(cost: Cost | None) -> dict[str, str]:
    """Weights and multiply-adds of a tile for a table; a dash where there are none."""
    if cost is None:
        return dict.fromkeys(("weights", "million multiply-adds"), "\u2013")
    return {
        "weights": f"{cost.weights:,}",
        "million multiply-adds": f"{cost.multiply_adds / 1e6:,.1f}",
    }
