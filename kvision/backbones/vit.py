"""A plain vision transformer, kept as a map from patches to features."""

import math

import keras
from keras import layers

from kvision import checks
from kvision.layers import Preprocess, SinCosPositions

__all__ = ["transformer", "vit", "vit_tokens"]


def vit(
    *, depth: int, width: int, heads: int, patch_size: int = 16, image_size: int = 224, channels: int = 3
) -> keras.Model:
    """Creates a vision transformer with the simple choices of "Better plain ViT baselines".

    Its blocks normalize first, with an MLP of 4 * width and exact GELU. Positions are fixed sines and cosines. There is
    no class token and no dropout. Tokens stay on their grid all the way: attention runs over both axes of it. The
    patch kernel starts like that of a linear layer, with Glorot's uniform distribution, as in MAE's code. The layers
    are named `patches`, `positions`, `block1_norm1 block1_attention block1_add1 block1_norm2 block1_dense1
    block1_dense2 block1_add2` ..., `norm`. The paper trains with AdamW, rate 1e-3, decay 1e-4 (decoupled), 10,000 steps
    of warm-up and cosine, batches of 1024, RandAugment(2, 10) and MixUp .2.

    Args:
        depth: Number of blocks.
        width: Features of a token, a multiple of 4.
        heads: Attention heads; they divide `width`.
        patch_size: Height and width of a patch in pixels.
        image_size: Height and width of the image in pixels, a multiple of `patch_size`.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to normalized tokens
        `(batch, h, w, width)` with h = w = image_size / patch_size. The paper pools them by their average. The model
        has (3 patch_size^2 + 1) width + depth (12 width^2 + 13 width) + 2 width parameters: 5,486,400 at depth 12 and
        width 192 (DeiT-Ti without token, positions and head), 21,589,632 at 384. Pixels are scaled to [-1, 1] inside.

    Raises:
        kvision.UserError: If the patches do not fill the image, or the heads do not share the width evenly.

    References:
        Beyer et al. 2022, arXiv 2205.01580; Dosovitskiy et al. 2021, arXiv 2010.11929, equations 1 to 4.
    """
    if image_size < patch_size or image_size % patch_size:
        raise checks.error("image_size", expected=f"a multiple of {patch_size} (pixels)", received=image_size)
    if depth < 1:
        raise checks.error("depth", expected="a count of at least 1 block", received=depth)
    if heads < 1 or width % heads:
        raise checks.error("heads", expected=f"a divisor of width {width}", received=heads)
    image = keras.Input((image_size, image_size, channels), name="image")
    x = _patches(Preprocess("tf")(image), width, patch_size)
    x = transformer(SinCosPositions(name="positions")(x), depth=depth, heads=heads)
    return keras.Model(image, x, name="ViT")


def transformer(x, *, depth: int, heads: int):
    """The blocks of `vit` and its last normalization on tokens (B, h, w, D), symbolic; layers are named as there."""
    for block in range(1, depth + 1):
        x = _block(x, x.shape[-1], heads, f"block{block}")
    return layers.LayerNormalization(epsilon=1e-6, name="norm")(x)


def vit_tokens(model: keras.Model, tokens, *, training: bool = False):
    """Runs the blocks and the last normalization of a model that `vit` made, with its weights, on other tokens.

    tokens: (B, h, w, D) with positions added, of any h and w: (B, n, 1, D) for n tokens that were picked out.
    Returns (B, h, w, D).
    """
    depth = sum(layer.name.endswith("_attention") for layer in model.layers)
    x = tokens
    for block in (f"block{number}" for number in range(1, depth + 1)):
        y = model.get_layer(f"{block}_norm1")(x)
        x = x + model.get_layer(f"{block}_attention")(y, y, training=training)
        y = model.get_layer(f"{block}_dense1")(model.get_layer(f"{block}_norm2")(x))
        x = x + model.get_layer(f"{block}_dense2")(y)
    return model.get_layer("norm")(x)


def _patches(x, width: int, patch_size: int):
    """The linear layer on each patch, with the initial values of a linear layer: those of MAE's code.

    Keras counts patch_size^2 * width outputs of a convolution, and would begin several times too small.
    """
    limit = math.sqrt(6 / (patch_size**2 * x.shape[-1] + width))  # Glorot & Bengio 2010, equation 16
    start = keras.initializers.RandomUniform(-limit, limit)
    return layers.Conv2D(width, patch_size, patch_size, kernel_initializer=start, name="patches")(x)


def _block(x, width: int, heads: int, name: str):
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    attention = layers.MultiHeadAttention(heads, width // heads, attention_axes=(1, 2), name=f"{name}_attention")
    x = layers.Add(name=f"{name}_add1")([x, attention(y, y)])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}_dense1")(y)  # Keras' Dense: exact, as in the paper
    return layers.Add(name=f"{name}_add2")([x, layers.Dense(width, name=f"{name}_dense2")(y)])
