"""Compares ways to learn from few images.

You have a few thousand images, or only some dozens of them with labels. `small` is a very small
network with strong augmentation and weight decay. `scratch` is a large network without
pre-training. `frozen` is logistic regression on the features of a pre-trained network, and
`finetune` trains all of this network after that (Kumar et al. 2022, arXiv 2202.10054). All ways get
the same images of each class. Every choice is made on the labeled images. The test images are used
for the table only.

Run:      kvision smalldata                        handwritten digits, no download
          kvision smalldata --data FOLDER --fractions 0.1,1
          kvision smalldata --data FOLDER --network googlenet
Expect:   CIFAR-10 subset, 1 % of the labels (100), --fractions 0.01, seeds 0 to 2, 2 busy CPU cores,
          24 minutes: finetune .589 [.491, .686], frozen .558 [.480, .636], small .316 [.268, .364],
          scratch .303 [.217, .389] of 2,000 test images
"""

import dataclasses
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import kvision as kv
from kvision import checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

WAYS = ("finetune", "frozen", "scratch", "small")
_SHORT_NAMES = {"alexnet": "AlexNet", "googlenet": "GoogLeNet", "plain": "Plain20", "residual": "ResNet20"}
_SMALLEST_OF_GOOGLENET = 65  # pixels, for its auxiliary classifiers
_RULE = "The exported model is the first way, with the most labels and the first seed."


def _network(name: str, value: str) -> None:
    checks.one_of(name, value, (*_SHORT_NAMES, *choices.BACKBONES))


@dataclasses.dataclass(frozen=True)
class Config(runs.labeled.LabelSettings):
    """Settings of `kvision smalldata`."""

    ways: tuple[str, ...] = runs.setting(
        WAYS, "one or more of finetune, frozen, scratch, small", group="model", check=limits.among(WAYS)
    )
    network: str = runs.setting(
        "residual", "for scratch: alexnet, googlenet, plain, residual, or a backbone", group="model", check=_network
    )
    backbone: str = runs.backbone_setting()
    weights: str = runs.weights_setting()
    fractions: tuple[str, ...] = runs.setting(
        ("0.01", "0.1", "1"),
        "shares of the training images that have labels",
        group="data",
        metavar="A,B,...",
        check=limits.fractions,
    )
    seeds: int = runs.setting(3, "repeat everything with N choices of images", check=limits.between(1, 100))
    image_size: int = runs.setting(96, "in pixels, for the pre-trained network", group="data", check=limits.positive)
    scratch_size: int = runs.setting(
        64, "largest size in pixels for networks from scratch", group="data", check=limits.between(16, 4096)
    )
    steps: int = runs.setting(600, "least number of steps from scratch", check=limits.positive)
    tune_steps: int = runs.setting(150, "least number of steps of fine-tuning", check=limits.positive)
    learning_rate: float = runs.setting(1e-3, "peak from scratch", check=limits.positive)
    flip: bool = runs.setting(True, "mirror half of the images from scratch, except digits")
    weight_decay: float = runs.setting(0.05, "from scratch", check=limits.between(0, 10))
    batch_size: int = runs.setting(32, "images per step, on all devices together", check=limits.positive)

    def check_together(self) -> None:
        """Checks the sizes against the networks."""
        smallest = choices.BACKBONES[self.backbone]
        if self.image_size < smallest:
            expected = f"at least {smallest} (pixels) for {self.backbone}"
            raise checks.UserError("image_size", expected=expected, received=self.image_size)


SMOKE = Config(
    train_per_class=20,
    test_per_class=10,
    fractions=("0.2", "1"),
    seeds=1,
    image_size=64,
    scratch_size=32,
    steps=10,
    tune_steps=4,
)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the results of reading. If None, nothing is cached.

    Returns:
        The data of the run. Validation images, if there are any, are left out.
    """
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)
    options = {"image_size": config.image_size, "batch_size": config.batch_size, "cache": cache}
    data = runs.labeled.load(config, weights=config.weights, **options)
    return dataclasses.replace(data, validation=None)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains every way with every number of labels and every seed.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where finished trainings are recorded. If None, nothing is recorded.
        cache: A folder for features. If None, nothing is cached.

    Returns:
        The result.
    """
    import keras

    records = records or runs.Records()
    keras.utils.set_random_seed(config.seed)  # of a backbone without pre-trained weights
    features, backbone = None, None
    if {"frozen", "finetune"} & set(config.ways):
        weights, size = None if config.weights == "none" else config.weights, config.image_size
        backbone = kv.backbones.create(config.backbone, weights=weights, image_size=size, pooling="avg")
        features = kv.features.embed_each(backbone, [split.train, split.test], cache=cache)
    best, history, curves = None, {}, {}
    for way, fraction in itertools.product(config.ways, sorted(map(float, config.fractions))):
        found, count = [], 0
        for seed in range(config.seed, config.seed + config.seeds):
            chosen = runs.few_labels.few(split.train.labels, fraction, seed=seed)
            labels, count = split.train.labels[chosen], len(chosen)
            print(f"{way}, {count} labels, seed {seed} ...", flush=True)
            if way in ("frozen", "finetune"):
                record, head = _probed(features, chosen, labels, seed)
                model = kv.transfer.attach(backbone, head)
            if way == "finetune":
                plan = _fine_tuning(backbone, head, config)
            elif way != "frozen":
                plan = _from_scratch(way, split, config, seed)
            if way != "frozen":
                images = tuple(images.at_size(plan.size) for images in (split.train.subset(chosen), split.test))
                record, model = _trained(records, f"{way}-{count}-{seed}", plan, images, config, seed)
            found.append(record)
            if seed == config.seed and way == config.ways[0]:
                best, history = model, record.get("history", {})  # in the end those of the largest share
        curves.setdefault(way, {})[count] = runs.few_labels.summary(found, split.test.labels, count)
    assert best is not None
    metrics = {f"{way}-{count}": row for way, rows in curves.items() for count, row in rows.items()}
    return runs.Result(
        model=best,
        history=history,
        metrics=metrics,
        best=f"{config.ways[0]}-{max(curves[config.ways[0]])}",
        columns=("way, labels", "trained on"),
        rule=_RULE,
        task=kv.tasks.Classification(split.class_names),
        pictures={"accuracy.png": lambda axes: kv.plots.accuracy_curve(axes, curves)},
    )


class _Plan(NamedTuple):
    """How a network is trained.

    Attributes:
        build: Creates the network, with the given augmentation or None.
        size: Size of its images in pixels.
        steps: Number of steps.
        phases: The phases of `kv.schedules.fit`. None trains everything from the start.
        augment: Creates the augmentation.
    """

    build: Callable[..., Any]
    size: int
    steps: int
    phases: tuple | None
    augment: Callable[[], Any]


def _probed(features, chosen: np.ndarray, labels: np.ndarray, seed: int):
    """Fits logistic regression on features. Returns the record and the head."""
    started = time.monotonic()
    head, choice = runs.few_labels.probe(features[0][chosen], labels, seed=seed)
    predicted = head.predict(features[1]).tolist()
    return {"predicted": predicted, "seconds": round(time.monotonic() - started, 2), "chosen": choice.chosen}, head


def _fine_tuning(backbone, head, config: Config) -> _Plan:
    import keras

    def build(augment=None):
        copy = keras.models.clone_model(backbone)
        copy.set_weights(backbone.get_weights())
        return kv.transfer.attach(copy, head, augment=augment)

    phases = kv.schedules.schedule("lp_ft").phases
    return _Plan(build, config.image_size, config.tune_steps, phases, lambda: None)


def _from_scratch(way: str, split: runs.Split, config: Config, seed: int) -> _Plan:
    """Returns the plan of a network from scratch. Images are not enlarged, unless the network needs it."""
    import keras

    from kvision.backbones.googlenet import LOSS_WEIGHTS

    name = "SuperSmall" if way == "small" else _SHORT_NAMES.get(config.network, config.network)
    own = {"SuperSmall": 16, "GoogLeNet": _SMALLEST_OF_GOOGLENET}  # auxiliary classifiers need 65 pixels
    some = [max(split.train.original(i).shape) for i in range(min(len(split.train), 16))]
    size = max(own.get(name) or choices.BACKBONES[name], min(config.scratch_size, int(np.median(some))))
    classes = len(split.class_names)

    def build(augment=None):
        keras.utils.set_random_seed(seed)
        if name == "GoogLeNet":
            network = kv.backbones.googlenet(classes=classes, image_size=size)
            return kv.backbones.SharedLabels(network, LOSS_WEIGHTS, augment=augment)
        small = name == "SuperSmall"
        body = kv.backbones.super_small(image_size=size) if small else kv.backbones.create(name, image_size=size)
        model = kv.transfer.attach(body, classes, augment=augment)
        kv.schedules.freeze(model, above="all", norm="train")
        return model

    def augment():
        flip = 0.5 if config.flip and config.data else 0.0  # a mirrored digit is no digit
        crop = kv.augment.RandomResizedCrop(size, area=(0.35, 1.0), flip=flip, seed=seed)
        jitter = kv.augment.ColorJitter(0.4, 0.4, 0.4, seed=seed + 1)
        return keras.Sequential([crop, jitter], name="augment")

    return _Plan(build, size, config.steps, None, augment)


def _trained(records: runs.Records, name: str, plan: _Plan, images: tuple, config: Config, seed: int):
    """Trains a network of a plan. Returns the record and the model."""
    model = plan.build()
    batches = kv.data.batches(images[0], seed=seed)

    def fit(network, epochs: int, options: dict):
        options["verbose"] = "auto" if records.is_chief else 0
        if plan.phases is not None:
            return kv.schedules.fit(
                network, batches, plan.phases, epochs=epochs, optimizer=kv.training.Adam(), **options
            )
        curve = kv.schedules.Cosine(warmup=0.05)
        rate = curve.over(epochs * batches.source.steps, learning_rate=config.learning_rate)
        optimizer = kv.training.AdamW(rate, weight_decay=config.weight_decay)
        network.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], auto_scale_loss=False)
        return kv.training.fit(network, batches, epochs=epochs, **options)

    record = runs.few_labels.train_all(
        records,
        name,
        model,
        lambda: plan.build(plan.augment()),
        images,
        fit=fit,
        steps=plan.steps,
        strategy=config.strategy,
    )
    return record, getattr(model, "served", model)


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
