"""Trains a network that labels every pixel of an image: U-Net or FCN.

The encoder is a backbone with ImageNet weights. U-Net is from Ronneberger et al. 2015 (arXiv
1505.04597), FCN is from Long et al. 2015 (arXiv 1411.4038). The test images are used once, after
the training. If you name several decoders, all are measured and the first one is exported.
--crf sharpens boundaries with a dense CRF (Kraehenbuehl and Koltun 2011, arXiv 1210.5644).

Run:      kvision segment                                      scenes of digits, no download
          kvision segment --data FOLDER --classes classes.txt  folders `images` and `masks`
          kvision segment --data camvid --classes camvid --decoders unet,fcn8
          kvision segment --data camvid --classes camvid --decoders fcn32 --crf
Expect:   CamVid, 184 training images of 240 x 180, seed 0, EfficientNetLite0, 2 CPU cores, 29 s per
          epoch: mIoU of 101 test images .657 [.647, .666] and boundary F1 .617 with U-Net, FCN-8s
          .623 and .511, FCN-16s .597 and .446, FCN-32s .528 and .315. With --crf --epochs 24: FCN-32s .479
          and .240, with CRF .493 and .359; U-Net .490 and .378, where the fit switches the CRF off
"""

import dataclasses
import functools
import sys
from pathlib import Path

import kvision as kv
from kvision import runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

DECODERS = ("unet", "fcn8", "fcn16", "fcn32")


@dataclasses.dataclass(frozen=True)
class Config(runs.decoders.DecoderSettings):
    """Settings of `kvision segment`."""

    decoders: tuple[str, ...] = runs.setting(
        ("unet",), "one or more of unet, fcn8, fcn16, fcn32", group="model", check=limits.among(DECODERS)
    )
    crf: bool = runs.setting(False, "sharpen boundaries with a CRF, fitted on held-out images", group="model")


SMOKE = Config(epochs=2, crop="64x64", longest_side=64, train_images=16, test_images=6, weights="none")


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the built-in data. If None, a temporary folder is used.

    Returns:
        The data of the run.
    """
    return runs.decoders.load(config, cache=cache, chooses=config.crf)


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
    builds = {name: functools.partial(_model, name, len(split.class_names), config) for name in config.decoders}
    # All decoders are created first, so that an error comes before any training.
    models = {name: build() for name, build in builds.items()}
    found = {
        name: runs.decoders.train(name, model, builds[name], split, config, records) for name, model in models.items()
    }
    if config.crf:
        return _sharpened(models, found, split, config, records)
    best = config.decoders[0]
    return runs.masked.result(models[best], found, best, split.test, column="decoder")


def _sharpened(models: dict, found: dict[str, dict], split: runs.Split, config: Config, records: runs.Records):
    """Fits a CRF to every network. Returns the result of the first one, which is exported with a CRF inside."""
    rows, first = {}, {}
    for name, model in models.items():
        print(f"{name}-crf ...", flush=True)
        crf, measured = runs.refined.measured(model, split, seed=config.seed, records=records, name=name)
        rows |= {
            name: found[name],
            **{key: {**row, "history": found[name]["history"]} for key, row in measured.items()},
        }
        first = first or {"model": runs.refined.with_crf(model, crf), "crf": crf, "best": list(rows)[-1]}
    return runs.masked.result(records=rows, test=split.test, column="decoder", **first)


def _model(name: str, classes: int, config: Config):
    if name == "unet":
        return runs.decoders.unet(config, classes)
    return kv.decoders.fcn(runs.decoders.backbone(config), classes, stride=int(name.removeprefix("fcn")))


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
