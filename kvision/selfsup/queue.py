"""The queue of keys of MoCo, which SwAV uses too."""

import keras
from keras import ops

from kvision import checks, distribute
from kvision.ops import unit

__all__ = ["FeatureQueue"]


def unit_rows(shape, dtype=None):
    """Initializer that draws unit vectors with random directions."""
    return unit(keras.random.normal(shape, dtype=dtype or "float32"))


class FeatureQueue(keras.layers.Layer):
    """Stores the features of the last batches, first in, first out.

    Call the layer once per step. `queue(keys, training=training)` returns a copy of the rows, `(size, width)`, as they
    were before this step. In training, the keys `(batch, width)` of all replicas then replace the oldest rows.

    The rows start as random unit vectors. They are weights of the layer, so they are saved and restored with the model.
    The weight `count` shows how many features were stored. The queue is full when `count >= size`.

    Args:
        size: Number of rows, a multiple of the global batch size. The paper uses 65536.
        width: Number of features per row.

    Raises:
        UserError: If `size` or `width` is not positive.

    References:
        He et al. 2020, arXiv 1911.05722, section 3.2.
    """

    def __init__(self, size: int, width: int):
        super().__init__(dtype="float32")
        checks.positive({"size": size, "width": width})
        self.size = size
        state = {"trainable": False, "aggregation": "only_first_replica"}
        self.rows = self.add_weight((size, width), initializer=unit_rows, name="rows", **state)
        self.count = self.add_weight((), initializer="zeros", dtype="int", name="count", **state)
        self.built = True

    def check_batch(self, batch_size: int) -> None:
        """Checks that batches fill the queue without a remainder.

        Args:
            batch_size: Global batch size.

        Raises:
            UserError: If `batch_size` does not divide the size of the queue.
        """
        if self.size % batch_size:
            raise checks.UserError(
                "batch_size",
                problem="does not divide the size of the queue",
                expected=f"a divisor of {self.size}",
                received=batch_size,
                hint="Change the batch size or `queue_size`",
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
            # Once the queue is full, the count stays in [size, 2 * size). JAX counts in int32, so a growing count would
            # overflow after 2^31 features.
            count = self.count + ops.cast(batch, self.count.dtype)
            self.count.assign(ops.where(count >= 2 * self.size, count - self.size, count))
        return old
