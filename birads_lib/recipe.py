"""How networks are trained, as settings that are checked before anything starts; no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from birads_lib.errors import UsageError, one_of

TASKS = ("denoise", "gate", "score", "grade")
OPTIMISERS = ("adam", "momentum")
SCHEDULES = ("cosine", "staircase")
FINE_TUNING = 0.1
"""Share of the learning rate once a frozen backbone learns, too; the paper's [17], whose
value is not known here."""
BATCH_SIZE = 32
STAIR_EPOCHS, STAIR_RATE = 8, 0.96  # down 4 % every 8 epochs, the paper's [18]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the paper states none of these.

    Attributes:
        task: ``"denoise"``, ``"gate"``, ``"score"`` or, for ordered categories, ``"grade"``;
            decides loss and metrics.
        epochs: Most epochs to run.
        learning_rate: At the start; it falls along ``schedule``.
        patience: Epochs without a better validation loss before training stops.
        seed: Of initial weights and drop-out.
        optimiser: ``"adam"``, or ``"momentum"``: gradient descent with momentum .9.
        schedule: Of the learning rate: ``"cosine"`` over all epochs, or ``"staircase"``:
            down 4 % every 8 epochs.
        average: Polyak averaging: share of a running mean of the weights that each step
            keeps, 0..1; the mean is what is validated and kept. 0: no averaging. The
            statistics of batch normalisation are the trained network's.
        freeze_epochs: Epochs in which the backbone stays as it is and only what stands on
            it learns. Then all learn, with a new optimiser and a tenth of the learning
            rate; patience counts from there.
    """

    task: str
    epochs: int
    learning_rate: float = 1e-3
    patience: int = 5
    seed: int = 0
    optimiser: str = "adam"
    schedule: str = "cosine"
    average: float = 0.0
    freeze_epochs: int = 0

    def __post_init__(self) -> None:
        one_of("task", self.task, TASKS)
        if self.epochs < 1 or not self.learning_rate > 0 or self.patience < 1:
            raise UsageError(
                f"recipe: epochs {self.epochs}, learning_rate {self.learning_rate}, patience "
                f"{self.patience}; expected at least 1, above 0, at least 1"
            )
        one_of("optimiser", self.optimiser, OPTIMISERS)
        one_of("schedule", self.schedule, SCHEDULES)
        if not 0 <= self.average < 1 or not 0 <= self.freeze_epochs < self.epochs:
            raise UsageError(
                f"recipe: average {self.average}, freeze_epochs {self.freeze_epochs}; expected 0 "
                f"to below 1, and 0 to below the {self.epochs} epochs"
            )

    @property
    def frozen(self) -> Recipe:
        """How the epochs with a frozen backbone are trained."""
        return replace(self, epochs=self.freeze_epochs, freeze_epochs=0)

    @property
    def thawed(self) -> Recipe:
        """How the epochs after a frozen start are trained: fine-tuning."""
        return replace(
            self,
            epochs=self.epochs - self.freeze_epochs,
            learning_rate=self.learning_rate * FINE_TUNING,
            freeze_epochs=0,
        )


@dataclass(frozen=True)
class Effort:
    """How a member of a sweep is trained, whatever its task and seed.

    Attributes:
        batch_size: Tiles a batch.
        recipe: Fields of ``Recipe`` but its task and seed; ``epochs`` at least.
    """

    batch_size: int
    recipe: dict[str, Any]

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Effort:
        """Settings as in sweeps.yml.

        Raises:
            UsageError: One that is not known or does not fit, or no number of epochs.
        """
        known = {"batch_size", *(f.name for f in fields(Recipe))} - {"task", "seed"}
        for name in settings:
            one_of("effort", name, sorted(known))
        if "epochs" not in settings:
            raise UsageError("effort: epochs are missing; say how many")
        recipe = {name: value for name, value in settings.items() if name != "batch_size"}
        batch_size = settings.get("batch_size", BATCH_SIZE)
        if type(batch_size) is not int or batch_size < 1:
            raise UsageError(f"effort: batch_size {batch_size!r}; expected a whole number from 1")
        try:
            Recipe(TASKS[0], **recipe)
        except TypeError:
            raise UsageError(f"effort: {recipe}; expected numbers, not words") from None
        return cls(batch_size, recipe)
