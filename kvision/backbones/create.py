"""Creates any backbone by its name, such as `create("ResNet50", weights="imagenet", pooling="avg")`."""

from dataclasses import dataclass
from pathlib import Path

import keras

from kvision import checks
from kvision.backbones import weights as files
from kvision.backbones.zoo import ZOO
from kvision.layers import fuse_norms

__all__ = ["Info", "available", "create", "info", "require_imagenet"]


def available() -> tuple[str, ...]:
    """Returns the names of all backbones, in the order of the documentation.

    Returns:
        The names that `kv.backbones.create` accepts.

    Example:
        >>> "EfficientNetLite0" in kv.backbones.available()
        True
    """
    return tuple(ZOO)


@dataclass(frozen=True)
class Info:
    """Facts about a backbone.

    Attributes:
        image_size: Height and width in pixels that the backbone was trained with.
        smallest_size: Smallest height and width in pixels that `kv.backbones.create` accepts.
        has_imagenet: Whether `kv.backbones.create` accepts `weights="imagenet"`.
    """

    image_size: int
    smallest_size: int
    has_imagenet: bool


def info(name: str) -> Info:
    """Returns facts about a backbone.

    Args:
        name: One of `kv.backbones.available()`.

    Returns:
        The image sizes, and whether ImageNet weights exist.

    Raises:
        UserError: If the name is unknown.

    Example:
        >>> kv.backbones.info("EfficientNetLite0")
        Info(image_size=224, smallest_size=32, has_imagenet=True)
    """
    entry = ZOO[checks.one_of("name", name, ZOO)]
    return Info(entry.image_size, entry.smallest, entry.imagenet is not None)


def require_imagenet(name: str) -> None:
    """Checks that the ImageNet weights of a backbone are available, and downloads them if necessary.

    A recipe calls this function first, so that a missing package or network connection stops it before it reads data.

    Args:
        name: One of `kv.backbones.available()`.

    Raises:
        UserError: If the name is unknown, or the backbone has no ImageNet weights, or the weights cannot be downloaded.
    """
    entry = ZOO[checks.one_of("name", name, ZOO)]
    _check_imagenet(name)
    if entry.fetch is not None:
        entry.fetch()


def _check_imagenet(name: str) -> None:
    if ZOO[name].imagenet is None:
        raise checks.UserError(
            "weights",
            problem=f"cannot be 'imagenet' for {name}, which has no ImageNet weights that Keras can load",
            expected="random weights, or a file saved from the same backbone",
            received="imagenet",
            hint=f"Backbones with ImageNet weights: {', '.join(n for n in ZOO if ZOO[n].imagenet is not None)}",
        )


def create(
    name: str,
    *,
    weights: str | Path | None = None,
    image_size: int | None = None,
    pooling: str | None = None,
    channels: int = 3,
) -> keras.Model:
    """Creates a backbone as a functional Keras model without a classifier.

    The model takes raw RGB pixels: scaling and mean subtraction happen inside it (`kv.layers.Preprocess`).

    Args:
        name: One of `kv.backbones.available()`.
        weights: `None` for random weights, `"imagenet"`, or the path of a `.weights.h5` or `.keras` file saved from the
            same backbone. `"imagenet"` downloads through Keras into ~/.keras/models. Only the weights of
            EfficientNetLite come with the extra `offline` instead. EfficientNetLite also accepts the path of a PyTorch
            state dictionary (`.pth`). No code in a file is run.
        image_size: Height and width in pixels, at least `kv.backbones.info(name).smallest_size`. Defaults to the size
            that the backbone was trained with.
        pooling: `None` returns the last feature map. `"avg"` and `"max"` return a feature vector. The backbones of
            ConvNeXt normalize after the pooling, like the ConvNeXt classifiers.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model. For 2 channels or more
            than 3, the first kernel of `"imagenet"` is adapted as in fastai. With 2 channels, the first two planes of
            the RGB kernel are multiplied by 1.5. With more than 3 channels, planes of zeros are appended to the RGB
            kernel, so that the added channels have no effect until they are trained.

    Returns:
        A `keras.Model` from `image`, `(batch, height, width, channels)` in [0, 255], float32 or uint8, to features
        `(batch, h, w, features)` or `(batch, features)`.

    Raises:
        UserError: If the name or the pooling is unknown, the image is too small, or the weights are missing or do not
            fit.

    Example:
        >>> backbone = kv.backbones.create("EfficientNetLite0", image_size=32, pooling="avg")
        >>> backbone.output_shape
        (None, 1280)
    """
    entry = ZOO[checks.one_of("name", name, ZOO)]
    image_size = entry.image_size if image_size is None else image_size
    if not isinstance(image_size, int) or image_size < entry.smallest:
        expected = f"an integer of at least {entry.smallest} (pixels) for {name}"
        raise checks.UserError("image_size", expected=expected, received=image_size)
    if not isinstance(channels, int) or channels < 1:
        raise checks.UserError("channels", expected="an integer of at least 1", received=channels)
    if pooling is not None:
        checks.one_of("pooling", pooling, ("avg", "max"))
    if weights == "imagenet":
        _check_imagenet(name)
    body = entry.build(image_size, channels, pooling)
    fuse_norms(body)
    features = body.output
    if pooling and len(features.shape) == 4:
        pool = keras.layers.GlobalAveragePooling2D if pooling == "avg" else keras.layers.GlobalMaxPooling2D
        features = pool(name="pool")(features)
    model = keras.Model(body.inputs[0], features, name=name)
    if weights == "imagenet" and entry.imagenet:
        files.copy(entry.imagenet(), model)
    elif weights is not None:
        files.load(model, weights, entry.torch)
    return model
