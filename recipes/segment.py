"""Semantic segmentation: a label for each pixel, by U-Net or FCN on a pre-trained backbone.

Reproduces Ronneberger et al. 2015 (arXiv 1505.04597) and Long et al. 2015 (arXiv 1411.4038), with a backbone trained on
ImageNet as encoder, at the size of the images that are given.

Run:      kvision segment                                      handwritten digits on a ground, no download
          kvision segment --data FOLDER --classes classes.txt  images/ and masks/ with equal names, or train/ and val/
          kvision segment --data camvid --classes camvid --decoders unet,fcn8,fcn16,fcn32
Expect:   CamVid, 184 training images of 240 x 180: mIoU of 101 test images .657 [.647, .666], boundary F1 .617 with
          U-Net (seed 0, EfficientNetLite0, 95 minutes on 2 CPU cores beside other work, an epoch alone 29 s);
          FCN-8s .623 and .511, FCN-16s .597 and .446, FCN-32s .528 and .315

Held-out images are read once, after training; nothing is chosen by them. The first decoder is exported.
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
_LARGEST_CROP = 320  # pixels, where none is asked for
_WIDTHS = (128, 64, 32, 16)  # half of segmentation_models', and none at the image's own size: a third of the work
_RECORD = {"history": dict, "ious": list, "mean_iou": float, "seconds": float}


@dataclasses.dataclass(frozen=True)
class Config(runs.masked.MaskSettings):
    decoders: tuple[str, ...] = runs.setting(
        ("unet",), "of unet, fcn8, fcn16, fcn32; all are measured", check=limits.among(DECODERS)
    )
    backbone: str = runs.backbone_setting()
    weights: str = runs.weights_setting()
    merge: str = runs.setting(
        "concat", "how U-Net joins levels: concat or add (less memory)", check=limits.among(("concat", "add"))
    )
    up: str = runs.setting(
        "bilinear",
        "how U-Net enlarges: bilinear, nearest, transposed, subpixel, nails, unpool",
        check=limits.among(choices.UPSCALINGS),
    )
    loss: tuple[str, ...] = runs.setting(
        ("cross_entropy", "dice"),
        "summed: cross_entropy, focal, dice, lovasz",
        check=limits.among(choices.PIXEL_LOSSES),
    )
    class_weights: str = runs.setting(
        "none", "none, or median: of all classes' frequencies over a class's own", check=limits.among(WEIGHTS)
    )
    crop: str | None = runs.setting(None, "HEIGHTxWIDTH of training; default: the images' median size, at most 320")
    scale: tuple[str, ...] = runs.setting(("0.75", "1.5"), "things appear in training so much smaller and larger")
    flip: bool = runs.setting(True, "left and right half of the time; not where classes tell them apart")
    epochs: int = runs.setting(80, "of training", check=limits.positive)
    learning_rate: float = runs.setting(
        1e-3,
        "peak of the learning rate, of the decoder; the backbone's stages get less, the first least",
        check=limits.positive,
    )
    batch_size: int = runs.setting(8, "images a step, on all devices together", check=limits.positive)
    precision: str = runs.setting(
        "float32", "float32, mixed_bfloat16, or on a GPU mixed_float16", check=limits.among(choices.PRECISIONS)
    )

    def check_together(self) -> None:
        """Checks the weights of classes against the loss, the crop, the scale, and then the data."""
        if self.class_weights != "none" and not {"cross_entropy", "focal"} & set(self.loss):
            expected = "--loss with cross_entropy or focal"
            raise checks.error("--class-weights", expected=expected, received=list(self.loss))
        _crop(self)
        _scale(self)
        super().check_together()


SMOKE = Config(epochs=2, crop="64x64", longest_side=64, train_images=16, test_images=6, weights="none")


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Reads and checks images and masks. cache: a folder for what is made of built-in data, None: a temporary one."""
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # better said before the scan
    return runs.masked.load(config, weights=config.weights, smallest=choices.BACKBONES[config.backbone], cache=cache)


def _crop(config: Config) -> tuple[int, int] | None:
    if config.crop is None:
        return None
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", config.crop)
    if found is None or min(map(int, found.groups())) < 32:
        raise checks.error("--crop", expected="HEIGHTxWIDTH in pixels, 32 or more, as 180x240", received=config.crop)
    return int(found[1]), int(found[2])


def _scale(config: Config) -> tuple[float, float]:
    try:
        low, high = map(float, config.scale)
        if not 0 < low <= high < 100:
            raise ValueError
    except ValueError:
        raise checks.error("--scale", expected="two factors, as 0.75,1.5", received=config.scale) from None
    return low, high


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains every decoder of `config.decoders`, and measures each on the test images once; the first is exported."""
    records = records or runs.Records()
    test, found = split.test, {}
    models = {name: _model(name, len(split.class_names), config) for name in config.decoders}  # errors come first
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
    metrics = {name: {k: v for k, v in record.items() if k != "history"} for name, record in found.items()}
    history = found[best]["history"]
    return runs.Result(
        model=runs.masked.exportable(models[best]),
        history=history,
        metrics=metrics,
        best=best,
        columns=("decoder", "pixels right; boundary F1"),
        pictures=runs.masked.pictures(models[best], test, found[best]["ious"], history),
        probe=[test.example(0)[0]],
        task=kv.tasks.Segmentation(test.class_names, test.longest_side, test.label_map.colors),
    )


def _model(name: str, classes: int, config: Config):
    import keras

    keras.utils.set_random_seed(config.seed)
    weights = None if config.weights == "none" else config.weights
    backbone = kv.backbones.create(config.backbone, weights=weights)
    if name == "unet":
        strides = kv.backbones.pyramid(backbone).strides[-len(_WIDTHS) - 1 :]
        # wide maps: .657 mIoU on CamVid, against .638 of narrow ones, for 29 instead of 27 s an epoch
        options = {"widths": _WIDTHS[: len(strides) - 1], "strides": strides, "narrow": False}
        return kv.decoders.unet(backbone, classes, merge=config.merge, up=config.up, **options)
    return kv.decoders.fcn(backbone, classes, stride=int(name.removeprefix("fcn")))


def _fit(name: str, train, config: Config, is_chief: bool, resume):
    """Trains a decoder; returns it with its history, in the open strategy's scope."""
    import keras

    classes = len(train.class_names)
    clock = kv.training.Clock()
    seen = [kv.pixels.pillow.fitted(size, train.longest_side) for size in train.sizes]
    size = _crop(config) or tuple(min(_LARGEST_CROP, int(side)) for side in np.median(seen, axis=0))
    augment = kv.data.JointAugment(*size, scale=_scale(config), flip=config.flip)
    rare = kv.segmentation.median_frequency(*train.counts()).tolist() if config.class_weights == "median" else None
    model = _model(name, classes, config)
    kv.training.mixed(model.get_layer("body"), config.precision)
    batches = kv.data.mask_pipeline(
        train, augment, size=size, batch_size=min(config.batch_size, len(train)), seed=config.seed
    )
    history = kv.schedules.fit(
        model,
        batches,
        _steps(config),
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


def _steps(config: Config):
    """A tenth of the epochs for the new decoder alone, then everything."""
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
