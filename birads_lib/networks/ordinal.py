"""Ordered classes: the scorer with cumulative probabilities in place of its softmax.

BI-RADS 2, 3, 4, 5 are steps of suspicion, and to answer 5 for 2 is a greater
mistake than 3 for 2. The head states P(y > 2), P(y > 3), P(y > 4) from one
shared weight vector and one bias a threshold, and is trained by the binary
crossentropy of each: CORAL of W. Cao, V. Mirjalili, S. Raschka, "Rank consistent
ordinal regression for neural networks with application to age estimation",
Pattern Recognition Letters 140 (2020) 325-331, DOI 10.1016/j.patrec.2020.11.008.

There the biases come out in order where the loss is least (their Theorem 1).
Here they are in order by construction, so no class probability is ever
negative, during training either.

Categories are indices from 0 here: BI-RADS 2, 3, 4, 5 as 0, 1, 2, 3.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from birads_lib.errors import UsageError

CATEGORIES = 4  # BI-RADS 2, 3, 4, 5
STEP = math.log(math.e - 1)  # softplus of it is 1: neighbouring biases start 1 apart


@keras.saving.register_keras_serializable("birads_lib")
class OrdinalHead(keras.layers.Layer):
    """Cumulative probabilities of ordered categories.

    P(y > k) = sigmoid(w V + b_k), with b_0 >= b_1 >= ...

    1. w V, one number a row: ``(batch, 1)``.
    2. b_0 is free; each further bias is the one before less softplus of a free step.
    3. Their sum through a sigmoid: ``(batch, categories - 1)``, falling along a row.

    Args:
        categories: Number of ordered categories, 2 or more.

    Input shape: ``(batch, features)``.
    Output shape: ``(batch, categories - 1)``, values in 0..1.
    Source: Cao, Mirjalili, Raschka (2020), see the module.
    """

    def __init__(self, categories: int = CATEGORIES, **kwargs: Any):
        super().__init__(**kwargs)
        if categories < 2:
            raise UsageError(f"categories: {categories} given; expected 2 or more")
        self.categories = categories

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        middle = keras.initializers.Constant((self.categories - 2) / 2)
        step = keras.initializers.Constant(STEP)
        self.direction = self.add_weight(
            shape=(input_shape[-1], 1), initializer="glorot_uniform", name="direction"
        )
        self.first = self.add_weight(shape=(1,), initializer=middle, name="first")
        self.steps = self.add_weight(shape=(self.categories - 2,), initializer=step, name="steps")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.sigmoid(ops.matmul(inputs, self.direction) + self.biases())

    def biases(self) -> Any:
        """The ordered biases, float (categories - 1,)."""
        fallen = ops.cumsum(ops.softplus(self.steps))
        return ops.concatenate([self.first, self.first - fallen])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.categories - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "categories": self.categories}


def cumulative_targets(category: Any, categories: int = CATEGORIES) -> Any:
    """What each threshold should answer: 1 where the category lies above it, else 0.

    Args:
        category: int (batch,), 0 to ``categories - 1``.
        categories: Their number.

    Returns:
        float32 (batch, categories - 1); of category 2 among 4: 1, 1, 0.
    """
    above = ops.reshape(ops.cast(category, "int32"), (-1, 1)) > ops.arange(categories - 1)
    return ops.cast(above, "float32")


def category_probabilities(cumulative: Any) -> Any:
    """Probability of each category from the cumulative ones.

    Args:
        cumulative: float (batch, categories - 1), P(y > k). A row that rises, which no
            ``OrdinalHead`` gives, counts as level there.

    Returns:
        float (batch, categories), 0..1, each row summing to 1.
    """
    cumulative = ops.convert_to_tensor(cumulative)
    ones = ops.ones_like(cumulative[:, :1])
    reached = ops.concatenate([ones, cumulative, ops.zeros_like(ones)], axis=1)
    share = ops.maximum(reached[:, :-1] - reached[:, 1:], 0.0)
    return share / ops.sum(share, axis=1, keepdims=True)


def predicted_category(cumulative: Any) -> Any:
    """Category of each row, int32 (batch,): how many thresholds it passes at a half.

    The rule of Cao et al.; it is the median of the row's distribution.
    """
    passed = ops.convert_to_tensor(cumulative) > 0.5
    return ops.sum(ops.cast(passed, "int32"), axis=-1)


@keras.saving.register_keras_serializable("birads_lib")
class OrdinalCrossentropy(keras.losses.Loss):
    """Binary crossentropy of each cumulative probability, mean over the thresholds.

    Takes categories int (batch,) and cumulative probabilities (batch, categories - 1).
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        targets = cumulative_targets(y_true, y_pred.shape[-1] + 1)
        return ops.mean(ops.binary_crossentropy(targets, y_pred), axis=-1)


@keras.saving.register_keras_serializable("birads_lib")
def category_distance(y_true: Any, y_pred: Any) -> Any:
    """How many categories each answer is off, float32 (batch,)."""
    actual = ops.reshape(ops.cast(y_true, "int32"), (-1,))
    return ops.cast(ops.abs(predicted_category(y_pred) - actual), "float32")


def ordinal_scorer(scorer: keras.Model, categories: int = CATEGORIES) -> keras.Model:
    """The same network with an ordinal head in place of its last layer.

    Args:
        scorer: From ``attention_scorer``, or its head from ``split_at_features``. It stays
            as it is: the new network starts from copies of its weights.
        categories: Number of ordered categories.

    Returns:
        Model from the scorer's input to ``(batch, categories - 1)``, P(y > k). The layer
        ``grade`` is new, all others carry the scorer's weights.
    """
    own = keras.models.clone_model(scorer)
    own.set_weights(scorer.get_weights())
    cumulative = OrdinalHead(categories, name="grade")(own.layers[-1].input)
    return keras.Model(own.input, cumulative, name=f"ordinal_{scorer.name}")
