"""A network that is small enough for a few thousand images."""

import keras
from keras import layers

from kvision.layers import Preprocess

__all__ = ["super_small"]

_WIDTHS = (32, 64, 128, 128)


def super_small(*, image_size: int = 64, channels: int = 3, dropout: float = 0.3) -> keras.Model:
    """Creates four blocks of a 3x3 convolution, BatchNormalization, ReLU and max pooling: 241,888 parameters.

    Train it with augmentation and weight decay. Layers are named `block1_conv` to `block4_relu`, `pool` and `dropout`.

    Args:
        image_size: Height and width in pixels, at least 16.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.
        dropout: Share of the features that is dropped in training.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to features
        `(batch, 128)`.

    Example:
        >>> model = kv.backbones.super_small(image_size=32)
        >>> model.output_shape
        (None, 128)

    References:
        The pattern of convolution, normalization, activation and pooling of Ioffe and Szegedy 2015, arXiv 1502.03167.
    """
    image = keras.Input((image_size, image_size, channels), name="image")
    x = Preprocess("torch")(image)
    for number, width in enumerate(_WIDTHS, 1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"block{number}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"block{number}_norm")(x)
        x = layers.ReLU(name=f"block{number}_relu")(x)
        if number < len(_WIDTHS):
            x = layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dropout(dropout, name="dropout")(x), name="SuperSmall")
