"""Semantic segmentation: a label for each pixel, by U-Net or FCN on a pre-trained backbone.

Reproduces Ronneberger et al. 2015 (arXiv 1505.04597) and Long et al. 2015 (arXiv 1411.4038), with a backbone trained on
ImageNet as encoder, at the size of the images that are given.

Run:      kvision segment                                      handwritten digits on a ground, no download
          kvision segment --data FOLDER --classes classes.txt  images/ and masks/ with equal names, or train/ and val/
          kvision segment --data camvid --classes camvid --decoders unet,fcn8,fcn16,fcn32
Expect:   CamVid, 184 training images of 240 x 180: mIoU of 101 held-out images .638 [.626, .648], boundary F1 .575 with
          U-Net (seed 0, EfficientNetLite0, 41 minutes on 2 CPU cores, an epoch alone 27 s; with wide maps it had .659);
          FCN-8s .623 and .511, FCN-16s .597 and .446, FCN-32s .528 and .315

Held-out images are read once, after training; nothing is chosen by them. The first decoder is exported.
"""

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np

import kvision as kv
from kvision import atomic, checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

DECODERS = ("unet", "fcn8", "fcn16", "fcn32")
WEIGHTS = ("none", "median")
_LARGEST_CROP = 320  # pixels, where none is asked for
_WIDTHS = (128, 64, 32, 16)  # half of segmentation_models', and none at the image's own size: a third of the work
_RECORD = {"history": dict, "ious": list, "mean_iou": float, "seconds": float}


@dataclasses.dataclass(frozen=True)
class Config(runs.Settings):
    tflite_kinds = ("float32",)

    data: str | None = runs.setting(None, runs.masked.DATA_HELP)
    classes: str | None = runs.setting(None, runs.masked.CLASSES_HELP)
    decoders: tuple[str, ...] = runs.setting(
        ("unet",), "of unet, fcn8, fcn16, fcn32; all are measured", check=limits.among(DECODERS)
    )
    backbone: str = runs.setting(
        "EfficientNetLite0", "name in kv.backbones.available()", check=limits.among(choices.BACKBONES)
    )
    weights: str = runs.setting(
        "imagenet", "imagenet, none, or a file saved from the same backbone", place=limits.weights
    )
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
    longest_side: int = runs.setting(
        512, "pixels; larger images are made smaller for the network", check=limits.positive
    )
    crop: str | None = runs.setting(None, "HEIGHTxWIDTH of training; default: the images' median size, at most 320")
    scale: tuple[str, ...] = runs.setting(("0.75", "1.5"), "things appear in training so much smaller and larger")
    flip: bool = runs.setting(True, "left and right half of the time; not where classes tell them apart")
    epochs: int = runs.setting(80, "of training", check=limits.positive)
    rate: float = runs.setting(
        1e-3, "learning rate of the decoder; the backbone's stages get less, the first least", check=limits.positive
    )
    batch_size: int = runs.setting(8, "images a step, on all devices together", check=limits.positive)
    precision: str = runs.setting(
        "float32", "float32, mixed_bfloat16, or on a GPU mixed_float16", check=limits.among(choices.PRECISIONS)
    )
    train_images: int | None = runs.setting(None, "use only so many training images", check=limits.positive)
    test_images: int | None = runs.setting(None, "use only so many held-out images", check=limits.positive)

    def check_together(self) -> None:
        """Checks the weights of classes against the loss, the crop, the scale, and then the data."""
        if self.class_weights != "none" and not {"cross_entropy", "focal"} & set(self.loss):
            expected = "--loss with cross_entropy or focal"
            raise checks.error("--class-weights", expected=expected, received=list(self.loss))
        _crop(self)
        _scale(self)
        runs.masked.check(self.data, self.classes)


SMOKE = Config(epochs=2, crop="64x64", longest_side=64, train_images=16, test_images=6, weights="none")


def load(config: Config, *, cache: Path | None = None) -> runs.Data:
    """Reads and checks images and masks. cache: a folder for what is made of built-in data, None: a temporary one."""
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # better said before the scan
    return runs.masked.masked(
        config.data,
        config.classes,
        longest_side=config.longest_side,
        seed=config.seed,
        train_images=config.train_images,
        test_images=config.test_images,
        weights=config.weights,
        smallest=choices.BACKBONES[config.backbone],
        cache=cache,
    )


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
    train: "kv.data.MaskedImages",
    val: "kv.data.MaskedImages",
    config: Config,
    *,
    stages: runs.Stages | None = None,
    cache: Path | None = None,
) -> runs.Result:
    """Trains every decoder of `config.decoders` on `train`, measures each on `val` once; the first is the result."""
    stages = stages or runs.Stages()
    records = {}
    models = {name: _model(name, len(train.class_names), config) for name in config.decoders}  # or it is said now
    for name, model in models.items():
        print(f"{name} ...", flush=True)
        records[name] = _train(name, model, train, val, config, stages)
    best = config.decoders[0]
    metrics = {name: {k: v for k, v in record.items() if k != "history"} for name, record in records.items()}
    history = records[best]["history"]
    return runs.Result(
        model=runs.masked.exportable(models[best]),
        history=history,
        metrics=metrics,
        best=best,
        columns=("decoder", "pixels right; boundary F1"),
        pictures=runs.masked.pictures(models[best], val, records[best]["ious"], history),
        probe=[kv.pixels.pillow.fit(val.original(0), val.longest_side)],
        task=kv.tasks.Segmentation(val.class_names, val.longest_side, val.label_map.colors),
    )


def _model(name: str, classes: int, config: Config):
    import keras

    keras.utils.set_random_seed(config.seed)
    weights = None if config.weights == "none" else config.weights
    backbone = kv.backbones.create(config.backbone, weights=weights)
    if name == "unet":
        strides = kv.backbones.pyramid(backbone).strides[-len(_WIDTHS) - 1 :]
        options = {"widths": _WIDTHS[: len(strides) - 1], "strides": strides}
        return kv.decoders.unet(backbone, classes, merge=config.merge, up=config.up, **options)
    return kv.decoders.fcn(backbone, classes, stride=int(name.removeprefix("fcn")))


def _train(name: str, model, train, val, config: Config, stages: runs.Stages) -> dict:
    """-> a record, and the model has its weights; found finished, or trained to the end and measured."""
    import keras

    from kvision.backbones import weights

    classes, path = len(train.class_names), stages.path(f"{name}.weights.h5")
    if record := stages.done(name, **_RECORD):
        weights.load(model, path)
        return record
    clock = kv.training.Clock()
    seen = [kv.pixels.pillow.fitted(size, train.longest_side) for size in train.sizes]
    size = _crop(config) or tuple(min(_LARGEST_CROP, int(side)) for side in np.median(seen, axis=0))
    augment = kv.data.JointAugment(*size, scale=_scale(config), flip=config.flip)
    rare = kv.segmentation.median_frequency(*train.counts()).tolist() if config.class_weights == "median" else None
    resume = stages.resume(name)
    with kv.distribute.pick_strategy(config.strategy).scope():
        trained = _model(name, classes, config)
        kv.training.mixed(trained.get_layer("body"), config.precision)
        batches = kv.data.mask_pipeline(
            train, augment, size=size, batch_size=min(config.batch_size, len(train)), seed=config.seed
        )
        history = kv.schedules.fit(
            trained,
            batches,
            _steps(config),
            epochs=config.epochs,
            optimizer=kv.training.Adam(),
            loss=kv.losses.PixelLoss(config.loss, class_weights=rare),
            metrics=[keras.metrics.MeanIoU(classes, ignore_class=kv.data.IGNORE, sparse_y_pred=False, name="mean_iou")],
            callbacks=[clock],
            verbose="auto" if stages.leads else 0,
            checkpoints=resume,
        )
        for ours, theirs in zip(model.weights, trained.weights, strict=True):
            ours.assign(kv.distribute.read(theirs))
    if not stages.leads:
        return stages.wait(name, **_RECORD)
    record = {
        **runs.masked.score(model, val, seed=config.seed),
        "seconds": round(clock.seconds, 1),
        "lost": [one.path for one in batches.lost],
        "history": history,
    }
    if path is not None:
        with atomic.file(path) as temporary:
            model.save_weights(temporary)
    stages.finish(name, record)
    if resume is not None:
        resume.checkpoints.clear()
    return record


def _steps(config: Config):
    """A tenth of the epochs for the new decoder alone, then everything."""
    warm = config.epochs // 10
    whole = kv.schedules.Unfreeze(
        epoch=warm, above="all", rate=config.rate, norm="train", curve=kv.schedules.Cosine(warmup=0.05), layer_decay=0.7
    )
    return [kv.schedules.Unfreeze(epoch=0, above="top", rate=config.rate), whole] if warm else [whole]


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
