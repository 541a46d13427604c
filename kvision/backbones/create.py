"""One call for every network: `create("ResNet50", weights="imagenet", pooling="avg")`."""

from dataclasses import dataclass
from pathlib import Path

import keras

from kvision import checks
from kvision.backbones import weights as files
from kvision.backbones.zoo import ZOO
from kvision.layers import fuse_norms

__all__ = ["Info", "available", "create", "info", "require_imagenet"]


def available() -> tuple[str, ...]:
    """Returns the names that `create` knows."""
    return tuple(ZOO)


@dataclass(frozen=True)
class Info:
    """Facts about a backbone.

    Attributes:
        image_size: Height and width in pixels that it was trained with.
        smallest_size: The smallest height and width in pixels that `create` accepts.
        has_imagenet: Whether `create` knows its ImageNet weights: in a package, or as Keras' download.
    """

    image_size: int
    smallest_size: int
    has_imagenet: bool


def info(name: str) -> Info:
    """Returns facts about a backbone.

    Args:
        name: One of `available()`.

    Raises:
        kvision.UserError: If the name is unknown.

    Example:
        >>> kv.backbones.info("EfficientNetLite0")
        Info(image_size=224, smallest_size=32, has_imagenet=True)
    """
    entry = ZOO[checks.one_of("name", name, ZOO)]
    return Info(entry.image_size, entry.smallest, entry.imagenet is not None)


def require_imagenet(name: str) -> None:
    """Downloads a backbone's ImageNet weights now, if they are one; UserError if there are none or no network."""
    entry = ZOO[checks.one_of("name", name, ZOO)]
    if entry.fetch is None:
        raise files.missing_error(name, [other for other in ZOO if ZOO[other].imagenet is not None])
    entry.fetch()


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
            same backbone. For an EfficientNetLite also the path of a PyTorch state dictionary (`.pth`), in which
            nothing is run. `"imagenet"` downloads through Keras into ~/.keras/models, except for EfficientNetLite,
            whose weights come with the extra `offline`.
        image_size: Height and width in pixels, at least `kv.backbones.info(name).smallest_size`. Defaults to the size
            that the backbone was trained with.
        pooling: `None` returns the last feature map, `"avg"` or `"max"` a feature vector. ConvNeXt normalizes after the
            pooling, as its classifier does.
        channels: Number of input channels. Grayscale (1) is repeated to RGB inside the model. For any other number the
            first kernel differs; with `"imagenet"` it is adapted as in fastai: for 2 channels its first two planes
            times 1.5, for more than 3 its three planes and zeros, so that added channels change nothing until they
            train.

    Returns:
        A model from `image`, `(batch, height, width, channels)` in [0, 255], to features `(batch, h, w, features)` or
        `(batch, features)`.

    Raises:
        kvision.UserError: If the name or the pooling is unknown, the image is too small, or the weights are missing or
            do not fit.

    Example:
        >>> backbone = kv.backbones.create("EfficientNetLite0", weights="imagenet", pooling="avg")
        >>> backbone.output_shape
        (None, 1280)
    """
    entry = ZOO[checks.one_of("name", name, ZOO)]
    image_size = entry.image_size if image_size is None else image_size
    if not isinstance(image_size, int) or image_size < entry.smallest:
        expected = f"an integer of at least {entry.smallest} (pixels) for {name}"
        raise checks.error("image_size", expected=expected, received=image_size)
    if not isinstance(channels, int) or channels < 1:
        raise checks.error("channels", expected="a count of at least 1", received=channels)
    if pooling is not None:
        checks.one_of("pooling", pooling, ("avg", "max"))
    if weights == "imagenet" and entry.imagenet is None:
        raise files.missing_error(name, [other for other in ZOO if ZOO[other].imagenet is not None])
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
