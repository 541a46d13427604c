"""Trains a network that labels every pixel of an image: U-Net or FCN.

The encoder is a backbone with ImageNet weights. U-Net is from Ronneberger et al. 2015 (arXiv
1505.04597), FCN is from Long et al. 2015 (arXiv 1411.4038). The test images are used once, after
the training. If you name several decoders, all are measured and the first one is exported.

Run:      kvision segment                                      scenes of digits, no download
          kvision segment --data FOLDER --classes classes.txt  folders `images` and `masks`
          kvision segment --data camvid --classes camvid --decoders unet,fcn8
Expect:   CamVid, 184 training images of 240 x 180, seed 0, EfficientNetLite0, 2 CPU cores, 29 s per
          epoch: mIoU of 101 test images .657 [.647, .666] and boundary F1 .617 with U-Net, FCN-8s
          .623 and .511, FCN-16s .597 and .446, FCN-32s .528 and .315
"""

import dataclasses
import functools
import re
import sys
from pathlib import Path

import numpy as np

import kvision as kv
from kvision import checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

DECODERS = ("unet", "fcn8", "fcn16", "fcn32")
WEIGHTS = ("none", "median")
_LARGEST_CROP = 320  # pixels, if no crop is given
# These are half of the widths in segmentation_models. There is no level in the full size of the image. Together this
# needs a third of the work.
_WIDTHS = (128, 64, 32, 16)
_RECORD = {"history": dict, "ious": list, "mean_iou": float, "seconds": float}


@dataclasses.dataclass(frozen=True)
class Config(runs.masked.MaskSettings):
    """Settings of `kvision segment`."""

    decoders: tuple[str, ...] = runs.setting(
        ("unet",), "one or more of unet, fcn8, fcn16, fcn32", group="model", check=limits.among(DECODERS)
    )
    backbone: str = runs.backbone_setting()
    weights: str = runs.weights_setting()
    merge: str = runs.setting(
        "concat",
        "how U-Net joins levels: concat, or add (less memory)",
        group="model",
        check=limits.among(("concat", "add")),
    )
    up: str = runs.setting(
        "bilinear",
        "how U-Net enlarges: bilinear, nearest, transposed, subpixel, nails or unpool",
        group="model",
        check=limits.among(choices.UPSCALINGS),
    )
    loss: tuple[str, ...] = runs.setting(
        ("cross_entropy", "dice"),
        "sum of one or more of cross_entropy, focal, dice, lovasz",
        check=limits.among(choices.PIXEL_LOSSES),
    )
    class_weights: str = runs.setting("none", "none, or median: rare classes count more", check=limits.among(WEIGHTS))
    crop: str | None = runs.setting(
        None, "size of training crops (default: median size, up to 320)", metavar="HEIGHTxWIDTH"
    )
    scale: tuple[str, ...] = runs.setting(
        ("0.75", "1.5"), "range of the random scale", metavar="MIN,MAX", check=limits.factors
    )
    flip: bool = runs.setting(True, "mirror half of the training images left to right")
    epochs: int = runs.setting(80, "passes over the training images", check=limits.positive)
    learning_rate: float = runs.setting(1e-3, "peak for the decoder; lower for the backbone", check=limits.positive)
    batch_size: int = runs.setting(8, "images per step, on all devices together", check=limits.positive)
    precision: str = runs.precision_setting()

    def check_together(self) -> None:
        """Checks that the loss can use class weights, and that `crop` has the right form."""
        if self.class_weights != "none" and not {"cross_entropy", "focal"} & set(self.loss):
            expected = "a `loss` with cross_entropy or focal beside it"
            raise checks.UserError("class_weights", expected=expected, received=list(self.loss))
        _crop(self)


SMOKE = Config(epochs=2, crop="64x64", longest_side=64, train_images=16, test_images=6, weights="none")


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the built-in data. If None, a temporary folder is used.

    Returns:
        The data of the run.
    """
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # before the images are read, because reading takes longer
    return runs.masked.load(config, weights=config.weights, smallest=choices.BACKBONES[config.backbone], cache=cache)


def _crop(config: Config) -> tuple[int, int] | None:
    if config.crop is None:
        return None
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", config.crop)
    if found is None or min(map(int, found.groups())) < 32:
        expected = "HEIGHTxWIDTH in pixels, 32 or more, as 180x240"
        raise checks.UserError("crop", expected=expected, received=config.crop)
    return int(found[1]), int(found[2])


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains every decoder of `config.decoders`, and measures each on the test images once.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where finished decoders are recorded. If None, nothing is recorded.
        cache: Not used.

    Returns:
        The result. Its model has the first decoder.
    """
    records = records or runs.Records()
    test, found = split.test, {}
    # All decoders are created first, so that an error comes before any training.
    models = {name: _model(name, len(split.class_names), config) for name in config.decoders}
    for name, model in models.items():
        print(f"{name} ...", flush=True)
        found[name] = runs.trained(
            records,
            name,
            model,
            fit=functools.partial(_fit, name, split.train, config, records.is_chief),
            measure=functools.partial(runs.masked.score, model, test, seed=config.seed),
            kinds=_RECORD,
            strategy=config.strategy,
        )
    best = config.decoders[0]
    return runs.masked.result(models[best], found, best, test, column="decoder")


def _model(name: str, classes: int, config: Config):
    import keras

    keras.utils.set_random_seed(config.seed)
    weights = None if config.weights == "none" else config.weights
    backbone = kv.backbones.create(config.backbone, weights=weights)
    if name == "unet":
        strides = kv.backbones.pyramid(backbone).strides[-len(_WIDTHS) - 1 :]
        # On CamVid, wide maps reach .657 mIoU and narrow maps reach .638. An epoch takes 29 s instead of 27 s.
        options = {"widths": _WIDTHS[: len(strides) - 1], "strides": strides, "narrow": False}
        return kv.decoders.unet(backbone, classes, merge=config.merge, up=config.up, **options)
    return kv.decoders.fcn(backbone, classes, stride=int(name.removeprefix("fcn")))


def _fit(name: str, train, config: Config, is_chief: bool, resume):
    """Trains a decoder in the strategy's scope. Returns the model and facts for the record."""
    import keras

    classes = len(train.class_names)
    clock = kv.training.Clock()
    seen = [kv.pixels.pillow.fitted(size, train.longest_side) for size in train.sizes]
    size = _crop(config) or tuple(min(_LARGEST_CROP, int(side)) for side in np.median(seen, axis=0))
    augment = kv.augment.JointAugment(*size, scale=tuple(map(float, config.scale)), flip=config.flip)
    rare = kv.segmentation.median_frequency(*train.counts()).tolist() if config.class_weights == "median" else None
    model = _model(name, classes, config)
    kv.training.mixed(model.get_layer("body"), config.precision)
    batch_size = min(config.batch_size, len(train))
    batches = kv.data.batches(train, augment=augment, batch_size=batch_size, seed=config.seed)
    history = kv.schedules.fit(
        model,
        batches,
        _phases(config),
        epochs=config.epochs,
        optimizer=kv.training.Adam(),
        loss=kv.losses.PixelLoss(config.loss, class_weights=rare),
        metrics=[keras.metrics.MeanIoU(classes, ignore_class=kv.data.IGNORE, sparse_y_pred=False, name="mean_iou")],
        callbacks=[clock],
        verbose="auto" if is_chief else 0,
        checkpoints=resume,
    ).history
    lost = [one.path for one in batches.lost]
    return model, {"seconds": round(clock.seconds, 1), "lost": lost, "history": history}


def _phases(config: Config):
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


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
