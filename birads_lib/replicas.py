"""Epochs on several devices or hosts: each replica learns from its part of every batch.

Keras' ``fit`` fails under ``MultiWorkerMirroredStrategy`` (Keras issue 20585), and
under ``MirroredStrategy`` a part counts the same however few tiles it has. The
steps here are the ones of ``fit`` with each part weighted by its tiles, so that
the sum over replicas is the step of one device on the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

PER_REPLICA_LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
)
"""Layers that calculate or draw on each replica by itself, so that their number matters."""


class ReplicatedModel:
    """A compiled model that learns on all replicas of its strategy.

    Args:
        model: Built and compiled within ``strategy.scope()``.
        strategy: Of one or several hosts.
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.Strategy):
        self.model, self.strategy = model, strategy
        with strategy.scope():  # a compiled step must not be the one that makes variables
            model.optimizer.build(model.trainable_variables)
        self._train = _compiled(lambda part: strategy.run(self._train_part, part))
        self._test = _compiled(lambda part: strategy.run(self._test_part, part))
        self._average = tf.function(self._average_statistics)

    def fit(
        self,
        x: tf.data.Dataset,
        validation_data: tf.data.Dataset,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **_: Any,
    ) -> keras.callbacks.History:
        """Train for one epoch and validate, as ``keras.Model.fit`` does.

        Args:
            x: Batches of all replicas together, ``(x, y)`` or ``(x, y, weight)``, in the
                order wanted. Every host gives the same.
            validation_data: Likewise.
            callbacks: Told of the end of each training step.
        """
        logs = self._run(self._train, x, callbacks)
        self._average()
        steered = self._run(self._test, validation_data, ())
        history = keras.callbacks.History()
        history.history = {
            **{name: [value] for name, value in logs.items()},
            **{f"val_{name}": [value] for name, value in steered.items()},
        }
        return history

    def _run(
        self, step: Any, batches: tf.data.Dataset, callbacks: Sequence[keras.callbacks.Callback]
    ) -> dict[str, float]:
        self.model.reset_metrics()
        for index, part in enumerate(split_batches(batches, self.strategy)):
            step(part)
            for callback in callbacks:
                callback.on_train_batch_end(index)
        with self.strategy.scope():
            return {k: float(v) for k, v in self.model.get_metrics_result().items()}

    def _train_part(self, part: tuple[Any, ...], share: tf.Tensor, count: tf.Tensor) -> None:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(part)
        with tf.GradientTape() as tape:
            answers = self.model(x, training=True)
            loss = self._loss(x, y, answers, weight, share * count, training=True)
            scaled = self.model.optimizer.scale_loss(loss * share)
        weights = self.model.trainable_variables
        gradients = tape.gradient(scaled, weights)
        self.model.optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def _test_part(self, part: tuple[Any, ...], share: tf.Tensor, count: tf.Tensor) -> None:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(part)
        self._loss(x, y, self.model(x, training=False), weight, share * count, training=False)

    def _average_statistics(self) -> None:
        """Let all replicas go on from the mean of their moving statistics."""
        weights = self.model.non_trainable_variables
        for statistic in (w for w in weights if w.dtype.startswith("float")):
            own = self.strategy.run(lambda kept=statistic: tf.identity(kept.value))
            statistic.value.assign(self.strategy.reduce("MEAN", own, axis=None))

    def _loss(
        self, x: Any, y: Any, answers: Any, weight: Any, tiles: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """Mean loss of a part; counted as ``tiles`` in the epoch's loss and figures."""
        loss = self.model.compute_loss(x, y, answers, weight, training=training)
        loss *= self.strategy.num_replicas_in_sync  # Keras has divided by it
        tracker = next(metric for metric in self.model.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=tiles)
        self.model.compute_metrics(x, y, answers, weight)
        return loss


def _compiled(step: Callable[[Any], None]) -> Callable[[Any], None]:
    """Compiled once for parts of all sizes."""
    return tf.function(step, reduce_retracing=True)


def split_batches(
    batches: tf.data.Dataset, strategy: tf.distribute.Strategy
) -> tf.distribute.DistributedDataset:
    """Give every replica of this host its part of each batch.

    Of R replicas the r-th takes the tiles r, r + R, r + 2R, ... of a batch. A last batch of
    fewer tiles than replicas is gone round, so that no part is empty; its tiles then weigh
    less in gradient and loss, but count twice in figures other than the loss.

    Returns:
        Elements ``(part, share, count)``: the arrays of the batch, cut; the part's share of
        it, 0..1; the tiles of the whole batch. Both numbers float32 ().
    """
    replicas = strategy.num_replicas_in_sync

    def parts_of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * own

        def parts(*batch: tf.Tensor) -> tf.data.Dataset:
            count = tf.shape(batch[0])[0]
            total = tf.maximum(count, replicas)

            def cut(replica: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor, tf.Tensor]:
                rows = tf.range(tf.cast(replica, tf.int32), total, replicas) % count
                part = tuple(tf.gather(array, rows) for array in batch)
                share = tf.cast(tf.size(rows) / total, tf.float32)
                return part, share, tf.cast(count, tf.float32)

            return tf.data.Dataset.range(first, first + own).map(cut)

        return batches.flat_map(parts)

    return strategy.distribute_datasets_from_function(parts_of_host)


def number_matters(model: keras.Model) -> bool:
    """Whether the number of replicas changes what a model learns, and not only how fast."""
    return any(isinstance(layer, PER_REPLICA_LAYERS) for layer in model._flatten_layers())


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Return when every host has come here."""

    @tf.function
    def count() -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(lambda: tf.constant(1)), axis=None)

    count()
