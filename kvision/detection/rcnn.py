"""The networks of an R-CNN on any backbone."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers, ops

from kvision import checks
from kvision.backbones import any_size, pyramid
from kvision.layers import Body, Candidates, Proposals, Regions, Regroup, ResizeLike
from kvision.ops import cells

__all__ = ["CROPS", "RCNN", "rcnn"]

CROPS = ("roi", "warp")
_LEVELS = 3  # the last strides of the backbone that the shared map joins
_SIZE = 7  # side of the map of a region, as in Fast R-CNN
_CONTEXT = 16 / 227  # pixels around a warped box, as a share of the side of the warped image, as in the paper
_MEAN_COLOR = (124.0, 116.0, 104.0)  # the mean of ImageNet, for pixels outside of the image
_TRAINED = 128  # proposals of an image in a training step
_MOST_ROTATED = 500  # candidates that enter the suppression of rotated boxes, which compares all pairs
_SQUARE = 8  # side of the square without offsets, in cells


@dataclass(frozen=True)
class RCNN:
    """The networks of an R-CNN. They share all layers. `rcnn` creates them.

    Attributes:
        training: A model for `kv.schedules.fit`. From `image`, and from `proposals` `(batch, n, 4)` if there is no
            learned proposer, to `regions`, and to `candidates` if there is one. See `kv.losses.RegionLoss` and
            `kv.losses.CandidateLoss`.
        describe: From `image` and `boxes` `(batch, n, 4)` to `map` `(batch, n, values)`, `feature`
            `(batch, n, features)` and `logits` `(batch, n, 1 + classes)` of each box. The first logit is the
            background's.
        candidates: From `image` to the candidates of the learned proposer, or None.
        described: A function from a Keras tensor of boxes to the outputs of `describe`, for a larger model of `image`.
        image: The Keras tensor of images, `(batch, height, width, 3)` in [0, 255].
        crop: `"roi"` or `"warp"`; see `rcnn`.
        stride: Distance of two candidates, in pixels.
        rotated: Whether boxes are rotated.
    """

    training: keras.Model
    describe: keras.Model
    candidates: keras.Model | None
    described: Callable
    image: keras.KerasTensor
    crop: str
    stride: int
    rotated: bool

    @property
    def side(self) -> int:
        """Side of the square without offsets, in pixels."""
        return _SQUARE * self.stride

    def proposals(self, count: int, *, before: int | None = None) -> keras.Model:
        """Creates a model from `image` to `count` proposals of each image, the most promising first.

        Args:
            count: Number of proposals.
            before: Number of candidates that enter the suppression. Defaults to four times `count` (for rotated boxes,
                whose suppression compares all pairs, to `count` and at most 500).

        Returns:
            The model.

        Raises:
            UserError: If there is no learned proposer.
        """
        if self.candidates is None:
            raise checks.UserError("there is no learned proposer: create the networks with learned=True")
        layer = _proposals(count, before, rotated=self.rotated, side=self.side)
        return keras.Model(self.image, layer(self.candidates.outputs[0], self.image), name="proposals")


def rcnn(
    backbone: keras.Model,
    classes: int,
    *,
    crop: str = "roi",
    learned: bool = True,
    rotated: bool = False,
    width: int = 96,
    features: int = 256,
    crop_size: int = 224,
) -> RCNN:
    """Creates the networks of an R-CNN: a learned proposer, and a network that describes and classifies regions.

    Args:
        backbone: A model that `kv.backbones.pyramid` accepts. It becomes the layer `body`.
        classes: Number of classes, without the background.
        crop: How the network looks at a region. `"roi"` cuts it out of one map of the whole image (RoI-align). `"warp"`
            cuts it out of the image and runs the backbone on it, as R-CNN does, which takes many times longer.
        learned: Whether proposals come from a proposer on the shared map. Otherwise they are an input. With `"warp"`
            there is no shared map, so they must be an input.
        rotated: Whether boxes are rotated.
        width: Number of channels of the shared map and of the maps of regions.
        features: Width of the two dense layers that describe a region.
        crop_size: Side of the warped images in pixels, for `"warp"`. The paper's network takes 227.

    Returns:
        The networks.

    Raises:
        UserError: If `crop` is unknown, or `"warp"` is combined with a learned proposer.

    Example:
        >>> networks = kv.detection.rcnn(kv.backbones.create("ResNet20"), classes=3, width=8, features=8)
        >>> networks.describe.output["logits"].shape
        (None, None, 4)

    References:
        Girshick et al. 2014, arXiv 1311.2524; Girshick 2015, arXiv 1504.08083 (regions of one map); Ren et al. 2015,
        arXiv 1506.01497 (a learned proposer on the same map).
    """
    checks.one_of("crop", crop, CROPS)
    checks.positive({"classes": classes, "width": width, "features": features, "crop_size": crop_size})
    if crop == "warp" and learned:
        expected = "False: a network of warped images has no map for a proposer"
        raise checks.UserError("learned", expected=expected, received=learned)
    image = keras.Input((None, None, 3), name="image")
    boxes = keras.Input((None, 5 if rotated else 4), name="boxes")
    describe, stride = _describe(classes, width, features), 1
    if crop == "roi":
        shared, stride = _shared_map(backbone, image, width)
        maps = _region_maps(shared, stride)
    else:
        maps = _warped_maps(backbone, image, width, crop_size)
    if learned:
        candidates = _candidates(shared, stride, width, rotated=rotated)
        proposed = _proposals(_TRAINED, None, rotated=rotated, side=_SQUARE * stride)(candidates, image)
        inputs, outputs = {"image": image}, {"candidates": candidates}
        finder = keras.Model(image, candidates, name="candidates")
    else:
        proposed = keras.Input((None, 5 if rotated else 4), name="proposals")
        inputs, outputs, finder = {"image": image, "proposals": proposed}, {}, None

    def described(boxes):
        return describe(maps(boxes), boxes)

    outputs["regions"] = layers.Concatenate(name="regions", dtype="float32")([proposed, described(proposed)["logits"]])
    return RCNN(
        training=keras.Model(inputs, outputs, name=f"{backbone.name}_rcnn"),
        describe=keras.Model({"image": image, "boxes": boxes}, described(boxes), name="describe"),
        candidates=finder,
        described=described,
        image=image,
        crop=crop,
        stride=stride,
        rotated=rotated,
    )


def _shared_map(backbone: keras.Model, image, width: int):
    """Joins the last maps of the backbone, from the coarsest to the finest. Returns the map and its stride."""
    whole = any_size(backbone)
    strides = pyramid(whole).strides[-_LEVELS:]
    maps = Body(pyramid(whole, strides))(image)
    maps = maps if isinstance(maps, list) else [maps]
    x = None
    for stride, level in reversed(list(zip(strides, maps, strict=True))):
        level = layers.Conv2D(width, 1, name=f"lateral{stride}")(level)
        if x is not None:
            level = layers.Add(name=f"sum{stride}")([level, ResizeLike(name=f"resize{stride}")(x, level)])
        x = level
    return _convolution(x, width, "shared"), strides[0]


def _convolution(x, width: int, name: str):
    return layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)


def _candidates(shared, stride: int, width: int, *, rotated: bool):
    """Predicts for each cell whether it is in an object, and the offsets of the box."""
    x = _convolution(shared, width, "proposer")
    offsets = cells.columns(rotated=rotated)
    # Most cells are background. RetinaNet starts with this probability, so that the first steps are calm.
    start = keras.initializers.Constant([-math.log(99)] + [0.0] * offsets)
    x = layers.Conv2D(1 + offsets, 1, bias_initializer=start, dtype="float32", name="offsets")(x)
    return Candidates(stride=stride, name="candidates", dtype="float32")(x)


def _proposals(count: int, before: int | None, *, rotated: bool, side: float):
    before = before or (min(count, _MOST_ROTATED) if rotated else 4 * count)
    return Proposals(count=count, before=before, side=side, name="proposals", dtype="float32")


def _region_maps(shared, stride: int):
    cut = Regions(_SIZE, stride=stride, samples=2, name="cut")
    return lambda boxes: ops.reshape(cut(shared, boxes), (-1, _SIZE, _SIZE, shared.shape[-1]))


def _warped_maps(backbone: keras.Model, image, width: int, crop_size: int):
    """Runs the backbone on each region. Returns a function of boxes."""
    whole = any_size(backbone)
    body = Body(pyramid(whole, pyramid(whole).strides[-1:], narrow=True))
    cut = Regions(crop_size, context=round(_CONTEXT * crop_size), outside=_MEAN_COLOR, name="cut")
    narrow = layers.Conv2D(width, 1, activation="relu", name="narrow")

    def maps(boxes):
        found = body(ops.reshape(cut(image, boxes), (-1, crop_size, crop_size, 3)))
        return narrow(found[0] if isinstance(found, list) else found)

    return maps


def _describe(classes: int, width: int, features: int):
    """Returns a function from maps of regions, and the boxes of their images, to the outputs of `RCNN.describe`."""
    flat, regroup = layers.Flatten(name="flat"), Regroup(name="map")
    first = layers.Dense(features, activation="relu", name="dense1")
    second, last = layers.Dense(features, activation="relu", name="dense2"), layers.Dense(classes + 1, name="logits")

    def describe(maps, boxes):
        values = regroup(flat(maps), boxes)
        feature = second(first(values))
        return {"map": values, "feature": feature, "logits": last(feature)}

    return describe
