"""Code that the recipes share that train a decoder on a backbone with images and masks: settings, network, training."""

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import kvision as kv
from kvision import checks, choices
from kvision.runs import limits, masked
from kvision.runs.masked import MaskSettings
from kvision.runs.records import Records
from kvision.runs.result import Split
from kvision.runs.settings import backbone_setting, precision_setting, setting, weights_setting
from kvision.runs.train import trained

if TYPE_CHECKING:
    import keras

    from kvision.data import MaskedImages

__all__ = ["DecoderSettings", "backbone", "load", "train", "unet"]

WEIGHTS = ("none", "median")
_LARGEST_CROP = 320  # pixels, if no crop is given
# These are half of the widths in segmentation_models. There is no level in the full size of the image. Together this
# needs a third of the work.
_WIDTHS = (128, 64, 32, 16)
_RECORD = {"history": dict, "ious": list, "mean_iou": float, "seconds": float}


@dataclasses.dataclass(frozen=True)
class DecoderSettings(MaskSettings):
    """The settings of every recipe that trains a decoder on images with masks."""

    backbone: str = backbone_setting()
    weights: str = weights_setting()
    merge: str = setting(
        "concat",
        "how U-Net joins levels: concat, or add (less memory)",
        group="model",
        check=limits.among(("concat", "add")),
    )
    up: str = setting(
        "bilinear",
        "how U-Net enlarges: bilinear, nearest, transposed, subpixel, nails or unpool",
        group="model",
        check=limits.among(choices.UPSCALINGS),
    )
    loss: tuple[str, ...] = setting(
        ("cross_entropy", "dice"),
        "sum of one or more of cross_entropy, focal, dice, lovasz",
        check=limits.among(choices.PIXEL_LOSSES),
    )
    class_weights: str = setting("none", "none, or median: rare classes count more", check=limits.among(WEIGHTS))
    crop: str | None = setting(None, "size of training crops (default: median size, up to 320)", metavar="HEIGHTxWIDTH")
    scale: tuple[str, ...] = setting(
        ("0.75", "1.5"), "range of the random scale", metavar="MIN,MAX", check=limits.factors
    )
    flip: bool = setting(True, "mirror half of the training images left to right")
    epochs: int = setting(80, "passes over the training images", check=limits.positive)
    learning_rate: float = setting(1e-3, "peak for the decoder; lower for the backbone", check=limits.positive)
    batch_size: int = setting(8, "images per step, on all devices together", check=limits.positive)
    precision: str = precision_setting()

    def check_together(self) -> None:
        """Checks that the loss can use class weights, and that `crop` has the right form."""
        if self.class_weights != "none" and not {"cross_entropy", "focal"} & set(self.loss):
            expected = "a `loss` with cross_entropy or focal beside it"
            raise checks.UserError("class_weights", expected=expected, received=list(self.loss))
        _crop(self)


def load(config: DecoderSettings, *, cache: Path | None = None, chooses: bool = False) -> Split:
    """Checks the settings, and reads and splits the data, see `runs.masked.load`.

    Args:
        config: The recipe's settings.
        cache: A folder for the built-in data. If None, a temporary folder is used.
        chooses: Whether the recipe chooses something on validation images.

    Returns:
        The data of the run.
    """
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # before the images are read, because reading takes longer
    options = {"weights": config.weights, "smallest": choices.BACKBONES[config.backbone]}
    return masked.load(config, cache=cache, chooses=chooses, **options)


def backbone(config: DecoderSettings) -> "keras.Model":
    """Creates the backbone of the settings. All weights that are drawn after this call depend on the seed only."""
    import keras

    keras.utils.set_random_seed(config.seed)
    return kv.backbones.create(config.backbone, weights=None if config.weights == "none" else config.weights)


def unet(config: DecoderSettings, classes: int) -> "keras.Model":
    """Creates the U-Net of the settings, from images to logits of `classes` classes."""
    body = backbone(config)
    strides = kv.backbones.pyramid(body).strides[-len(_WIDTHS) - 1 :]
    # On CamVid, wide maps reach .657 mIoU and narrow maps reach .638. An epoch takes 29 s instead of 27 s.
    options = {"widths": _WIDTHS[: len(strides) - 1], "strides": strides, "narrow": False}
    return kv.decoders.unet(body, classes, merge=config.merge, up=config.up, **options)


def train(
    name: str,
    model: "keras.Model",
    build: "Callable[[], keras.Model]",
    split: Split,
    config: DecoderSettings,
    records: Records,
    *,
    loss: "Callable[..., keras.losses.Loss] | None" = None,
    network: "keras.Model | None" = None,
) -> dict:
    """Trains a network on the training images, and measures it on the test images once, see `runs.trained`.

    Args:
        name: The training's name within the run.
        model: The model that receives the trained weights. It was created outside of the strategy's scope.
        build: A function that creates a network like `model`. It is called in the strategy's scope.
        split: The data of the run.
        config: The recipe's settings.
        records: Where finished trainings are recorded.
        loss: A function that takes the setting `loss` and `class_weights`, and returns a Keras loss. If None,
            `kv.losses.PixelLoss`.
        network: The network to measure, which shares the weights of `model`. If None, `model`.

    Returns:
        The record: the measurements of `runs.masked.score`, the history and more facts.
    """
    print(f"{name} ...", flush=True)
    return trained(
        records,
        name,
        model,
        fit=functools.partial(_fit, build, split.train, config, loss or kv.losses.PixelLoss, records.is_chief),
        measure=functools.partial(masked.score, network or model, split.test, seed=config.seed),
        kinds=_RECORD,
        strategy=config.strategy,
    )


def _fit(build, train: "MaskedImages", config: DecoderSettings, loss, is_chief: bool, resume):
    """Trains a network in the strategy's scope. Returns the model and facts for the record."""
    clock = kv.training.Clock()
    seen = [kv.pixels.pillow.fitted(size, train.longest_side) for size in train.sizes]
    size = _crop(config) or tuple(min(_LARGEST_CROP, int(side)) for side in np.median(seen, axis=0))
    augment = kv.augment.JointAugment(*size, scale=tuple(map(float, config.scale)), flip=config.flip)
    rare = kv.segmentation.median_frequency(*train.counts()).tolist() if config.class_weights == "median" else None
    model = build()
    kv.training.mixed(model.get_layer("body"), config.precision)
    batch_size = min(config.batch_size, len(train))
    batches = kv.data.batches(train, augment=augment, batch_size=batch_size, seed=config.seed)
    history = kv.schedules.fit(
        model,
        batches,
        _phases(config),
        epochs=config.epochs,
        optimizer=kv.training.Adam(),
        loss=loss(config.loss, class_weights=rare),
        metrics=[kv.metrics.ClassMeanIoU(len(train.class_names), ignore_class=kv.data.IGNORE)],
        callbacks=[clock],
        verbose="auto" if is_chief else 0,
        checkpoints=resume,
    ).history
    lost = [one.path for one in batches.lost]
    return model, {"seconds": round(clock.seconds, 1), "lost": lost, "history": history}


def _crop(config: DecoderSettings) -> tuple[int, int] | None:
    if config.crop is None:
        return None
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", config.crop)
    if found is None or min(map(int, found.groups())) < 32:
        expected = "HEIGHTxWIDTH in pixels, 32 or more, as 180x240"
        raise checks.UserError("crop", expected=expected, received=config.crop)
    return int(found[1]), int(found[2])


def _phases(config: DecoderSettings):
    """Returns the phases. Only the new decoder trains in the first tenth of the epochs. Then all layers train."""
    warm = config.epochs // 10
    whole = kv.schedules.Phase(
        epoch=warm,
        above="all",
        learning_rate=config.learning_rate,
        norm="train",
        curve=kv.schedules.Cosine(warmup=0.05),
        layer_decay=0.7,
    )
    return [kv.schedules.Phase(epoch=0, above="top", learning_rate=config.learning_rate), whole] if warm else [whole]
