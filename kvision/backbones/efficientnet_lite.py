"""EfficientNet-Lite: EfficientNet for mobile devices, without squeeze-and-excitation and with ReLU6."""

import math

import keras
import numpy as np
from keras import layers

from kvision.layers import BatchNormalization, Preprocess

__all__ = ["IMAGE_SIZES", "efficientnet_lite", "load_torch_weights"]

# Kernel, repeats, width in, width out, expansion and stride, from table 1 of Tan and Le 2019, arXiv 1905.11946.
_BLOCKS = (
    (3, 1, 32, 16, 1, 1),
    (3, 2, 16, 24, 6, 2),
    (5, 2, 24, 40, 6, 2),
    (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2),
    (3, 1, 192, 320, 6, 1),
)
# For EfficientNet-Lite 0, 1 and 2: factors of the widths and of the repeats, and the published image size in pixels.
_SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
IMAGE_SIZES = (224, 240, 260)


def _width(channels: int, factor: float) -> int:
    """Scales a width and rounds it to a multiple of 8 that is at least 90 % of the scaled width."""
    rounded = max(8, int(factor * channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * factor * channels else rounded + 8


def _stages(number: int) -> list[tuple[int, int, int, int, int]]:
    """Returns kernel, repeats, width, expansion and stride of each group of blocks."""
    wider, deeper = _SCALES[number]
    found = []
    for place, (kernel, repeats, _, width, expansion, stride) in enumerate(_BLOCKS):
        # The first and the last group have as many repeats as in Lite0.
        count = repeats if place in (0, len(_BLOCKS) - 1) else math.ceil(deeper * repeats)
        found.append((kernel, count, _width(width, wider), expansion, stride))
    return found


def _normalized(x, name: str, *, activation: bool = True):
    # These constants are from the authors' code that trained the published weights.
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activation else x


def efficientnet_lite(
    number: int = 0, *, image_size: int | None = None, channels: int = 3, drop_connect_rate: float = 0.2
) -> keras.Model:
    """Creates an EfficientNet-Lite without its classifier, scaled as in the code of TensorFlow's TPU models.

    Layers are named `stem_*`, `block0_*`, `block1_*` and so on, and `head_*`.

    Args:
        number: 0, 1 or 2. Networks with a larger number are wider and deeper. The widths of the stem and of the head
            and the repeats of the first and last group of blocks are the same in all networks.
        image_size: Height and width in pixels. Defaults to the published 224, 240 or 260.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model.
        drop_connect_rate: Probability of dropping the last residual branch (Huang et al. 2016). The probability grows
            linearly, from 0 at the first branch.

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
    """Returns the prefix of a layer's tensors in the published PyTorch checkpoint, and the kind of the layer."""
    stem_head = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1"}
    if layer in stem_head:
        return stem_head[layer], "bn" if layer.endswith("_bn") else "conv"
    block, part = layer.split("_", 1)
    # In the checkpoint, too, a block without expansion has no _bn0.
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
    """Assigns the weights of the published PyTorch version.

    Args:
        model: A model of `efficientnet_lite`.
        tensors: Dictionary from the tensor names of the PyTorch version to arrays, for the same number (0, 1 or 2).

    Raises:
        ValueError: If a tensor is missing or has the wrong shape.
    """

    def tensor(name: str) -> np.ndarray:
        if name not in tensors:
            raise ValueError(f"it lacks {name}")
        return tensors[name]

    # PyTorch stores kernels as (out, in, h, w), and depthwise kernels as (channels, 1, h, w). Keras stores kernels as
    # (h, w, in, out), and depthwise kernels as (h, w, channels, 1).
    axes = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1)}
    for layer in model.layers:
        if not layer.weights:
            continue
        prefix, kind = _torch_names(layer.name)
        if kind == "bn":
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensor(f"{prefix}.{name}") for name in names])
        else:
            layer.set_weights([tensor(f"{prefix}.weight").transpose(axes[kind])])
