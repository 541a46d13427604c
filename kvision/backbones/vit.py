"""A plain vision transformer that returns a map of features."""

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

    Each block normalizes before the attention and before the MLP. The MLP has 4 * width hidden units and exact GELU.
    Positions are fixed sines and cosines. There is no class token and no dropout. Tokens stay in a grid
    `(batch, h, w, width)`, and attention runs over h and w. The kernel of the patch embedding is initialized like that
    of a linear layer, with Glorot's uniform distribution, as in MAE's code. Layers are named `patches`, `positions`,
    `block1_norm1`, `block1_attention`, `block1_add1`, `block1_norm2`, `block1_dense1`, `block1_dense2`, `block1_add2`
    and so on, and `norm`. The paper trains with AdamW, a learning rate of 1e-3, a weight decay of 1e-4 (decoupled),
    10,000 steps of warm-up and a cosine schedule, batches of 1024, RandAugment(2, 10) and MixUp of 0.2.

    Args:
        depth: Number of blocks, at least 1.
        width: Number of features per token, a multiple of 4, at least 8.
        heads: Number of attention heads, a divisor of `width`.
        patch_size: Height and width of a patch in pixels.
        image_size: Height and width of the image in pixels, a multiple of `patch_size`.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.

    Returns:
        A functional model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to normalized tokens
        `(batch, h, w, width)` with h = w = image_size / patch_size. The paper averages the tokens. The model has
        (3 patch_size^2 + 1) width + depth (12 width^2 + 13 width) + 2 width parameters. At depth 12 these are 5,486,400
        for width 192 (DeiT-Ti without class token, positions and head), and 21,589,632 for width 384. Pixels are scaled
        to [-1, 1] inside the model.

    Raises:
        UserError: If an argument is out of its range, the image size is not a multiple of the patch size, or the width
            is not a multiple of the number of heads.

    Example:
        >>> kv.backbones.vit(depth=1, width=16, heads=2, patch_size=8, image_size=32).output_shape
        (None, 4, 4, 16)

    References:
        Beyer et al. 2022, arXiv 2205.01580; Dosovitskiy et al. 2021, arXiv 2010.11929, equations 1 to 4.
    """
    if image_size < patch_size or image_size % patch_size:
        raise checks.UserError("image_size", expected=f"a multiple of {patch_size} (pixels)", received=image_size)
    if depth < 1:
        raise checks.UserError("depth", expected="at least 1 block", received=depth)
    if width < 8 or width % 4:
        raise checks.UserError("width", expected="a multiple of 4, at least 8", received=width)
    if heads < 1 or width % heads:
        raise checks.UserError("heads", expected=f"a divisor of width {width}", received=heads)
    image = keras.Input((image_size, image_size, channels), name="image")
    x = _patches(Preprocess("tf")(image), width, patch_size)
    x = transformer(SinCosPositions(name="positions")(x), depth=depth, heads=heads)
    return keras.Model(image, x, name="ViT")


def transformer(x, *, depth: int, heads: int):
    """Applies new transformer blocks and a last normalization to tokens, as `kv.backbones.vit` does.

    Args:
        x: Symbolic tokens `(batch, h, w, width)` with their positions added.
        depth: Number of blocks.
        heads: Number of attention heads, a divisor of the width.

    Returns:
        Symbolic tokens `(batch, h, w, width)`. Layers are named as in `kv.backbones.vit`.

    Example:
        >>> tokens = keras.Input((4, 4, 16))
        >>> kv.backbones.transformer(tokens, depth=1, heads=2).shape
        (None, 4, 4, 16)
    """
    for block in range(1, depth + 1):
        x = _block(x, x.shape[-1], heads, f"block{block}")
    return layers.LayerNormalization(epsilon=1e-6, name="norm")(x)


def vit_tokens(model: keras.Model, tokens, *, training: bool = False):
    """Runs the blocks and the last normalization of a ViT on given tokens.

    Masked autoencoders use this function to run the encoder on the visible patches only.

    Args:
        model: A model of `kv.backbones.vit`. Its layers and weights are used.
        tokens: Tokens `(batch, h, w, width)` with their positions added, for any h and w. Pass `(batch, n, 1, width)`
            for n selected tokens.
        training: Whether the layers run in training mode.

    Returns:
        Tokens of the same shape.

    Example:
        >>> model = kv.backbones.vit(depth=1, width=16, heads=2, image_size=32)
        >>> tuple(kv.backbones.vit_tokens(model, np.zeros((1, 3, 1, 16))).shape)
        (1, 3, 1, 16)
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
    """Applies a linear layer to each patch, with the initial values of MAE's code."""
    # Keras counts patch_size^2 * width outputs for a convolution, so the default initial values of Keras would be too
    # small.
    limit = math.sqrt(6 / (patch_size**2 * x.shape[-1] + width))  # Glorot and Bengio 2010, equation 16
    start = keras.initializers.RandomUniform(-limit, limit)
    return layers.Conv2D(width, patch_size, patch_size, kernel_initializer=start, name="patches")(x)


def _block(x, width: int, heads: int, name: str):
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    attention = layers.MultiHeadAttention(heads, width // heads, attention_axes=(1, 2), name=f"{name}_attention")
    x = layers.Add(name=f"{name}_add1")([x, attention(y, y)])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}_dense1")(y)  # the exact GELU, as in the paper
    return layers.Add(name=f"{name}_add2")([x, layers.Dense(width, name=f"{name}_dense2")(y)])
