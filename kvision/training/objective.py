"""A training method: its loss on one batch, divided and logged in one place."""

from abc import abstractmethod

import keras
from keras import ops

from kvision import checks, distribute

__all__ = ["Objective"]


class _Spread(keras.metrics.Mean):
    """A mean that is NaN of nothing, not 0, which would be a collapse."""

    def result(self):
        return ops.where(self.count > 0, super().result(), float("nan"))


class Objective(keras.Model):
    """Base of methods that are more than a model with labels. Final subclasses write

    `call(batch, training=False)`: a batch, whose views are `self.look(batch, "a", ...)` -> a dict of float32 tensors,
    each with the batch as first axis;
    `objective(outputs)`: -> the scalar mean loss of this replica's batch, not divided by replicas;
    `trivial(outputs)`: -> the loss at chance, for the logs; `embedding(outputs)`: -> (B, D), whose spread is logged.
    All parts are made in `__init__`; what is made is `encoder`, a model image -> features, which is embedded, probed
    and exported; saving the method itself is for resuming. views: a layer that makes views inside of the step; None,
    the default, for data that brings them. Logs: loss, trivial, and embedding_std, the mean over D of
    the standard deviation over the replica's batch of unit-norm embeddings (1 / sqrt(D) where they are spread evenly,
    0 where they have collapsed, NaN where every batch is a single image, whose spread says nothing).
    drops_tail: a last batch that is smaller than the others is left out by
    `kv.training.fit`, as a loss across examples needs (a `tf.data.Dataset` must leave it out itself, or is refused;
    a PyDataset or a generator must, and is not looked into); methods that look at each example alone set it to False.
    """

    encoder: keras.Model
    views: keras.layers.Layer | None = None
    drops_tail = True

    def __init__(self, **kwargs):
        # a batch is not cast, to half precision say: what reads it does that where it should
        super().__init__(autocast=False, **kwargs)
        self.trivial_value = keras.metrics.Mean(name="trivial")
        self.spread = _Spread(name="embedding_std")

    @abstractmethod
    def objective(self, outputs): ...

    @abstractmethod
    def trivial(self, outputs): ...

    @abstractmethod
    def embedding(self, outputs): ...

    def check_batch(self, rows: int) -> None:
        """Raises UserError for a global batch that the method cannot train with; `fit` calls it before anything trains,
        where the data says how many rows a batch has: a step is traced for any number."""

    def look(self, batch, *names: str) -> dict:
        """The views of a batch: those that `views` makes of it in the step; itself, where the data brings views.
        UserError where there is none of a name."""
        views = batch if self.views is None else self.views(batch)
        if not isinstance(views, dict):
            raise checks.error(
                "train" if self.views is None else "views",
                problem="gives no dictionary",
                expected="views by name, as kv.augment.MultiView makes them",
                received=type(views).__name__,
            )
        if absent := [name for name in names if name not in views]:
            raise checks.error(
                "train",
                problem=f"brings no {', '.join(map(repr, absent))}",
                expected=f"a batch with {', '.join(names)}",
                received=sorted(views),
                hint="Give the method `views=kv.selfsup.preset(...).views(size)`, or kv.data.pipeline "
                "`fields=kv.selfsup.preset(...).fields`",
            )
        return views

    def build(self, input_shape=None):
        self.built = True  # in __init__, with all parts

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The one place that divides by the replicas: their gradients are summed, and Keras divides only losses that
        it made itself."""
        loss = ops.cast(self.objective(y_pred), "float32") / distribute.replica_count()
        rows = ops.shape(keras.tree.flatten(y_pred)[0])[0]
        unit = ops.normalize(ops.cast(self.embedding(y_pred), "float32"), axis=-1)
        self.trivial_value.update_state(ops.cast(self.trivial(y_pred), "float32"), sample_weight=rows)
        self.spread.update_state(ops.mean(ops.std(unit, axis=0)), sample_weight=ops.where(rows > 1, rows, 0))
        for extra in self.losses:  # weight decay in layers; they are in no loss otherwise
            loss = loss + self._aggregate_additional_loss(extra)
        return loss
