"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6, made for edge devices."""

import math

import keras
import numpy as np
from keras import layers

from kvision.layers import BatchNormalization, Preprocess

__all__ = ["IMAGE_SIZES", "efficientnet_lite", "load_torch_weights"]

# (kernel, repeats, width in, width out, expansion, stride): Tan & Le 2019 (arXiv 1905.11946), table 1
_BLOCKS = (
    (3, 1, 32, 16, 1, 1),
    (3, 2, 16, 24, 6, 2),
    (5, 2, 24, 40, 6, 2),
    (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2),
    (3, 1, 192, 320, 6, 1),
)
# by number: factor of the widths and factor of the repeats; the published image size in pixels
_SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
IMAGE_SIZES = (224, 240, 260)


def _width(channels: int, factor: float) -> int:
    """A scaled width: a multiple of 8, by rounding at least nine tenths of the exact one."""
    rounded = max(8, int(factor * channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * factor * channels else rounded + 8


def _stages(number: int) -> list[tuple[int, int, int, int, int]]:
    """Kernel, repeats, width, expansion and stride of each group of blocks."""
    wider, deeper = _SCALES[number]
    found = []
    for place, (kernel, repeats, _, width, expansion, stride) in enumerate(_BLOCKS):
        # the first and the last are repeated as in Lite0
        count = repeats if place in (0, len(_BLOCKS) - 1) else math.ceil(deeper * repeats)
        found.append((kernel, count, _width(width, wider), expansion, stride))
    return found


def _normalized(x, name: str, *, activation: bool = True):
    # epsilon 1e-3 and momentum .99 are those of the authors' code, which the published weights were trained with
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activation else x


def efficientnet_lite(
    number: int = 0, *, image_size: int | None = None, channels: int = 3, drop_connect_rate: float = 0.2
) -> keras.Model:
    """Creates EfficientNet-Lite without its head, as TensorFlow's TPU models cut and scale EfficientNet.

    Layers are named `stem_*`, `block0_*`, `block1_*` ..., `head_*`.

    Args:
        number: 0, 1 or 2: how wide and deep it is. Stem, head and the number of the first and last blocks are those of
            Lite0.
        image_size: Height and width in pixels. Defaults to the published 224, 240 or 260.
        channels: Of the image.
        drop_connect_rate: Probability of dropping the last residual branch; it grows linearly from 0 at the first
            (Huang et al. 2016).

    Returns:
        A model from `image`, `(batch, image_size, image_size, channels)` in [0, 255], to a map of 1,280 channels at
        stride 32.

    References:
        Tan and Le 2019, arXiv 1905.11946, table 1.
    """
    stages = _stages(number)
    image_size = IMAGE_SIZES[number] if image_size is None else image_size
    image = keras.Input((image_size, image_size, channels), name="image")
    x = Preprocess("lite")(image)
    x = _normalized(layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem_conv")(x), "stem")
    index, count = 0, sum(repeats for _, repeats, *_ in stages)
    for kernel, repeats, width, expansion, first_stride in stages:
        for repeat in range(repeats):
            name, stride, entry = f"block{index}", first_stride if repeat == 0 else 1, x
            if expansion > 1:
                expand = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}_expand")
                x = _normalized(expand(x), f"{name}_expand")
            depthwise = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise")
            x = _normalized(depthwise(x), f"{name}_depthwise")
            project = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_project")
            x = _normalized(project(x), f"{name}_project", activation=False)
            if stride == 1 and entry.shape[-1] == width:
                if drop_connect_rate:
                    rate = drop_connect_rate * index / count
                    x = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
                x = layers.Add(name=f"{name}_add")([x, entry])
            index += 1
    x = _normalized(layers.Conv2D(1280, 1, use_bias=False, name="head_conv")(x), "head")
    return keras.Model(image, x, name=f"EfficientNetLite{number}")


def _torch_names(layer: str) -> tuple[str, str]:
    """Our layer's name -> (prefix in the published PyTorch checkpoint, kind)."""
    stem_head = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1"}
    if layer in stem_head:
        return stem_head[layer], "bn" if layer.endswith("_bn") else "conv"
    block, part = layer.split("_", 1)
    # a block's first normalization is called _bn0 also where there is no expansion before it: then it does not exist
    parts = {
        "expand": ("_expand_conv", "conv"),
        "expand_bn": ("_bn0", "bn"),
        "depthwise": ("_depthwise_conv", "depthwise"),
        "depthwise_bn": ("_bn1", "bn"),
        "project": ("_project_conv", "conv"),
        "project_bn": ("_bn2", "bn"),
    }
    name, kind = parts[part]
    return f"_blocks.{block.removeprefix('block')}.{name}", kind


def load_torch_weights(model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Assigns a checkpoint of the published PyTorch port to an `efficientnet_lite` of the same number.

    Raises:
        KeyError: If a tensor is missing.
        ValueError: If one has another shape.
    """
    # PyTorch: (out, in, h, w), depthwise (channels, 1, h, w); Keras: (h, w, in, out), (h, w, channels, 1)
    axes = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1)}
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix, kind = _torch_names(layer.name)
        if kind == "bn":
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"{prefix}.{name}"] for name in names])
        else:
            layer.set_weights([tensors[f"{prefix}.weight"].transpose(axes[kind])])
