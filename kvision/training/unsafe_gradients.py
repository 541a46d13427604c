"""Convolutions whose gradient TensorFlow's oneDNN kernel computes outside its memory."""

import os
import warnings

import keras

__all__ = ["unsafe_convolutions", "warn"]

_FEWEST = 16  # channels that fill a register of AVX-512; with AVX2 8 are enough


def unsafe_convolutions(model: keras.layers.Layer) -> list[str]:
    """Finds 1x1 convolutions with strides on fewer than 16 channels.

    TensorFlow 2.21 with oneDNN computes the gradient of their kernels in a buffer that it rounds down to whole
    registers. Training such a layer damages memory of the process at some batch and image sizes.

    Args:
        model: A built model, or a layer that holds others.

    Returns:
        The names of these layers, in the order of the model; those of frozen layers are left out.
    """
    return [
        layer.name
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose)
        and getattr(layer, "groups", 1) == 1  # a transposed convolution has none
        and layer.built
        and layer.trainable_variables
        and max(layer.kernel_size) == 1 < max(layer.strides)
        # of a transposed convolution these are its filters, which its gradient convolves
        and layer.kernel.shape[-2] < _FEWEST
    ]


def warn(model: keras.layers.Layer) -> None:
    """Warns of `unsafe_convolutions` where TensorFlow runs them with oneDNN, and says how to replace them."""
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
