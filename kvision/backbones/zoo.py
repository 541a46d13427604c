"""The table of all backbones: how each backbone is built, and where its ImageNet weights come from."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import keras

from kvision.backbones import weights as files
from kvision.backbones.alexnet import SMALLEST, alexnet
from kvision.backbones.efficientnet_lite import IMAGE_SIZES, efficientnet_lite, load_torch_weights
from kvision.backbones.googlenet import googlenet
from kvision.backbones.keras_cv import keras_cv
from kvision.backbones.plain_residual import plain_residual
from kvision.backbones.vit import vit
from kvision.layers import Preprocess

__all__ = ["ZOO", "Entry"]


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Attributes:
        build: Function that creates the model from an image size, a number of channels and a pooling.
        mode: Mode of the `Preprocess` layer of the model.
        image_size: Height and width in pixels that the backbone was trained with.
        smallest: Smallest height and width in pixels that the backbone accepts.
        imagenet: Function that creates the same network with ImageNet weights, or None if there are no ImageNet
            weights.
        fetch: Function that downloads or reads the ImageNet weights. It raises UserError if this fails.
        source: Source of the ImageNet weights, as the documentation shows it.
        stages: Prefixes of the names of the first layers of stage2, stage3 and so on. Empty if the strides determine
            the stages.
        torch: Function that assigns a PyTorch state dictionary to the model.
    """

    build: Callable[[int, int, str | None], keras.Model]
    mode: str
    image_size: int = 224
    smallest: int = 32
    imagenet: Callable[[], keras.Model] | None = None
    fetch: Callable[[], object] | None = None
    source: str = "none"
    stages: tuple[str, ...] = ()
    torch: Callable[[keras.Model, dict], None] | None = None


def _application(name: str, mode: str, image_size: int, smallest: int = 32) -> Entry:
    """Creates the row of a network of `keras.applications`. Its preprocessing becomes part of the model."""

    def build(image_size: int, channels: int, pooling: str | None) -> keras.Model:
        constructor = getattr(keras.applications, name)
        image = keras.Input((image_size, image_size, channels), name="image")
        options: dict = {"weights": None, "include_top": False, "input_tensor": Preprocess(mode)(image)}
        known = inspect.signature(constructor).parameters
        if "include_preprocessing" in known:
            options["include_preprocessing"] = False
        if name.startswith("ConvNeXt"):
            options["pooling"] = pooling  # its last LayerNormalization comes after the pooling
        model = constructor(**options)
        if name.startswith("EfficientNetB"):
            return keras.models.clone_model(model, clone_function=_without_scaling)
        return model

    def imagenet() -> keras.Model:
        constructor, shape = getattr(keras.applications, name), (image_size, image_size, 3)
        try:
            return constructor(weights="imagenet", include_top=False, input_shape=shape)
        except Exception as reason:  # Keras raises a plain Exception if a download fails
            if "URL fetch failure" not in str(reason):
                raise
            raise files.download_error(name, reason) from reason

    stages = next((prefixes for family, prefixes in _BLOCKS.items() if name.startswith(family)), ())
    weights = {"imagenet": imagenet, "fetch": imagenet, "source": "Keras' download"}
    return Entry(build, mode, image_size, smallest, stages=stages, **weights)


def _without_scaling(layer: keras.layers.Layer) -> keras.layers.Layer:
    # Keras builds EfficientNet V1 with Rescaling and Normalization layers, and adds one more such layer for "imagenet".
    # Setting the weights of these layers has no effect on the statistics that they use. Our Preprocess layer replaces
    # them.
    if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
        return keras.layers.Identity(name=layer.name)
    return type(layer).from_config(layer.get_config())


def _own(build: Callable[..., keras.Model], mode: str, **fields) -> Entry:
    """Creates the row of one of our networks. Its `build` takes keyword arguments and has no pooling."""
    return Entry(lambda image_size, channels, _: build(image_size=image_size, channels=channels), mode, **fields)


def _cifar(depth: int, *, residual: bool) -> Entry:
    def build(**sizes) -> keras.Model:
        return plain_residual(depth, residual=residual, classes=None, **sizes)

    return _own(build, "torch", image_size=32, smallest=4)


def _vit(*, width: int, heads: int) -> Entry:
    def build(**sizes) -> keras.Model:
        return vit(depth=12, width=width, heads=heads, **sizes)

    # A ViT has only one stride, so its stages are four groups of three blocks.
    return _own(build, "tf", smallest=16, stages=("block4_", "block7_", "block10_"))


def _keras_cv(name: str) -> Entry:
    return _own(lambda **sizes: keras_cv(name, **sizes), "unit")


def _lite(number: int, *stages: str) -> Entry:
    def imagenet() -> keras.Model:
        model = efficientnet_lite(number)
        load_torch_weights(model, files.lite_checkpoint(number))
        return model

    return _own(
        lambda **sizes: efficientnet_lite(number, **sizes),
        "lite",
        image_size=IMAGE_SIZES[number],
        imagenet=imagenet,
        fetch=lambda: files.lite_checkpoint(number),
        source="the extra `offline`",
        stages=stages,
        torch=load_torch_weights,
    )


# In these families each stage begins with a whole inverted residual block, although the stride is in the middle of the
# block.
_BLOCKS = {
    "EfficientNet": ("block2a_", "block3a_", "block4a_", "block6a_"),
    "MobileNetV2": ("block_1_", "block_3_", "block_6_", "block_13_"),
    "MobileNetV3Large": ("expanded_conv_1_", "expanded_conv_3_", "expanded_conv_6_", "expanded_conv_12_"),
    "MobileNetV3Small": ("expanded_conv_", "expanded_conv_1_", "expanded_conv_3_", "expanded_conv_8_"),
}
# Name, mode of Preprocess, image size of the training, smallest image size if it is not 32.
_APPLICATIONS = (
    ("ConvNeXtTiny", "torch", 224),
    ("ConvNeXtSmall", "torch", 224),
    ("ConvNeXtBase", "torch", 224),
    ("ConvNeXtLarge", "torch", 224),
    ("ConvNeXtXLarge", "torch", 224),
    ("DenseNet121", "torch", 224),
    ("DenseNet169", "torch", 224),
    ("DenseNet201", "torch", 224),
    ("EfficientNetB0", "torch", 224),
    ("EfficientNetB1", "torch", 240),
    ("EfficientNetB2", "torch", 260),
    ("EfficientNetB3", "torch", 300),
    ("EfficientNetB4", "torch", 380),
    ("EfficientNetB5", "torch", 456),
    ("EfficientNetB6", "torch", 528),
    ("EfficientNetB7", "torch", 600),
    ("EfficientNetV2B0", "torch", 224),
    ("EfficientNetV2B1", "torch", 240),
    ("EfficientNetV2B2", "torch", 260),
    ("EfficientNetV2B3", "torch", 300),
    ("EfficientNetV2S", "tf128", 384),
    ("EfficientNetV2M", "tf128", 480),
    ("EfficientNetV2L", "tf128", 480),
    ("InceptionResNetV2", "tf", 299, 75),
    ("InceptionV3", "tf", 299, 75),
    ("MobileNet", "tf", 224),
    ("MobileNetV2", "tf", 224),
    ("MobileNetV3Large", "tf", 224),
    ("MobileNetV3Small", "tf", 224),
    ("NASNetLarge", "tf", 331),
    ("NASNetMobile", "tf", 224),
    ("ResNet50", "caffe", 224),
    ("ResNet101", "caffe", 224),
    ("ResNet152", "caffe", 224),
    ("ResNet50V2", "tf", 224),
    ("ResNet101V2", "tf", 224),
    ("ResNet152V2", "tf", 224),
    ("VGG16", "caffe", 224),
    ("VGG19", "caffe", 224),
    ("Xception", "tf", 299, 71),
)

ZOO: dict[str, Entry] = {
    "AlexNet": _own(
        lambda **sizes: alexnet(classes=None, **sizes),
        "caffe",
        image_size=227,
        smallest=SMALLEST,
    ),
    "EfficientNetLite0": _lite(0, "block1_", "block3_", "block5_", "block11_"),
    "EfficientNetLite1": _lite(1, "block1_", "block4_", "block7_", "block15_"),
    "EfficientNetLite2": _lite(2, "block1_", "block4_", "block7_", "block15_"),
    "GoogLeNet": _own(lambda **sizes: googlenet(classes=None, **sizes), "caffe"),
    "Plain20": _cifar(20, residual=False),
    "Plain56": _cifar(56, residual=False),
    "ResNet20": _cifar(20, residual=True),
    "ResNet56": _cifar(56, residual=True),
    "ResNet110": _cifar(110, residual=True),
    "ViTTiny16": _vit(width=192, heads=3),
    "ViTSmall16": _vit(width=384, heads=6),
    "CSPDarkNetTiny": _keras_cv("CSPDarkNetTiny"),
    "ResNet18V2": _keras_cv("ResNet18V2"),
    "ResNet34V2": _keras_cv("ResNet34V2"),
    **{row[0]: _application(*row) for row in _APPLICATIONS},
}
