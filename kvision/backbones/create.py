"""One call for every network: `create("ResNet50", weights="imagenet", pooling="avg")`."""

from pathlib import Path

import keras

from kvision import checks
from kvision.backbones import weights as files
from kvision.backbones.zoo import ZOO
from kvision.layers import fuse_norms

__all__ = ["available", "create", "has_imagenet", "image_size", "require_imagenet", "smallest_size"]


def available() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(ZOO)


def image_size(name: str) -> int:
    """The side in pixels that a backbone was trained at."""
    return ZOO[checks.one_of("name", name, ZOO)].image_size


def smallest_size(name: str) -> int:
    """The smallest side in pixels that `create` accepts for a backbone."""
    return ZOO[checks.one_of("name", name, ZOO)].smallest


def has_imagenet(name: str) -> bool:
    """Whether `create` knows ImageNet weights of a backbone: in a package, or as Keras' download."""
    return ZOO[checks.one_of("name", name, ZOO)].imagenet is not None


def require_imagenet(name: str) -> None:
    """Downloads a backbone's ImageNet weights now, if they are one; UserError if there are none or no network."""
    entry = ZOO[checks.one_of("name", name, ZOO)]
    if entry.fetch is None:
        raise files.missing_error(name, [other for other in ZOO if has_imagenet(other)])
    entry.fetch()


def create(
    name: str,
    *,
    weights: str | Path | None = None,
    image_size: int | None = None,
    pooling: str | None = None,
    channels: int = 3,
) -> keras.Model:
    """Builds a backbone: a functional model `image` (B, S, S, channels) in [0, 255], float32 or uint8 -> features.

    name: one of `available()`. weights: None (random), "imagenet" (EfficientNetLite: from the extra `offline`; those of
    `keras.applications`: Keras' own download into ~/.keras/models; the others have none), or the path of a
    `.weights.h5` / `.keras` file saved from the same backbone; for an EfficientNetLite also of a PyTorch state
    dictionary (`.pth`), in which nothing is run. image_size: S in pixels, at least `smallest_size(name)`; None takes
    the size it was trained at. pooling: None gives the last feature map (B, h, w, D), "avg" or "max" (B, D). ConvNeXt
    normalizes last, after the pool if there is one, as its classifier does: its "avg" is no mean of its map. channels:
    3 for RGB. 1 (gray) is repeated inside: all as in the RGB network on gray images in RGB, of which any weights fit.
    Of others the first kernel differs; with "imagenet" it is taken as fastai does: for 2 its first two planes times
    1.5, for more than 3 its three and zeros, so that channels after RGB change nothing until they train. Scaling and
    mean subtraction are a layer inside, `kv.layers.Preprocess`; the graph does not depend on `weights`.
    Raises UserError for an unknown name or pooling, a size too small, weights that are missing or do not fit.
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
        raise files.missing_error(name, [other for other in ZOO if has_imagenet(other)])
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
