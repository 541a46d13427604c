"""The way back of a strided convolution, to exactly the size that it came from."""

import keras
import numpy as np

from kvision import checks, ops

__all__ = ["BilinearKernel", "TransposedConvolution"]


@keras.saving.register_keras_serializable(package="kvision")
class BilinearKernel(keras.initializers.Initializer):
    """Initializes a transposed convolution of stride f as bilinear interpolation of each channel.

    The kernel has the shape `(k, k, channels, channels)` and is zero off the diagonal of the channels. Its size
    follows from the stride: k = 2 f - f mod 2, that is 1, 4, 5, 8, 9, 12 ... for strides 1, 2, 3, 4, 5, 6 ... The
    result equals a bilinear resize by f, except for a rim of f / 2 pixels, where the convolution sees zeros outside.

    Raises:
        kvision.UserError: When called, if the kernel is not square, mixes channels, or has another size.

    References:
        Long, Shelhamer and Darrell 2015, arXiv 1411.4038, section 3.3.
    """

    def __call__(self, shape, dtype=None):
        height, width, outputs, inputs = shape
        if height != width or outputs != inputs:
            raise checks.error(
                "shape", expected="a square kernel with as many channels out as in", received=tuple(shape)
            )
        if height % 4 > 1:
            raise checks.error(
                "shape",
                problem="has a kernel size that interpolates at no stride",
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
    """features (B, h, w, D), reference (B, H, W, ...) -> (B, H, W, filters): the transpose of a convolution of that
    kernel and stride, padded to "same", that makes (h, w) of (H, W); odd sizes come back too.

    "Deconvolution", or a convolution of stride 1 / strides. Without a reference (H, W) is strides * (h, w). A kernel
    that strides do not divide lays down a checkerboard (Odena et al. 2016, distill.pub, Deconvolution and Checkerboard
    Artifacts): 4 at stride 2, not 3. kernel_initializer: such as `BilinearKernel()`; freeze the layer to keep it.
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
        self._check(features.shape, None if reference is None else reference.shape)
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

    def _check(self, features_shape, reference_shape) -> None:
        for coarse, side, s in zip(features_shape[1:3], (reference_shape or ())[1:3], self.strides, strict=False):
            if coarse is not None and side is not None and -(-side // s) != coarse:
                raise checks.error(
                    "reference",
                    expected=f"sides of which strides {self.strides} make {tuple(features_shape[1:3])}",
                    received=tuple(reference_shape),
                )

    @staticmethod
    def _padding(count, side, kernel: int, stride: int):
        """How much the convolution pads before the first pixel."""
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

    def compute_output_spec(self, features, reference=None):
        shape = self.compute_output_shape(features.shape, None if reference is None else reference.shape)
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        names = (
            *("filters", "kernel_size", "strides", "activation", "use_bias", "kernel_initializer"),
            *("name", "dtype", "trainable"),
        )
        return {name: config[name] for name in names}
