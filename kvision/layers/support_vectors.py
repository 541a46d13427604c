"""Support vector machines as a Keras layer."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from kvision import checks

__all__ = ["KERNELS", "SupportVectors"]

KERNELS = ("rbf", "poly", "sigmoid")


@keras.saving.register_keras_serializable(package="kvision")
class SupportVectors(keras.layers.Layer):
    """Computes the scores of support vector machines, one for each pair of classes.

    The layer maps features `(batch, width)` to scores `(batch, classes * (classes - 1) / 2)`. A positive score is a
    vote for the first class of the pair. With two classes there is one score, and a positive score is a vote for the
    second class.

    `kv.heads` creates this layer from a fitted classifier and assigns its variables, which do not train:

    - `center` `(width,)`: a vector that is subtracted from all features, so that the scores are more precise.
    - `bank` `(vectors, width)`: the support vectors, from which `center` is subtracted, sorted by class.
    - `coefficients` `(vectors, classes)`: the coefficient of each vector against each class. With two classes there is
      one column.
    - `intercept` `(pairs,)`: the number that is added to each score.

    Args:
        counts: Number of support vectors of each class.
        width: Number of features.
        kernel: `"rbf"`: `exp(-gamma |x - v|^2)`. `"poly"`: (gamma x.v + coef0)^degree. `"sigmoid"`:
            tanh(gamma x.v + coef0). x are the features and v is a support vector.
        gamma: Factor in the kernel, as in scikit-learn.
        coef0: Constant that is added in the kernels `"poly"` and `"sigmoid"`, as in scikit-learn.
        degree: Exponent of the kernel `"poly"`, as in scikit-learn.
        name: Name of the layer.

    Raises:
        UserError: If the kernel is unknown.

    Example:
        >>> layer = kv.layers.SupportVectors(counts=[20, 25, 30], width=64, kernel="rbf", gamma=0.1)
        >>> layer(keras.Input((64,))).shape
        (None, 3)

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
        # The score of a pair is a sum over the vectors of its first class and the vectors of its second class.
        both = sums + ops.transpose(sums, (0, 2, 1))
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
