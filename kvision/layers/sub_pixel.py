"""Upscaling by a convolution that computes all pixels of a square at once."""

from typing import Any

import keras

from kvision import checks, ops

__all__ = ["ICNR", "SubPixelConvolution"]


@keras.saving.register_keras_serializable(package="kvision")
class ICNR(keras.initializers.Initializer):
    """One kernel for all pixels of a square, so that upscaling begins as nearest neighbor, without a checkerboard
    (Aitken et al. 2017, arXiv 1707.02937).

    factor: the side of the square. initializer: of that one kernel. Raises UserError for a factor below 1, and, called,
    for channels that factor^2 does not divide.
    """

    def __init__(self, factor: int = 2, initializer="glorot_uniform"):
        if not isinstance(factor, int) or factor < 1:
            raise checks.error("factor", expected="a count of pixels, at least 1", received=factor)
        self.factor, self.initializer = factor, keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        *sides, channels = shape
        if channels % self.factor**2:
            raise checks.error("shape", expected=f"channels that {self.factor**2} divides", received=tuple(shape))
        one: Any = self.initializer
        kernel = one((*sides, channels // self.factor**2), dtype=dtype)
        return keras.ops.tile(kernel, [1] * len(sides) + [self.factor**2])

    def get_config(self):
        return {"factor": self.factor, "initializer": keras.initializers.serialize(self.initializer)}


@keras.saving.register_keras_serializable(package="kvision")
class SubPixelConvolution(keras.layers.Layer):
    """(B, h, w, D) -> (B, factor h, factor w, filters): a convolution to factor^2 * filters channels, whose values are
    laid out as pixels (Shi et al. 2016, arXiv 1609.05158, section 3.2). Begins as `ICNR`.

    kernel_size: of the convolution, on the coarse grid; it pads with zeros. activation: of the pixels.
    Raises UserError for a factor below 1.
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
        if not isinstance(factor, int) or factor < 1:
            raise checks.error("factor", expected="a count of pixels, at least 1", received=factor)
        self.filters, self.factor, self.kernel_size = filters, factor, kernel_size
        self.activation = keras.activations.get(activation)
        self.convolution = keras.layers.Conv2D(
            filters * factor**2,
            kernel_size,
            padding="same",
            kernel_initializer=ICNR(factor),
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
            "filters": self.filters,
            "factor": self.factor,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
        }
