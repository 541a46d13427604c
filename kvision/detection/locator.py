"""Creates a network that finds the one object in an image: its class and its box."""

import keras
from keras import layers

from kvision import checks
from kvision.layers import Body, LocatedObject, SoftArgmax, SubPixelConvolution
from kvision.training.single import single

__all__ = ["HEADS", "located", "locator"]

HEADS = ("soft_argmax", "flatten")
_POINTS = 16  # smallest number of points on a side of a heat map


def locator(
    backbone: keras.Model, classes: int, *, head: str = "soft_argmax", per_class: bool = False, width: int = 128
) -> keras.Model:
    """Creates a network for training that finds the class and the box of the one object in an image.

    Both parts share the feature map of the backbone, which becomes the layer `body`. The class comes from the mean of
    the map. This mean does not know where the object is, so the box comes from a convolution of the map, with all
    places.

    Args:
        backbone: A model from square images of one size to a feature map, such as one of `kv.backbones.create`.
        classes: Number of classes, at least 1.
        head: `"soft_argmax"` computes each side of the box as the expected position in a heat map, which has at least
            16 points on a side; see `kv.layers.SoftArgmax`. `"flatten"` computes the sides with a dense layer and a
            sigmoid.
        per_class: Whether there is a box for each class. This needs more examples of each class. If False, the default,
            all classes share one box.
        width: Number of channels of the convolution. The default is our choice.

    Returns:
        A model from `image` `(batch, size, size, 3)` in [0, 255] to a dictionary: `class`, the logits `(batch,
        classes)`, and `box` `(batch, 1, 4)`, or `(batch, classes, 4)` with `per_class`, in pixels of `image`; both
        float32. `kv.losses.LocatedBoxLoss` trains the box. `located` makes a detector of it.

    Raises:
        UserError: If `head` is unknown, `classes` or `width` is below 1, or the backbone has no feature map or takes
            images of any size.

    Example:
        >>> model = kv.detection.locator(kv.backbones.create("ResNet20", image_size=32), 3)
        >>> {name: tensor.shape for name, tensor in model.output.items()}
        {'class': (None, 3), 'box': (None, 1, 4)}

    References:
        Nibali et al. 2018, arXiv 1801.07372 (expected positions instead of dense layers).
    """
    checks.one_of("head", head, HEADS)
    checks.positive({"classes": classes, "width": width})
    backbone = single(backbone)
    shape, maps = backbone.input_shape, backbone.output_shape
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or len(maps) != 4:
        raise checks.UserError(
            "backbone",
            problem="cannot locate objects",
            expected="a model from (batch, size, size, channels) to a feature map (batch, h, w, channels)",
            received=f"'{backbone.name}' from {shape} to {maps}",
        )
    image = keras.Input(shape[1:], name="image")
    features = Body(backbone)(image)
    pooled = layers.GlobalAveragePooling2D(name="pool")(features)
    logits = layers.Dense(classes, dtype="float32", name="class")(pooled)
    count = classes if per_class else 1
    x = layers.Conv2D(width, 3, padding="same", activation="relu", name="places")(features)
    if head == "soft_argmax":
        factor = -(-_POINTS // min(maps[1:3]))
        x = SubPixelConvolution(4 * count, factor, kernel_size=1, name="heat_maps")(x)
        x = SoftArgmax(name="sides", dtype="float32")(x)
    else:
        x = layers.Flatten(name="flat")(x)
        x = layers.Dense(4 * count, activation="sigmoid", dtype="float32", name="sides")(x)
        x = layers.Reshape((count, 4), dtype="float32", name="boxes")(x)
    box = layers.Rescaling(float(shape[1]), dtype="float32", name="box")(x)
    return keras.Model(image, {"class": logits, "box": box}, name=f"{backbone.name}_locator")


def located(model: keras.Model) -> keras.Model:
    """Creates a detector of one object from a network of `locator`.

    Args:
        model: A model of `locator`. The detector shares its weights.

    Returns:
        A model from `image` `(batch, size, size, 3)` in [0, 255] to `detections` `(batch, 1, 6)`: the box in pixels of
        `image`, clipped to the image, the largest probability, and the label. `kv.tasks.Detection` exports it.

    Example:
        >>> network = kv.detection.locator(kv.backbones.create("ResNet20", image_size=32), 3)
        >>> kv.detection.located(network).output_shape
        (None, 1, 6)
    """
    found = LocatedObject(model.input_shape[1], name="detections", dtype="float32")
    return keras.Model(model.input, found(model.output["box"], model.output["class"]), name=model.name)
