"""One call for every network: `create("ResNet50", weights="imagenet", pooling="avg")`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from kvision import checks
from kvision.backbones import weights as files
from kvision.backbones.alexnet import SMALLEST, alexnet
from kvision.backbones.efficientnet_lite import efficientnet_lite0, load_torch_weights
from kvision.backbones.googlenet import googlenet
from kvision.backbones.plain_residual import plain_residual
from kvision.layers import Preprocess

__all__ = ["available", "create", "image_size", "smallest_size", "stages"]


@dataclass(frozen=True)
class _Entry:
    """A row of the zoo. stages: how the names of the first layers of stage2, stage3 ... begin; stage1 is the stem."""

    build: Callable[..., keras.Model]  # (image_size) -> functional model `image` in [0, 255] -> feature map
    imagenet: Callable[[keras.Model, int], None] | None  # assigns the pre-trained weights; None: none at hand
    stages: tuple[str, ...]
    image_size: int = 224
    smallest: int = 32


def _keras_application(constructor: Callable[..., keras.Model], *, mode: str | None):
    """`build` and `imagenet` of a `keras.applications` constructor, with its preprocessing inside.

    mode: of `Preprocess`; None for EfficientNet V1, whose own graph scales.
    """

    def build(image_size: int) -> keras.Model:
        image = keras.Input((image_size, image_size, 3), name="image")
        pixels = Preprocess(mode)(image) if mode else image
        model = constructor(weights=None, include_top=False, input_tensor=pixels)
        return model if mode else keras.models.clone_model(model, clone_function=_own_preprocessing)

    def imagenet(model: keras.Model, image_size: int) -> None:
        try:
            source = constructor(weights="imagenet", include_top=False, input_shape=(image_size, image_size, 3))
        except Exception as reason:  # Keras' get_file raises a bare Exception
            if "URL fetch failure" not in str(reason):
                raise
            raise files.download_error(constructor.__name__, reason) from reason
        for layer in source.layers:
            if layer.weights and not isinstance(layer, keras.layers.Normalization):  # replaced, see below
                model.get_layer(layer.name).set_weights(layer.get_weights())

    return build, imagenet


def _own_preprocessing(layer: keras.layers.Layer) -> keras.layers.Layer:
    # EfficientNet V1 scales by a Rescaling and a Normalization, and by one layer more for "imagenet" than for None.
    # Its statistics are weights that `set_weights` does not make effective. Ours is one layer, always the same.
    if isinstance(layer, keras.layers.Rescaling):
        return Preprocess("torch")
    if isinstance(layer, keras.layers.Normalization):
        return keras.layers.Identity(name="normalization")
    return type(layer).from_config(layer.get_config())


def _cifar(depth: int, *, residual: bool) -> _Entry:
    def build(image_size: int) -> keras.Model:
        return plain_residual(depth, residual=residual, classes=None, image_size=image_size)

    return _Entry(build, None, ("stage2_", "stage3_"), image_size=32, smallest=4)


def _zoo() -> dict[str, _Entry]:
    apps = keras.applications
    return {
        "AlexNet": _Entry(
            lambda image_size: alexnet(classes=None, image_size=image_size),
            None,
            ("conv2", "conv3"),  # the last pool has no weights: no stage of its own
            image_size=227,
            smallest=SMALLEST,
        ),
        "EfficientNetLite0": _Entry(
            lambda image_size: efficientnet_lite0(image_size=image_size),
            lambda model, _: load_torch_weights(model, files.lite0_checkpoint()),
            ("block1_", "block3_", "block5_", "block11_"),
        ),
        "EfficientNetB0": _Entry(
            *_keras_application(apps.EfficientNetB0, mode=None), ("block2a_", "block3a_", "block4a_", "block6a_")
        ),
        "GoogLeNet": _Entry(
            lambda image_size: googlenet(classes=None, image_size=image_size),
            None,
            ("conv2", "inception_3a_", "inception_4a_", "inception_5a_"),
        ),
        "MobileNetV2": _Entry(
            *_keras_application(apps.MobileNetV2, mode="tf"), ("block_1_", "block_3_", "block_6_", "block_13_")
        ),
        "Plain20": _cifar(20, residual=False),
        "Plain56": _cifar(56, residual=False),
        "ResNet20": _cifar(20, residual=True),
        "ResNet50": _Entry(*_keras_application(apps.ResNet50, mode="caffe"), ("conv2_", "conv3_", "conv4_", "conv5_")),
        "ResNet56": _cifar(56, residual=True),
        "ResNet110": _cifar(110, residual=True),
    }


def available() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(_zoo())


def image_size(name: str) -> int:
    """The side in pixels that a backbone was trained at."""
    zoo = _zoo()
    return zoo[checks.one_of("name", name, zoo)].image_size


def smallest_size(name: str) -> int:
    """The smallest side in pixels that `create` accepts for a backbone."""
    zoo = _zoo()
    return zoo[checks.one_of("name", name, zoo)].smallest


def create(
    name: str, *, weights: str | Path | None = None, image_size: int | None = None, pooling: str | None = None
) -> keras.Model:
    """Builds a backbone: a functional model `image` (B, S, S, 3) in [0, 255], float32 or uint8 -> features.

    name: one of `available()`. weights: None (random), "imagenet" (EfficientNetLite0: from the extra `offline`;
    EfficientNetB0, MobileNetV2, ResNet50: Keras' own download into ~/.keras/models; the others have none), or the path
    of a `.weights.h5` / `.keras` file saved from the same backbone. image_size: S in pixels, at least
    `smallest_size(name)`; None takes the size it was trained at. pooling: None gives the last feature map (B, h, w, D),
    "avg" or "max" (B, D). Scaling and mean subtraction are layers inside.
    Raises UserError for an unknown name or pooling, a size too small, weights that are missing or do not fit.
    """
    zoo = _zoo()
    entry = zoo[checks.one_of("name", name, zoo)]
    image_size = entry.image_size if image_size is None else image_size
    if not isinstance(image_size, int) or image_size < entry.smallest:
        expected = f"an integer of at least {entry.smallest} (pixels) for {name}"
        raise checks.error("image_size", expected=expected, received=image_size)
    if pooling is not None:
        checks.one_of("pooling", pooling, ("avg", "max"))
    if weights == "imagenet" and entry.imagenet is None:
        raise files.missing_error(name, [other for other in zoo if zoo[other].imagenet])
    body = entry.build(image_size)
    features = body.output
    if pooling:
        pool = keras.layers.GlobalAveragePooling2D if pooling == "avg" else keras.layers.GlobalMaxPooling2D
        features = pool(name="pool")(features)
    model = keras.Model(body.inputs[0], features, name=name)
    if weights == "imagenet" and entry.imagenet:
        entry.imagenet(model, image_size)
    elif weights is not None:
        files.load(model, weights)
    return model


def stages(backbone: keras.Model) -> dict[str, str]:
    """{"stage1": name of its first layer, "stage2": ...}: a stage is what runs at one stride, the stem is in stage1.

    A backbone has the stages that its paper gives it: five of strides 2, 4, 8, 16, 32; three of 4, 8, 16 in AlexNet and
    of 1, 2, 4 in ResNet20 ... Plain56. A pool may stand at the end of the stage before.
    Raises UserError for a model that `create` did not build.
    """
    zoo = _zoo()
    name = checks.one_of("backbone", backbone.name, zoo, problem="has no named stages")
    names = [layer.name for layer in backbone.layers]
    starts = [next(n for n in names if n.startswith(prefix)) for prefix in zoo[name].stages]
    return {f"stage{i}": start for i, start in enumerate([names[0], *starts], 1)}
