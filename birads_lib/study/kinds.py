"""The kinds of member that a sweep may have, by the name that stands in sweeps.yml.

Each takes a task and its settings and gives ``Answers``. It imports what it needs when it
is called: so the command line stays light, and what decides a member's result is this
function and the modules that it imports, no others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from birads_lib.errors import one_of
from birads_lib.pretrained import (
    ATTENTIONS,
    GATE_BACKBONES,
    POOLINGS,
    SCORER_BACKBONES,
    check_backbone,
)
from birads_lib.tiles.preprocessing import FILTERS

if TYPE_CHECKING:
    from birads_lib.study.sweep_data import Answers, Task

DENOISED = "tiles/denoised.npy"
SCORER = "models/scorer.keras"


@dataclass(frozen=True)
class Kind:
    """One kind of member.

    Attributes:
        predict: ``predict(task, **settings)`` trains and answers.
        reads: Files of the run, made by its chapters, that the answers depend on.
        check: Refuses settings that name what is not there, before anything is trained.
    """

    predict: Callable[..., Answers]
    reads: tuple[str, ...] = (DENOISED,)
    check: Callable[[dict[str, Any]], object] = lambda settings: None


def attention(
    task: Task, *, effort: dict[str, Any], attention: str = "both", pool: str = "channels"
) -> Answers:
    """An attention head on frozen features of the run's scorer."""
    from birads_lib.recipe import Effort
    from birads_lib.study.sweep_training import head_answers

    return head_answers(task, Effort.of(effort), attention=attention, pool=pool)


def binary(task: Task, *, effort: dict[str, Any], attention: str = "both") -> Answers:
    """Type and pathology as two heads on the same features."""
    from birads_lib.recipe import Effort
    from birads_lib.study.sweep_training import binary_answers

    return binary_answers(task, Effort.of(effort), attention=attention)


def backbone(
    task: Task,
    *,
    effort: dict[str, Any],
    scorer_size: list[int],
    backbone: str = "EfficientNetB7",
    attention: str = "both",
    clip: int | None = None,
    weights: str | None = None,
    denoised: bool = True,
) -> Answers:
    """A whole EfficientNet with attention, trained on the infected tiles."""
    from birads_lib.networks import attention_scorer
    from birads_lib.recipe import Effort
    from birads_lib.study.sweep_training import scorer_answers

    height, width = scorer_size
    return scorer_answers(
        task,
        lambda shape: attention_scorer(backbone, shape, weights, attention, last_block=clip),
        (height, width, 3),
        Effort.of(effort),
        task.data.tiles(denoised),
    )


def cascade(
    task: Task,
    *,
    effort: dict[str, Any],
    gate_size: int,
    scorer_size: list[int],
    denoised: bool = True,
    backbone: str = "EfficientNetB7",
    alpha: float = 1.0,
    gate_clip: int | None = None,
    clip: int | None = None,
    weights: str | None = None,
) -> Answers:
    """A gate and a scorer trained alike, on tiles denoised or as they are."""
    from birads_lib.networks import attention_scorer, mobilenet_gate
    from birads_lib.recipe import Effort
    from birads_lib.study.sweep_training import cascade_answers

    height, width = scorer_size
    return cascade_answers(
        task,
        (
            lambda s: mobilenet_gate(s, alpha, weights, last_block=gate_clip),
            (gate_size, gate_size, 1),
        ),
        (
            lambda s: attention_scorer(backbone, s, weights, last_block=clip),
            (height, width, 3),
        ),
        Effort.of(effort),
        task.data.tiles(denoised),
    )


def five(
    task: Task,
    *,
    effort: dict[str, Any],
    scorer_size: list[int],
    denoised: bool = True,
    backbone: str = "EfficientNetB7",
    clip: int | None = None,
    weights: str | None = None,
) -> Answers:
    """One network of five classes instead of two stages."""
    from birads_lib.labels import CODES
    from birads_lib.networks import attention_scorer
    from birads_lib.recipe import Effort
    from birads_lib.study.sweep_training import five_answers

    height, width = scorer_size
    return five_answers(
        task,
        lambda shape: attention_scorer(
            backbone, shape, weights, classes=len(CODES), last_block=clip
        ),
        (height, width, 3),
        Effort.of(effort),
        task.data.tiles(denoised),
    )


def scorer(
    task: Task,
    *,
    effort: dict[str, Any],
    scorer_size: list[int],
    model: str,
    clip: int | None = None,
    weights: str | None = None,
    denoised: bool = True,
    noise: str = "",
) -> Answers:
    """A network of the literature as the scorer, see ``peers.SCORERS``.

    With ``noise`` it sees tiles after ``preprocessing.preprocess`` with that filter, not
    after the autoencoder. A network with a spatial transformer also says where it looks.
    """
    from birads_lib.networks import peers
    from birads_lib.recipe import Effort
    from birads_lib.study.sweep_data import PreparedRows
    from birads_lib.study.sweep_training import scorer_answers
    from birads_lib.tiles import preprocessing

    build = peers.SCORERS[one_of("model", model, peers.SCORERS)]
    height, width = scorer_size
    tiles = task.data.tiles(denoised and not noise)
    if noise:
        tiles = PreparedRows(tiles, lambda images: preprocessing.preprocess(images, noise))
    return scorer_answers(
        task,
        lambda shape: build(shape, weights=weights, clip=clip),
        (height, width, 3),
        Effort.of(effort),
        tiles,
    )


def gate(
    task: Task,
    *,
    effort: dict[str, Any],
    gate_size: int,
    model: str,
    clip: int | None = None,
    weights: str | None = None,
    denoised: bool = True,
) -> Answers:
    """A lightweight network of the literature as the gate, see ``peers.GATES``."""
    from birads_lib.networks import peers
    from birads_lib.recipe import Effort
    from birads_lib.study.sweep_training import gate_answers

    build = peers.GATES[one_of("model", model, peers.GATES)]
    return gate_answers(
        task,
        lambda shape: build(shape, weights=weights, clip=clip),
        (gate_size, gate_size, 1),
        Effort.of(effort),
        task.data.tiles(denoised),
    )


def classic(
    task: Task, *, model: str, features: list[str] | None = None, denoised: bool = False
) -> Answers:
    """A classic model on texture features."""
    from birads_lib.study.sweep_classic import classic_answers

    return classic_answers(task, model, features, denoised)


def _check_network(settings: dict[str, Any]) -> None:
    _check_head(settings)
    if "backbone" in settings:
        check_backbone(settings["backbone"])


def _check_head(settings: dict[str, Any]) -> None:
    for name, known in (("attention", ATTENTIONS), ("pool", POOLINGS)):
        if name in settings:
            one_of(name, settings[name], known)


def _check_scorer(settings: dict[str, Any]) -> None:
    if settings["model"] not in SCORER_BACKBONES:  # one's own is known to the networks alone
        from birads_lib.networks import peers

        one_of("model", settings["model"], peers.SCORERS)
    if settings.get("noise"):
        one_of("noise", settings["noise"], FILTERS)


def _check_gate(settings: dict[str, Any]) -> None:
    if settings["model"] not in GATE_BACKBONES:
        from birads_lib.networks import peers

        one_of("model", settings["model"], peers.GATES)


def _check_classic(settings: dict[str, Any]) -> None:
    from birads_lib.texture import CLASSIC_MODELS, FEATURE_GROUPS

    one_of("model", settings["model"], CLASSIC_MODELS)
    for group in settings.get("features") or ():
        one_of("features", group, FEATURE_GROUPS)


KINDS: dict[str, Kind] = {
    "attention": Kind(attention, (DENOISED, SCORER), _check_head),
    "binary": Kind(binary, (DENOISED, SCORER), _check_head),
    "backbone": Kind(backbone, check=_check_network),
    "cascade": Kind(cascade, check=_check_network),
    "five": Kind(five, check=_check_network),
    "scorer": Kind(scorer, check=_check_scorer),
    "gate": Kind(gate, check=_check_gate),
    "classic": Kind(classic, check=_check_classic),
}
