"""Local response normalization."""

import keras
from keras import ops

from kvision import checks

__all__ = ["LocalResponseNorm"]


@keras.saving.register_keras_serializable(package="kvision")
class LocalResponseNorm(keras.layers.Layer):
    """Divides each channel by a power of the energy of its neighbor channels.

    The output of channel i is `a[i] / (k + alpha * sum(a[j]^2))^beta`, where j runs over the `size` channels around i.
    The first and last channels have fewer neighbors. The output has the shape of the input, `(..., channels)`. The sum
    is computed at least in float32, because squares of float16 values overflow from 256 on.

    Args:
        size: Number of channels in the sum, an odd number. It is called n in the paper.
        k: Constant in the denominator, above 0.
        alpha: Factor of the sum, at least 0. As in the paper and in `tf.nn.local_response_normalization`, it is not
            divided by `size`. Caffe and PyTorch divide it by `size`.
        beta: Exponent of the denominator.
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype` and `trainable`.

    Raises:
        UserError: If `size` is even, `k` is not positive, or `alpha` is negative.

    Example:
        >>> kv.layers.LocalResponseNorm()(keras.Input((27, 27, 96))).shape
        (None, 27, 27, 96)

    References:
        Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks, section 3.3. The
        defaults are from this section.
    """

    def __init__(self, size: int = 5, *, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int) or size < 1 or size % 2 == 0:
            raise checks.UserError("size", expected="an odd count of channels, at least 1", received=size)
        checks.positive({"k": k})
        if not alpha >= 0:
            raise checks.UserError("alpha", expected="a number of at least 0", received=alpha)
        self.size, self.k, self.alpha, self.beta = size, float(k), float(alpha), float(beta)

    def call(self, features):
        x = ops.cast(features, keras.backend.result_type(features.dtype, "float32"))
        radius, channels = self.size // 2, x.shape[-1]
        # Adding shifted slices loses no precision, while a running sum would. It also needs only built-in operations in
        # TFLite.
        squares = ops.pad(ops.square(x), [[0, 0]] * (len(x.shape) - 1) + [[radius, radius]])
        energy = sum(squares[..., shift : shift + channels] for shift in range(self.size))
        return ops.cast(x * ops.power(self.k + self.alpha * energy, -self.beta), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"size": self.size, "k": self.k, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}
