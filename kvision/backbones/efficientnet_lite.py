"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation and with ReLU6, made for edge devices."""

import keras
import numpy as np
from keras import layers

from kvision.layers import BatchNormalization, Preprocess

__all__ = ["efficientnet_lite0", "load_torch_weights"]

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


def _normalized(x, name: str, *, activation: bool = True):
    # epsilon 1e-3 and momentum .99 are those of the authors' code, which the published weights were trained with
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activation else x


def efficientnet_lite0(*, image_size: int = 224, channels: int = 3, drop_connect_rate: float = 0.2) -> keras.Model:
    """EfficientNet-Lite0 without its head: the blocks of Tan & Le 2019, table 1, as TensorFlow's TPU models cut them.

    Returns a functional model `image` (B, S, S, channels) in [0, 255] -> (B, ceil(image_size / 32), same,
    1280). Layers are named `stem_*`, `block0_*` ... `block15_*`, `head_*`. drop_connect_rate: probability of dropping
    the last residual branch, growing linearly from 0 at the first (Huang et al. 2016); the paper's .2.
    """
    image = keras.Input((image_size, image_size, channels), name="image")
    x = Preprocess("lite")(image)
    x = _normalized(layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem_conv")(x), "stem")
    index, count = 0, sum(repeats for _, repeats, *_ in _BLOCKS)
    for kernel, repeats, _, width, expansion, first_stride in _BLOCKS:
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
    return keras.Model(image, x, name="EfficientNetLite0")


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
    """Assigns a checkpoint of the published PyTorch port to `efficientnet_lite0(...)`; KeyError if one is missing."""
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
