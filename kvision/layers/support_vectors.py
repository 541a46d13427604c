"""Support vector machines in the graph."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kvision import checks

__all__ = ["KERNELS", "SupportVectors"]

KERNELS = ("rbf", "poly", "sigmoid")


@keras.saving.register_keras_serializable(package="kvision")
class SupportVectors(keras.layers.Layer):
    """Scores of support vector machines, one for each pair of classes.

    Features `(batch, width)` become scores `(batch, classes * (classes - 1) / 2)`; a positive score speaks for the
    first class of its pair, or for the second of two classes where there is one pair alone. The state, which is not
    trained, is set by whoever builds the layer: `bank` `(vectors, width)` minus `center` `(width,)`, sorted by class;
    `coefficients` `(vectors, classes)`, of each vector against each class (one column for two classes); `intercept`
    `(pairs,)`.

    Args:
        counts: Number of support vectors of each class.
        width: Number of features.
        kernel: "rbf", `exp(-gamma |x - v|^2)`; "poly", `(gamma x.v + coef0)^degree`; "sigmoid",
            `tanh(gamma x.v + coef0)`.
        gamma: As in scikit-learn.
        coef0: As in scikit-learn.
        degree: As in scikit-learn.

    References:
        Cortes and Vapnik 1995, Support-vector networks; Chang and Lin 2011, LIBSVM.
    """

    def __init__(
        self,
        *,
        counts: Sequence[int],
        width: int,
        kernel: str,
        gamma: float,
        coef0: float = 0.0,
        degree: int = 3,
        name: str | None = None,
        dtype="float32",
        trainable: bool = False,
    ):
        super().__init__(name=name, dtype="float32", trainable=False)
        self.counts = [int(count) for count in counts]
        self.width = width
        self.kernel = checks.one_of("kernel", kernel, KERNELS)
        self.gamma, self.coef0, self.degree = float(gamma), float(coef0), int(degree)
        vectors, classes = sum(self.counts), len(self.counts)
        self.pairs = classes * (classes - 1) // 2

        def state(label: str, *shape: int):
            return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=label)

        self.center, self.bank = state("center", width), state("bank", vectors, width)
        self.coefficients = state("coefficients", vectors, classes if classes > 2 else 1)
        self.intercept = state("intercept", self.pairs)
        self.built = True

    def call(self, features):
        alike = self._kernel(features)
        if self.pairs == 1:
            return ops.matmul(alike, self.coefficients) + self.intercept
        ends = np.cumsum(self.counts)
        parts = [slice(end - count, end) for end, count in zip(ends.tolist(), self.counts, strict=True)]
        sums = ops.stack([ops.matmul(alike[:, part], self.coefficients[part]) for part in parts], axis=1)
        both = sums + ops.transpose(sums, (0, 2, 1))  # of each pair: the vectors of the first and of the second class
        classes = len(self.counts)
        first, second = np.triu_indices(classes, 1)
        index = (first * classes + second).astype("int32")
        return ops.take(ops.reshape(both, (-1, classes**2)), index, axis=1) + self.intercept

    def _kernel(self, features):
        x = features - self.center
        products = ops.matmul(x, ops.transpose(self.bank))
        if self.kernel == "rbf":
            lengths = ops.sum(ops.square(x), axis=1, keepdims=True) + ops.sum(ops.square(self.bank), axis=1)
            return ops.exp(-self.gamma * ops.maximum(lengths - 2 * products, 0.0))
        products = self.gamma * products + self.coef0
        if self.kernel == "sigmoid":
            return ops.tanh(products)
        power = ops.ones_like(products)
        for _ in range(self.degree):
            power = power * products
        return power

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.pairs)

    def get_config(self):
        names = ("counts", "width", "kernel", "gamma", "coef0", "degree", "name")
        return {name: getattr(self, name) for name in names}
