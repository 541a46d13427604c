"""Finds convolutions for which TensorFlow's oneDNN gradient writes outside its memory."""

import os
import warnings

import keras

__all__ = ["unsafe_convolutions", "warn"]

_FEWEST = 16  # number of channels that fill a register of AVX-512; 8 channels fill a register of AVX2


def unsafe_convolutions(model: keras.layers.Layer) -> list[str]:
    """Finds 1x1 convolutions with strides on fewer than 16 channels.

    TensorFlow 2.21 with oneDNN computes the gradient of these kernels in a buffer, and rounds the size of the buffer
    down to whole registers. At some batch and image sizes, training such a layer damages the memory of the process.

    Args:
        model: A built model, or a layer that contains layers.

    Returns:
        The names of these layers in the order of the model, without frozen layers.
    """
    return [
        layer.name
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose)
        and getattr(layer, "groups", 1) == 1  # a transposed convolution has no groups
        and layer.built
        and layer.trainable_variables
        and max(layer.kernel_size) == 1 < max(layer.strides)
        # For a transposed convolution this axis is the filters, because its gradient convolves them.
        and layer.kernel.shape[-2] < _FEWEST
    ]


def warn(model: keras.layers.Layer) -> None:
    """Warns of `unsafe_convolutions` if TensorFlow uses oneDNN. The warning says how to replace them."""
    if keras.backend.backend() != "tensorflow" or os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return
    if names := unsafe_convolutions(model):
        warnings.warn(
            f"Training can end this process (SIGSEGV): TensorFlow's oneDNN gradient of a 1x1 convolution with strides "
            f"writes outside its memory where the input has fewer than {_FEWEST} channels. Layers: {', '.join(names)}. "
            "Put keras.layers.AveragePooling2D(1, strides) before the layer and give the layer strides=1, which is the "
            "same function with the same weights, or set the environment variable TF_ENABLE_ONEDNN_OPTS=0.",
            stacklevel=3,
        )
