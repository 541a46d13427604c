"""Trains a network that colors gray and sepia pictures.

The network predicts the two channels of the color, and keeps the brightness of the picture.
There are hypercolumns (Larsson et al. 2016, arXiv 1603.06668), a residual network and a U-Net. The
head is a regression, or a classification of colors in which rare colors count more (Zhang et al.
2016, arXiv 1603.08511). The test pictures are used once, after the training. If you name several
networks or heads, all are measured and the first one is exported. With --hints the network also
takes colors of single points (Zhang et al. 2017, arXiv 1705.02999).

Run:      kvision colorize                            tiles of two photographs, no download
          kvision colorize --data FOLDER              pictures in any folders, or train and test
          kvision colorize --data FOLDER --networks unet,hypercolumn --heads regression,bins
          kvision colorize --data FOLDER --frames 3 --compare     videos or numbered images
Expect:   tiles of two photographs (--epochs 20), seed 0, EfficientNetLite0, 2 busy CPU cores, 3 minutes:
          chroma PSNR 32.15 [30.46, 33.98], gray 28.12, constant 26.67. CIFAR-10 subset (--hints
          --heads regression,bins --epochs 10 --batch-size 32): 28.57 [28.37, 28.78], with ten hints
          34.56, gray 27.47, constant 27.59; bins 25.49, colorfulness off by 14.7 instead of 18.2.
          CamVid, 82 training pictures (--hints --epochs 10 --longest-side 128 --test-images 40):
          33.11, with hints 34.69, gray 32.13, constant 32.77
"""

import dataclasses
import functools
import itertools
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

import kvision as kv
from kvision import checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

_LARGEST_CROP = 320  # pixels
_STEP = 32  # pixels; the sides of crops are multiples of it, as the loss compares means of whole squares
_RECORD = {"history": dict, "chroma_psnr": float, "interval": list, "seconds": float}


@dataclasses.dataclass(frozen=True)
class Config(runs.colored.ColorSettings):
    """Settings of `kvision colorize`."""

    networks: tuple[str, ...] = runs.setting(
        ("unet",),
        "one or more of hypercolumn, residual, unet",
        group="model",
        check=limits.among(choices.COLOR_DECODERS),
    )
    heads: tuple[str, ...] = runs.setting(
        ("regression",), "one or both of regression, bins", group="model", check=limits.among(choices.COLOR_HEADS)
    )
    backbone: str = runs.backbone_setting()
    weights: str = runs.weights_setting()
    hints: bool = runs.setting(False, "train with an input for the colors of single points", group="model")
    compare: bool = runs.setting(False, "with --frames: also train each network on single frames", group="model")
    points: int = runs.setting(
        512, "pixels of each picture that train a hypercolumn network", check=limits.between(1, 100_000)
    )
    scale: tuple[str, ...] = runs.setting(
        ("1", "1.5"), "range of the random scale", metavar="MIN,MAX", check=limits.factors
    )
    flip: bool = runs.setting(True, "mirror half of the training pictures left to right")
    epochs: int = runs.setting(40, "passes over the training pictures", check=limits.positive)
    learning_rate: float = runs.setting(1e-3, "peak for the decoder; lower for the backbone", check=limits.positive)
    batch_size: int = runs.setting(8, "pictures per step, on all devices together", check=limits.positive)
    precision: str = runs.precision_setting()

    def check_together(self) -> None:
        """Checks the settings of videos against each other."""
        if self.frames % 2 == 0:
            raise checks.UserError("frames", expected="an odd number", received=self.frames)
        if self.frames > 1 and (self.data is None or not Path(self.data).is_dir()):
            expected = "a folder of videos, or of images with numbered names, for `frames`"
            raise checks.UserError("data", expected=expected, received=self.data)
        if self.frames > 1 and self.hints:
            raise checks.UserError("hints", expected="no hints together with `frames`", received=True)
        if self.compare and self.frames == 1:
            raise checks.UserError("compare", expected="`frames` of 3 or more beside it", received=True)


SMOKE = Config(epochs=2, longest_side=64, train_images=16, test_images=6, weights="none")


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
        kv.backbones.require_imagenet(config.backbone)  # before the pictures are read, because reading takes longer
    smallest = max(_STEP, choices.BACKBONES[config.backbone])
    return runs.colored.load(config, weights=config.weights, smallest=smallest, cache=cache)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains every network with every head, and measures each on the test pictures once.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where finished networks are recorded. If None, nothing is recorded.
        cache: Not used.

    Returns:
        The result. Its model is the first network with the first head.
    """
    records, test = records or runs.Records(), split.test
    frames = (config.frames, 1) if config.compare else (config.frames,)
    plans = [_Plan(*parts) for parts in itertools.product(config.networks, config.heads, frames)]
    names = {_name(plan, config): plan for plan in plans}
    # All networks are created first, so that an error comes before any training.
    models = {name: _model(plan, config) for name, plan in names.items()}
    _tell_memory({names[name].network: model for name, model in models.items()}, config)
    found = {}
    for name, model in models.items():
        print(f"{name} ...", flush=True)
        measure = functools.partial(runs.colored.score, model, test, seed=config.seed)
        fit = functools.partial(_fit, names[name], split.train, config, records.is_chief)
        options = {"kinds": _RECORD, "strategy": config.strategy}
        found[name] = runs.trained(records, name, model, fit=fit, measure=measure, **options)
    best = next(iter(models))
    rows = {name: {k: v for k, v in row.items() if k != "history"} for name, row in found.items()}
    history = found[best]["history"]
    return runs.Result(
        model=kv.colorization.colorizer(models[best]),
        history=history,
        metrics={**rows, **runs.colored.baselines(split.train, test, seed=config.seed)},
        best=best,
        columns=("network", "PSNR; colorfulness"),
        pictures=runs.colored.pictures(models, test, history),
        probe=[test.example(0)[0]],
        task=kv.tasks.Colorization(longest_side=config.longest_side),
    )


class _Plan(NamedTuple):
    """A network to train, and how many frames it sees."""

    network: str
    head: str
    frames: int

    @property
    def points(self) -> bool:
        """Whether single points are trained. The temporal loss needs the colors of all pixels."""
        return self.network == "hypercolumn" and self.frames == 1


def _name(plan: _Plan, config: Config) -> str:
    parts = [plan.network, *([plan.head] if len(config.heads) > 1 else [])]
    return "-".join([*parts, *(["single"] if plan.frames < config.frames else [])])


def _tell_memory(models: dict, config: Config) -> None:
    """Prints how much memory a residual network saves, if there is one."""
    if "residual" not in models:
        return
    models = {"unet": _model(_Plan("unet", config.heads[0], config.frames), config), **models}
    side = _LARGEST_CROP
    for name in ("unet", "residual"):
        megabytes = kv.colorization.activation_bytes(models[name], side, side) / 1e6
        print(f"{name}: {megabytes:.1f} MB of activations in the decoder for a picture of {side} x {side}")


def _model(plan: _Plan, config: Config):
    import keras

    keras.utils.set_random_seed(config.seed)
    weights, neighbors = None if config.weights == "none" else config.weights, plan.frames - 1
    channels = 3 + 3 * config.hints + neighbors
    backbone = kv.backbones.create(config.backbone, weights=weights, channels=channels)
    options = {"hints": config.hints, "neighbors": neighbors, "points": plan.points}
    return kv.colorization.network(backbone, decoder=plan.network, head=plan.head, **options)


def _examples(plan: _Plan, train, config: Config):
    """Returns the training examples, and the augmentation for their batches."""
    seen = [kv.pixels.pillow.fitted(size, train.longest_side) for size in train.sizes]
    size = [min(_LARGEST_CROP, int(side)) // _STEP * _STEP for side in np.median(seen, axis=0)]
    crop = kv.augment.JointAugment(*size, scale=tuple(map(float, config.scale)), flip=config.flip, color=0.0)
    if plan.frames > 1:
        return kv.colorization.ColorFrames(train), kv.augment.FrameAugment(crop)
    if config.frames > 1:
        train = dataclasses.replace(train, neighbors=0, pairs=False)
    augment = kv.colorization.ColorAugment(crop, hints=config.hints, points=config.points if plan.points else 0)
    return kv.colorization.ColorExamples(train, augment), augment


def _fit(plan: _Plan, train, config: Config, is_chief: bool, resume):
    """Trains a network in the strategy's scope. Returns the model and facts for the record."""
    clock = kv.training.Clock()
    examples, augment = _examples(plan, train, config)
    model = trained = _model(plan, config)
    if plan.frames > 1 and config.temporal_weight > 0:
        trained = kv.colorization.paired(model, weight=config.temporal_weight)
    kv.training.mixed(model.get_layer("body"), config.precision)
    batches = kv.data.batches(
        examples,
        augment=augment,
        batch_size=min(config.batch_size, len(train)),
        seed=config.seed,
    )
    history = kv.schedules.fit(
        trained,
        batches,
        _phases(config),
        checkpoints=resume,
        callbacks=[clock],
        epochs=config.epochs,
        optimizer=kv.training.Adam(),
        loss=_loss(plan.head, train, config),
        metrics=[],
        verbose="auto" if is_chief else 0,
    ).history
    return model, {
        "seconds": round(clock.seconds, 1),
        "history": history,
        "lost": [one.path for one in batches.lost],
    }


def _loss(head: str, train, config: Config):
    if head == "regression":
        return kv.losses.ChromaLoss()
    counts = kv.colorization.bin_counts(train, seed=config.seed)
    return kv.losses.ChromaBinLoss(weights=kv.ops.chroma_bins.bin_weights(counts, kv.ops.chroma_bins.centers()))


def _phases(config: Config):
    """Returns the phases. Only the new decoder trains in the first tenth of the epochs. Then all layers train."""
    warm = config.epochs // 10
    rates = {"learning_rate": config.learning_rate, "curve": kv.schedules.Cosine(warmup=0.05), "layer_decay": 0.7}
    whole = kv.schedules.Phase(epoch=warm, above="all", norm="train", **rates)
    return [kv.schedules.Phase(epoch=0, above="top", learning_rate=config.learning_rate), whole] if warm else [whole]


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
