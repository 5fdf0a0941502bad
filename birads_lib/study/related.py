"""The lightweight gates and the systems that the paper cites, as their sweeps left them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import read_json
from birads_lib.metrics import (
    actual_class,
    in_words,
    mean_with_interval,
    predicted_class,
    share_with_interval,
)
from birads_lib.study.ablations import Results, difference, learned

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from birads_lib.networks.cost import Cost
    from birads_lib.tiles.store import ImageRows

GATES, RELATED = "gates", "related"
"""The two sweeps."""
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


def swept_predictions(run: Path, sweep: str) -> pd.DataFrame:
    """The table of a collected sweep, ``PREDICTION_COLUMNS`` and ``member``.

    Args:
        run: The run's folder.
        sweep: Its name; ``ablations.read_results`` has checked the table.
    """
    return pd.read_parquet(run / "predictions" / f"sweep_{sweep}.parquet")


def settings_of(run: Path, sweep: str, found: Results) -> dict[str, dict[str, Any]]:
    """The settings that each member of a collected sweep was trained with, by member.

    Raises:
        DataError: The note beside a training is not there or is not one.
    """
    settings = {}
    for name, member in found["members"].items():
        path = run / "sweeps" / sweep / name / f"{member['seeds'][0]}.json"
        note = read_json(path) if path.is_file() else None
        if not isinstance(note, dict) or "parameters" not in note:
            raise DataError(f"{path}: no note of a training; run `birads sweep {sweep}` again")
        settings[name] = note["parameters"]
    return settings


def cut_short(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Which networks of a sweep keep their first blocks alone, as a sentence.

    Args:
        settings: From ``settings_of``.
    """
    cut = [name for name, of_member in settings.items() if of_member.get("clip")]
    if not cut:
        return "All networks are whole."
    return f"**Cut short in this profile**, after their first blocks: {', '.join(cut)}."


def network_of(settings: Mapping[str, Any]) -> keras.Model | None:
    """A member's network, untrained, at the size of its sweep; ``None`` of a classic model.

    Args:
        settings: Of one member, see ``settings_of``.
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


def member_costs(run: Path, sweep: str, found: Results) -> dict[str, Cost | None]:
    """What one tile costs each member's network, by member; ``None`` of a classic model."""
    from birads_lib.networks.cost import cost_of

    built = {n: network_of(s) for n, s in settings_of(run, sweep, found).items()}
    return {name: None if model is None else cost_of(model) for name, model in built.items()}


def gate_table(
    found: Results, predictions: pd.DataFrame, costs: Mapping[str, Cost | None]
) -> pd.DataFrame:
    """Quality and cost of each gate, cheapest first, for a reader; indexed by title.

    Args:
        found: Results of the sweep.
        predictions: Its table.
        costs: From ``member_costs``.

    Returns:
        ``seeds``, ``AUROC``, ``sensitivity``, ``specificity`` (each with its interval, in
        words), ``weights`` and ``million multiply-adds``.
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
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("gate")
    return table.loc[cost_points(found, costs)["multiply_adds"].sort_values().index]


def cost_points(found: Results, costs: Mapping[str, Cost | None]) -> pd.DataFrame:
    """AUROC of each gate over its cost, indexed by title.

    Returns:
        ``multiply_adds`` of a tile, ``value``, ``low`` and ``high``.
    """
    rows = {}
    for name, member in found["members"].items():
        auroc, cost = member["scores"]["gate"]["auroc"], costs[name]
        if cost is not None:
            low, high = auroc["interval"] or (auroc["value"], auroc["value"])
            rows[member["title"]] = (cost.multiply_adds, auroc["value"], low, high)
    columns = ["multiply_adds", "value", "low", "high"]
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


def reference_table(found: Results, costs: Mapping[str, Cost | None]) -> pd.DataFrame:
    """One row a system that the paper cites or names, in the order of its references.

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
            "weights": _size(costs[name])["weights"],
            "it reports, of accuracy": REPORTED.get(name, "\u2013"),
        }
        for name, member in by_reference
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("system")


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
