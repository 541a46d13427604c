"""Local response normalization: each channel is damped by the energy of its neighbors."""

import keras
from keras import ops

from kvision import checks

__all__ = ["LocalResponseNorm"]


@keras.saving.register_keras_serializable(package="kvision")
class LocalResponseNorm(keras.layers.Layer):
    """b[i] = a[i] / (k + alpha * sum of a[j]^2)^beta, j over the `size` channels around i (Krizhevsky et al. 2012).

    Features (..., C) -> the same shape. At the first and last channels the sum has fewer terms. Defaults are those of
    the paper's section 3.3 (its n is `size`). alpha is not divided by `size`: as in the paper and
    `tf.nn.local_response_normalization` (depth_radius = (size - 1) / 2, bias = k); Caffe and PyTorch divide. Sums run
    in float32 at least: the square of a float16 overflows from 256 on.
    Raises UserError for an even size, and for a k or alpha that would allow a division by zero.
    """

    def __init__(
        self,
        size: int = 5,
        *,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        name: str | None = None,
        dtype=None,
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        if not isinstance(size, int) or size < 1 or size % 2 == 0:
            raise checks.error("size", expected="an odd count of channels, at least 1", received=size)
        if not k > 0:
            raise checks.error("k", expected="a number above 0", received=k)
        if not alpha >= 0:
            raise checks.error("alpha", expected="a number of at least 0", received=alpha)
        self.size, self.k, self.alpha, self.beta = size, float(k), float(alpha), float(beta)

    def call(self, features):
        x = ops.cast(features, keras.backend.result_type(features.dtype, "float32"))
        radius, channels = self.size // 2, x.shape[-1]
        # a sum of shifted slices, not a running sum: no cancellation, and only built-in operations in TFLite
        squares = ops.pad(ops.square(x), [[0, 0]] * (len(x.shape) - 1) + [[radius, radius]])
        energy = sum(squares[..., shift : shift + channels] for shift in range(self.size))
        return ops.cast(x * ops.power(self.k + self.alpha * energy, -self.beta), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            "size": self.size,
            "k": self.k,
            "alpha": self.alpha,
            "beta": self.beta,
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
        }
