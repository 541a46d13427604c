"""A feature of every image of the data set."""

import keras
from keras import ops

from kvision import checks, distribute
from kvision.ops import unit
from kvision.selfsup.queue import unit_rows

__all__ = ["MemoryBank"]


class MemoryBank(keras.layers.Layer):
    """One row of `width` for each of `count` images (Wu et al. 2018, arXiv 1805.01978, section 3.1), begun with random
    units.

    Call it once a step, `bank(features, index, training=training)`: returns a copy (count, width) of the rows before
    this step; in training then row `index` becomes n(momentum * row + (1 - momentum) * feature), of all replicas.
    features: (B, width) float32 unit rows; index: (B,) integers, each at most once in a batch: of several
    rows one stays, on a GPU any of them.
    momentum: .5 in the published code. State: saved, restored and replicated as weights.
    """

    def __init__(self, count: int, width: int, *, momentum: float = 0.5, name: str | None = None):
        super().__init__(name=name, dtype="float32")
        for name, value in {"count": count, "width": width}.items():
            if value < 1:
                raise checks.error(name, expected="a count of at least 1", received=value)
        if not 0 <= momentum < 1:
            raise checks.error("momentum", expected="a share in [0, 1)", received=momentum)
        self.count, self.width, self.momentum = count, width, momentum
        self.rows = self.add_weight(
            (count, width), initializer=unit_rows, trainable=False, aggregation="only_first_replica", name="rows"
        )
        self.built = True

    def call(self, features, index, training=False):
        old = ops.copy(self.rows)
        if training:
            features = distribute.gather_replicas(ops.stop_gradient(features))
            index = distribute.gather_replicas(index)
            new = unit(self.momentum * ops.take(old, index, axis=0) + (1 - self.momentum) * features)
            self.rows.assign(ops.scatter_update(old, index[:, None], new))
        return old

    def compute_output_shape(self, features_shape, index_shape=None):
        return (self.count, self.width)
