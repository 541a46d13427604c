"""Upscaling by a convolution that computes several pixels at each position."""

from typing import Any

import keras

from kvision import checks, ops

__all__ = ["ICNR", "SubPixelConvolution"]


@keras.saving.register_keras_serializable(package="kvision")
class ICNR(keras.initializers.Initializer):
    """Initializes a sub-pixel convolution so that it starts as nearest-neighbor upscaling.

    All pixels of a square of `factor` x `factor` pixels get the same kernel. Independent random kernels would produce a
    checkerboard pattern.

    Args:
        factor: Height and width of the square in pixels, at least 1.
        initializer: Initializer of the kernel that is repeated, in any form that Keras layers accept.

    Raises:
        UserError: If `factor` is below 1. When called, if factor^2 does not divide the number of channels.

    Example:
        >>> kernel = np.asarray(kv.layers.ICNR(factor=2)((3, 3, 8, 4)))
        >>> bool((kernel == kernel[..., :1]).all())
        True

    References:
        Aitken et al. 2017, arXiv 1707.02937.
    """

    def __init__(self, factor: int = 2, initializer="glorot_uniform"):
        if not isinstance(factor, int) or factor < 1:
            raise checks.UserError("factor", expected="an integer of at least 1", received=factor)
        self.factor, self.initializer = factor, keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        *sides, channels = shape
        if channels % self.factor**2:
            expected = f"a number of channels that is a multiple of {self.factor**2}"
            raise checks.UserError("shape", expected=expected, received=tuple(shape))
        one: Any = self.initializer
        kernel = one((*sides, channels // self.factor**2), dtype=dtype)
        return keras.ops.tile(kernel, [1] * len(sides) + [self.factor**2])

    def get_config(self):
        return {"factor": self.factor, "initializer": keras.initializers.serialize(self.initializer)}


@keras.saving.register_keras_serializable(package="kvision")
class SubPixelConvolution(keras.layers.Layer):
    """Enlarges maps by an integer factor with a learned convolution.

    A convolution of `(batch, h, w, channels)` computes factor^2 * filters values at each position. The layer arranges
    these values as `factor` x `factor` pixels and returns `(batch, factor * h, factor * w, filters)`. The kernel is
    initialized by `ICNR`, so the layer starts as nearest-neighbor upscaling.

    Args:
        filters: Number of output channels.
        factor: Factor by which height and width grow, at least 1.
        kernel_size: Height and width of the convolution's kernel on the small map. The map is padded with zeros.
        activation: Activation of the output pixels, in any form that Keras layers accept. `None` is linear.
        name: Name of the layer.
        dtype: Data type or policy, as in every Keras layer.
        trainable: Whether the weights train.

    Raises:
        UserError: If `factor` is below 1.

    Example:
        >>> layer = kv.layers.SubPixelConvolution(16, factor=2)
        >>> layer(keras.Input((8, 8, 32))).shape
        (None, 16, 16, 16)

    References:
        Shi et al. 2016, arXiv 1609.05158, section 3.2.
    """

    def __init__(
        self,
        filters: int,
        factor: int = 2,
        kernel_size: int | tuple[int, int] = 3,
        *,
        activation=None,
        name: str | None = None,
        dtype=None,
        trainable: bool = True,
    ):
        super().__init__(name=name, dtype=dtype)
        initializer = ICNR(factor)
        self.filters, self.factor, self.kernel_size = filters, factor, kernel_size
        self.activation = keras.activations.get(activation)
        self.convolution = keras.layers.Conv2D(
            filters * factor**2,
            kernel_size,
            padding="same",
            kernel_initializer=initializer,
            name="convolution",
            dtype=self.dtype_policy,
        )
        self.trainable = trainable

    def build(self, input_shape):
        self.convolution.build(input_shape)

    def call(self, features):
        return self.activation(ops.from_patches(self.convolution(features), self.factor))

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return (batch, *(None if side is None else side * self.factor for side in sides), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "factor": self.factor,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
        }
