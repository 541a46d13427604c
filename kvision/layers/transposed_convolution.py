"""Transposed convolution that returns exactly the size of a reference."""

import keras
import numpy as np

from kvision import checks, ops

__all__ = ["BilinearKernel", "TransposedConvolution"]


@keras.saving.register_keras_serializable(package="kvision")
class BilinearKernel(keras.initializers.Initializer):
    """Initializes a transposed convolution as bilinear interpolation of each channel.

    The kernel has the shape `(k, k, channels, channels)`. It is zero for each pair of different channels. The size k
    must fit the stride f: k = 2 f - f mod 2, that is 1, 4, 5, 8, 9, 12 for strides 1 to 6. The result equals a bilinear
    resize by f, except for a border of f / 2 pixels. There, the convolution uses zeros outside of the map.

    Raises:
        UserError: When called, if the kernel is not square, the numbers of input and output channels differ, or the
            size does not fit any stride.

    Example:
        >>> kernel = np.asarray(kv.layers.BilinearKernel()((4, 4, 1, 1)))
        >>> kernel[0, :, 0, 0].tolist()
        [0.0625, 0.1875, 0.1875, 0.0625]

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 3.3.
    """

    def __call__(self, shape, dtype=None):
        height, width, outputs, inputs = shape
        if height != width or outputs != inputs:
            expected = "a square kernel with equal numbers of input and output channels"
            raise checks.UserError("shape", expected=expected, received=tuple(shape))
        if height % 4 > 1:
            raise checks.UserError(
                "shape",
                problem="has a kernel size that fits no stride",
                expected="1, 4, 5, 8, 9, 12 ...: 2 f for an even stride f, 2 f - 1 for an odd one",
                received=tuple(shape),
            )
        factor = -(-height // 2)
        center = (2 * factor - 1 - factor % 2) / (2 * factor)
        line = 1 - np.abs(np.arange(height) / factor - center)
        return keras.ops.convert_to_tensor(
            (line[:, None] * line)[:, :, None, None] * np.eye(inputs), dtype or keras.config.floatx()
        )

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable(package="kvision")
class TransposedConvolution(keras.layers.Conv2DTranspose):
    """Enlarges maps by a transposed convolution, exactly to the size of a reference.

    The layer is called with features `(batch, h, w, channels)` and a reference `(batch, height, width, ...)`, and
    returns `(batch, height, width, filters)`. The layer is the transpose of a convolution with padding "same" that
    turns `(height, width)` into `(h, w)`. So odd sizes are restored too. Without a reference the output has `strides`
    times the size of the features.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the kernel. Use a multiple of `strides`, such as 4 for strides of 2. All other
            sizes produce a checkerboard pattern.
        strides: Factor by which height and width grow.
        activation: Activation of the output, in any form that Keras layers accept. `None` is linear.
        use_bias: Whether a bias is added.
        kernel_initializer: Initializer of the kernel, such as `BilinearKernel()`. With `trainable=False` the kernel
            keeps its initial values.
        name: Name of the layer.
        dtype: Data type or policy, as in every Keras layer.
        trainable: Whether the weights train.

    Raises:
        UserError: When called, if a convolution of these strides does not turn the size of the reference into
            the size of the features.

    Example:
        >>> layer = kv.layers.TransposedConvolution(16, kernel_size=4, strides=2)
        >>> features, image = np.zeros((1, 17, 17, 8)), np.zeros((1, 33, 34, 3))
        >>> tuple(layer(features, image).shape)
        (1, 33, 34, 16)

    References:
        Odena et al. 2016, Deconvolution and checkerboard artifacts, distill.pub.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int] = 4,
        strides: int | tuple[int, int] = 2,
        *,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        name: str | None = None,
        dtype=None,
        trainable: bool = True,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding="same",
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            name=name,
            dtype=dtype,
            trainable=trainable,
        )

    def build(self, features_shape, reference_shape=None):
        super().build(features_shape)

    def call(self, features, reference=None):
        known = () if reference is None else reference.shape[1:3]
        for coarse, side, s in zip(features.shape[1:3], known, self.strides, strict=False):
            if coarse is not None and side is not None and -(-side // s) != coarse:
                expected = f"a size that becomes {tuple(features.shape[1:3])} after strides of {self.strides}"
                raise checks.UserError("reference", expected=expected, received=tuple(reference.shape))
        whole = keras.ops.conv_transpose(
            features, self.kernel, list(self.strides), padding="valid", data_format="channels_last"
        )
        _, h, w, _ = ops.sizes(features)
        coarse = (h * self.strides[0], w * self.strides[1])
        sides = coarse if reference is None else ops.sizes(reference)[1:3]
        starts = [
            self._padding(count, side, k, s)
            for count, side, k, s in zip((h, w), sides, self.kernel_size, self.strides, strict=True)
        ]
        found = whole[:, starts[0] : starts[0] + sides[0], starts[1] : starts[1] + sides[1]]
        if self.use_bias:
            found = keras.ops.add(found, self.bias)
        return found if self.activation is None else self.activation(found)

    @staticmethod
    def _padding(count, side, kernel: int, stride: int):
        """Returns the number of pixels that the convolution pads before the first pixel."""
        total = (count - 1) * stride + kernel - side
        if isinstance(total, int):
            return max(total, 0) // 2
        return keras.ops.maximum(total, 0) // 2

    def compute_output_shape(self, features_shape, reference_shape=None):
        batch, *sides, _ = features_shape
        if reference_shape is None:
            finer = (None if side is None else side * s for side, s in zip(sides, self.strides, strict=True))
        else:
            finer = reference_shape[1:3]
        return (batch, *finer, self.filters)

    def get_config(self):
        config = super().get_config()
        own = ("filters", "kernel_size", "strides", "activation", "use_bias", "kernel_initializer")
        return {name: config[name] for name in (*own, "name", "dtype", "trainable")}
