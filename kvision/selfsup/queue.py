"""The features of the last batches, first in first out."""

import keras
from keras import ops

from kvision import checks, distribute
from kvision.ops import unit

__all__ = ["FeatureQueue"]


def unit_rows(shape, dtype=None):
    """Initializer: random directions."""
    return unit(keras.random.normal(shape, dtype=dtype or "float32"))


class FeatureQueue(keras.layers.Layer):
    """A queue of `size` features of `width` (He et al. 2020, arXiv 1911.05722, section 3.2), begun with random units.

    Call it once a step, `queue(keys, training=training)`: returns a copy (size, width) of the rows before this step;
    in training then takes in `keys` (B, width) float32 of all replicas. `size` is a multiple of the global batch.
    `count`: features taken in so far. State: saved, restored and replicated as weights.
    Raises UserError if the batch is known and does not divide `size`; `check_batch` does so before.
    """

    def __init__(self, size: int, width: int, *, name: str | None = None):
        super().__init__(name=name, dtype="float32")
        for name, value in {"size": size, "width": width}.items():
            if value < 1:
                raise checks.error(name, expected="a count of at least 1", received=value)
        self.size, self.width = size, width
        state = {"trainable": False, "aggregation": "only_first_replica"}
        self.rows = self.add_weight((size, width), initializer=unit_rows, name="rows", **state)
        self.count = self.add_weight((), initializer="zeros", dtype="int", name="count", **state)
        self.built = True

    def check_batch(self, rows: int) -> None:
        if self.size % rows:
            raise checks.error(
                "batch_size",
                problem="does not suit the queue",
                expected=f"a divisor of its size, {self.size}",
                received=rows,
            )

    def call(self, keys, training=False):
        old = ops.copy(self.rows)
        if training:
            keys = distribute.gather_replicas(ops.stop_gradient(keys))
            if keys.shape[0] is not None:
                self.check_batch(keys.shape[0])
            batch = ops.shape(keys)[0]
            where = (self.count + ops.arange(batch, dtype=self.count.dtype)) % self.size
            self.rows.assign(ops.scatter_update(old, where[:, None], keys))
            # counts on only until it is full, then around: an int32, which JAX has, would end after 2^31 features
            count = self.count + ops.cast(batch, self.count.dtype)
            self.count.assign(ops.where(count >= 2 * self.size, count - self.size, count))
        return old

    def compute_output_shape(self, input_shape):
        return (self.size, self.width)
