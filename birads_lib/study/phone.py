"""The chapter on the phone: manifests of exported cascades as tables and sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from birads_lib.cascade import Cascade
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import in_words
from birads_lib.quantization import FLOAT, INT8
from birads_lib.tiles.store import TileStore

MEGABYTE = 1e6  # bytes
MERITS = {
    "gate": "gate, AUROC",
    "scorer": "scorer, balanced accuracy",
    "cascade": "cascade, balanced accuracy",
}
EXCERPT = ("notice", "form", "precision", "input", "resizing", "threshold", "simulated")
"""Entries of a manifest that the chapter shows, and the first network's."""
Manifests = Mapping[tuple[str, str], Mapping[str, Any]]
"""Manifests of one cascade, by form and precision."""


def largest_differences(
    cascades: Mapping[str, Cascade], reference: Cascade, tiles: TileStore
) -> pd.DataFrame:
    """Largest difference of any probability from a reference's, a row a cascade.

    Args:
        cascades: By name.
        reference: What they are compared with, such as Keras' own.
        tiles: Read by all.

    Returns:
        Columns ``gate`` and ``scorer``, the latter over tiles that both gates let through.
    """
    images = np.asarray(tiles.images[:])
    expected = reference.predict(images)
    rows = {}
    for name, cascade in cascades.items():
        found = cascade.predict(images)
        apart = (found[["gate", *LESION_CODES]] - expected[["gate", *LESION_CODES]]).abs().max()
        rows[name] = {"gate": apart["gate"], "scorer": apart[list(LESION_CODES)].max()}
    return pd.DataFrame.from_dict(rows, orient="index")


def size_table(manifests: Manifests) -> pd.DataFrame:
    """Megabytes: a row a network and one for all, a column a form and precision."""
    table = pd.DataFrame(
        {", ".join(key): megabytes(manifest) for key, manifest in manifests.items()}
    )
    table.loc["together"] = table.sum()
    return table


def megabytes(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Size of each network; OpenVINO's weights lie in a second file of its name."""
    sizes = {network["name"]: 0.0 for network in manifest["networks"]}
    for file, facts in manifest["files"].items():
        sizes[file.split(".")[0]] += facts["bytes"] / MEGABYTE
    return sizes


def quantizations(manifests: Manifests) -> dict[str, Mapping[str, Any]]:
    """What the manifests say of eight bits, by form."""
    return {
        form: manifest["quantization"]
        for (form, precision), manifest in manifests.items()
        if precision == INT8
    }


def loss_table(manifests: Manifests) -> pd.DataFrame:
    """Change of each figure of merit by eight bits: rows by figure of merit and form.

    Columns ``difference``, ``low``, ``high`` (its 95 % interval) as numbers, and
    ``float32``, ``int8`` and ``int8 - float32`` in words.
    """
    rows = {
        (merit, form): _loss_row(said["loss"]["figures"][stage])
        for stage, merit in MERITS.items()
        for form, said in quantizations(manifests).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["figure of merit", "form"])


def _loss_row(found: Mapping[str, Any]) -> dict[str, Any]:
    difference = found["difference"]
    low, high = difference["interval"]
    return {
        "difference": difference["value"],
        "low": low,
        "high": high,
        FLOAT: in_words(found[FLOAT]),
        INT8: in_words(found[INT8]),
        f"{INT8} - {FLOAT}": in_words(difference, "+.3f"),
    }


def change_table(manifests: Manifests) -> pd.DataFrame:
    """How far single answers move in eight bits, a row a form."""
    rows = {}
    for form, said in quantizations(manifests).items():
        loss = said["loss"]
        apart = {**loss["probability_difference"], "grey levels": loss["grey_difference"]}
        row = {f"{what}, {name}": v for what, spread in apart.items() for name, v in spread.items()}
        rows[form] = {**row, "tiles in another class": loss["decided_otherwise"]}
    return pd.DataFrame.from_dict(rows, orient="index")


def pace_table(manifests: Manifests) -> pd.DataFrame:
    """Tiles a second of each form in both precisions, and their ratio."""
    speeds = {form: said["speed"] for form, said in quantizations(manifests).items()}
    table = pd.DataFrame.from_dict(speeds, orient="index")[[FLOAT, INT8]].astype(float)
    return table.assign(ratio=table[INT8] / table[FLOAT])


def loss_sentence(manifests: Manifests) -> str:
    """Which figures of merit change beyond doubt, of how many, on how many tiles."""
    loss = loss_table(manifests)
    sure = loss[(loss["low"] > 0) | (loss["high"] < 0)]
    measured = next(iter(quantizations(manifests).values()))["loss"]
    words = zip(sure.index.tolist(), sure[f"{INT8} - {FLOAT}"], strict=True)
    found = "; ".join(f"{merit}, {form}: {said}" for (merit, form), said in words)
    clear = f"differences clear of zero: **{len(sure)} of {len(loss)}** ({found})."
    return f"On {measured['tiles']:,} held-out tiles of {measured['groups']:,} groups, " + (
        clear if found else f"differences clear of zero: **none of {len(loss)}**."
    )


def pace_sentence(manifests: Manifests) -> str:
    """What eight bits do to speed on this machine, and on which."""
    said = next(iter(quantizations(manifests).values()))
    machine = said["speed"]["machine"]
    ratios = ", ".join(
        f"{form} {row['ratio']:.2f}" for form, row in pace_table(manifests).iterrows()
    )
    return (
        f"Eight bits over float, tiles a second: **{ratios}**. Measured on {machine['processor']}, "
        f"{machine['cores']} cores, {said['speed']['tiles']} tiles a turn. No phone was measured."
    )


def manifest_excerpt(manifest: Mapping[str, Any]) -> str:
    """A part of a manifest as Markdown."""
    part = {name: manifest[name] for name in EXCERPT}
    part["networks"] = [manifest["networks"][0], "..."]
    return f"```json\n{json.dumps(part, indent=2)}\n```"
