"""Compares classifiers that learn from one to five images of each class.

Draws many random tasks (episodes) from your images: a few images of each class to learn from,
others to test on. All methods see the same episodes, so their differences have small intervals.
The features of a pre-trained network are computed once. The best method is then fitted on all
images and exported. The protocol is that of Vinyals et al. 2016 (arXiv 1606.04080) and Snell et al.
2017 (arXiv 1703.05175).

Run:      kvision fewshot                        handwritten digits, no download
          kvision fewshot --data FOLDER --shots 1
          kvision fewshot --data FILE.npz --ways 10 --backbones EfficientNetLite0,EfficientNetLite2
Expect:   CIFAR-10 subset (2,000 test images), 10-way 5-shot, 600 episodes, seed 0, 2 CPU cores:
          Lite0 ridge .565 [.561, .568], 1nn .496 [.493, .499]; paired +6.9 [6.6, 7.2] points
          Lite2 ridge .577 [.574, .581]; paired +1.3 [0.9, 1.6] points above Lite0
"""

import dataclasses
import functools
import sys
import time
from pathlib import Path

import numpy as np

import kvision as kv
from kvision import checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

_BASELINE = "1nn"
_RULE = "The exported model has the highest accuracy. It is fitted on all images."


@dataclasses.dataclass(frozen=True)
class Config(runs.labeled.LabelSettings):
    """Settings of `kvision fewshot`."""

    backbones: tuple[str, ...] = runs.setting(
        ("EfficientNetLite0",),
        "one or more names from kv.backbones.available()",
        group="model",
        check=limits.among(choices.BACKBONES),
    )
    weights: str = runs.weights_setting()
    ways: int = runs.setting(5, "classes of an episode", check=limits.between(2, 10_000))
    shots: int = runs.setting(5, "images of each class to learn from", check=limits.positive)
    queries: int = runs.setting(15, "images of each class to test on, or all that are left", check=limits.positive)
    episodes: int = runs.setting(600, "number of random tasks", check=limits.between(2, 1_000_000))
    views: int = runs.setting(
        1, "average the features to learn from over N random crops of an image", check=limits.positive
    )
    image_size: int | None = runs.setting(
        None, "in pixels (default: each backbone's own; 96 for the digits)", group="data", check=limits.positive
    )
    batch_size: int = runs.setting(32, "images per step", check=limits.positive)

    def check_together(self) -> None:
        """Checks the size of images against the backbones, and the number of weights."""
        smallest = max(choices.BACKBONES[name] for name in self.backbones)
        if self.image_size is not None and self.image_size < smallest:
            expected = f"at least {smallest} (pixels) for {', '.join(self.backbones)}"
            raise checks.UserError("image_size", expected=expected, received=self.image_size)
        if self.weights not in ("imagenet", "none") and len(self.backbones) > 1:
            raise checks.UserError("weights", expected="imagenet for several backbones", received=self.weights)


SMOKE = Config(train_per_class=20, test_per_class=20, ways=3, episodes=20, queries=5, image_size=64)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads the data. If it has a test part, the episodes are drawn from this part.

    Args:
        config: The settings.
        cache: A folder for the results of reading. If None, nothing is cached.

    Returns:
        The data of the run. `test` are the images of the episodes, without exact copies.
    """
    config.check()
    if config.weights == "imagenet":
        for name in config.backbones:
            kv.backbones.require_imagenet(name)  # before the images are read, because reading takes longer
    options = {"image_size": _size(config, config.backbones[0]), "batch_size": config.batch_size, "cache": cache}
    data = runs.labeled.load(config, whole=True, weights=config.weights, **options)
    kept = np.sort(np.unique(data.test.pixel_hashes, return_index=True)[1])
    notes = data.notes
    if copies := len(data.test) - len(kept):
        notes = (*notes, f"{copies} exact copies are left out of the episodes")
    if config.weights == "imagenet" and (seen := kv.transfer.seen_classes(data.class_names)):
        shown = ", ".join(seen[:8]) + (", ..." if len(seen) > 8 else "")
        notes = (*notes, f"the network has probably seen labels of these classes: {shown}. New classes are harder")
    images = data.test.subset(kept)
    _drawn(images, config)  # so that an error comes before the features are computed
    return dataclasses.replace(data, train=images, test=images, validation=None, notes=notes)


def _size(config: Config, backbone: str) -> int:
    if config.image_size is not None:
        return config.image_size
    return kv.backbones.info(backbone).image_size if config.data else max(96, choices.BACKBONES[backbone])


def _drawn(images, config: Config):
    options = {"ways": config.ways, "shots": config.shots, "queries": config.queries}
    return kv.transfer.episodes(images.labels, **options, count=config.episodes, seed=config.seed)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Measures all methods on the features of each backbone, and fits the best method on all images.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where finished backbones are recorded. If None, nothing is recorded.
        cache: A folder for features. If None, nothing is cached.

    Returns:
        The result.
    """
    records = records or runs.Records()
    episodes = _drawn(split.test, config)
    methods = kv.transfer.few_shot_methods(ways=config.ways, shots=config.shots)
    features = functools.cache(functools.partial(_features, split=split, config=config, cache=cache))
    found, seconds = {}, {}
    for backbone in config.backbones:
        print(f"{backbone} ...", flush=True)
        record = records.done_or_wait(backbone, accuracies=dict, seconds=float)
        if record is None:
            started = time.monotonic()
            _, of_queries, of_support = features(backbone)
            labels = split.test.labels
            accuracies = kv.transfer.few_shot(of_queries, labels, episodes, methods, support=of_support)
            record = {"accuracies": {name: values.tolist() for name, values in accuracies.items()}}
            record["seconds"] = round(time.monotonic() - started, 1)
            records.finish(backbone, record)
        prefix = f"{backbone}-" if len(config.backbones) > 1 else ""
        for name, values in record["accuracies"].items():
            found[prefix + name] = (backbone, name, np.array(values))
            seconds[prefix + name] = record["seconds"]
    metrics = {name: {**_row(one, found), "seconds": seconds[name]} for name, one in found.items()}
    best = max(metrics, key=lambda name: metrics[name]["accuracy"])
    backbone, method, _ = found[best]
    return runs.Result(
        model=_fitted(features(backbone), method, split),
        history={},
        metrics=metrics,
        best=best,
        columns=("method", f"{config.ways}-way {config.shots}-shot, points above {_BASELINE}"),
        rule=_RULE,
        task=kv.tasks.Classification(split.class_names),
        pictures={"accuracy.png": lambda axes: kv.plots.interval_points(axes, metrics)},
    )


def _row(one: tuple, found: dict) -> dict:
    """Returns the mean of a method, and its paired differences to the baseline and to the first backbone."""
    backbone, name, values = one
    mean, *interval = kv.metrics.mean_interval(values)
    row = {"accuracy": mean, "interval": interval}
    first = next(iter(found.values()))[0]
    words = []
    for key, other, text in (
        ("above_baseline", (backbone, _BASELINE), ""),
        ("above_first_backbone", (first, name), f"above {first} "),
    ):
        if other != (backbone, name):
            (theirs,) = (them for *who, them in found.values() if tuple(who) == other)
            row[key] = list(kv.metrics.mean_interval(values - theirs))
            words.append(text + "{:+.1f} [{:.1f}, {:.1f}]".format(*(100 * x for x in row[key])))
    return {**row, "chosen": ", ".join(words) or "baseline"}


def _features(backbone: str, split: runs.Split, config: Config, cache: Path | None):
    """Returns the network, the features of the images, and the features to learn from."""
    import keras

    keras.utils.set_random_seed(config.seed)  # of a backbone without pre-trained weights
    weights, size = None if config.weights == "none" else config.weights, _size(config, backbone)
    network = kv.backbones.create(backbone, weights=weights, image_size=size, pooling="avg")
    images = split.test.at_size(size)
    features = kv.features.embed(network, images, cache=cache)
    if config.views == 1:
        return network, features, features
    crop = kv.augment.RandomResizedCrop(size, area=(0.5, 1.0), aspect=(1.0, 1.0))
    return network, features, kv.features.averaged(network, images, crop, views=config.views, seed=config.seed)


def _fitted(computed: tuple, method: str, split: runs.Split):
    """Returns the model of a method that was fitted on all images."""
    network, _, support = computed
    labels = split.test.labels
    counts = np.bincount(labels)
    shots = int(counts[counts > 0].min())
    head = kv.transfer.few_shot_methods(ways=len(split.class_names), shots=shots)[method]
    return kv.transfer.attach(network, head.fit(support, labels))


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
