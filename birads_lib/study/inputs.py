"""What a study is given, looked at before anything runs: its last chapter may be an hour away."""

from __future__ import annotations

from typing import Any

from birads_lib.pretrained import check_backbone, check_weights
from birads_lib.study.graph import CHAPTERS, Study
from birads_lib.study.notebooks import check_parameters, declared_parameters
from birads_lib.tiles.sources import recognise


def check_study(study: Study) -> None:
    """Refuse what a chapter would refuse later: parameters, tiles, backbones and weights.

    Weights of a chapter that is done are not asked for again.

    Raises:
        UsageError: A parameter that its chapter does not declare, or an unknown backbone.
        DataError: Tiles of no known layout, or weights that are not on this machine.
    """
    for chapter in CHAPTERS:
        declared = declared_parameters(study.chapter(chapter))
        check_parameters(chapter, declared, study.parameters(chapter))
    for folder in (study.data, study.external):
        if folder:
            recognise(folder)
    for chapter, check in NETWORKS.items():
        if not study.stamp(chapter).exists():
            check({**declared_parameters(study.chapter(chapter)), **study.parameters(chapter)})


def _check_gate(settings: dict[str, Any]) -> None:
    size = (settings["INPUT_SIZE"], settings["INPUT_SIZE"])
    check_weights("MobileNetV2", size, settings["WEIGHTS"], settings["ALPHA"])


def _check_attention(settings: dict[str, Any]) -> None:
    size = (settings["INPUT_HEIGHT"], settings["INPUT_WIDTH"])
    check_weights(check_backbone(settings["BACKBONE"]), size, settings["WEIGHTS"])


NETWORKS = {"gate": _check_gate, "attention": _check_attention}
"""Chapters whose parameters name a network, and what to check of them."""
