"""Finds the one object in each image: its class and its box.

A network with a pre-trained backbone learns the class and the box together. Each side of the box is
the expected position in a heat map (soft-argmax, Nibali et al. 2018, arXiv 1801.07372). The test
images are used once, after the training. Two boxes that ignore the image are measured beside it.

Run:      kvision locate                                rendered objects of 100 classes, no download
          kvision locate --data FOLDER                  Pascal VOC, COCO or YOLO
          kvision locate --data FOLDER --head flatten --per-class
Expect:   rendered objects of 100 classes, 1,500 training and 1,000 test images (--train-images 1500
          --epochs 6), seed 0, EfficientNetLite0, 2 CPU cores: class right and overlap of .5 or more
          for .956 [.941, .967] of the images, class right .983, mean IoU .743; mean box .002
"""

import dataclasses
import functools
import sys
import tempfile
from pathlib import Path

import kvision as kv
from kvision import checks, choices, runs
from kvision.runs import limits

__all__ = ["SMOKE", "Config", "load", "run"]

HEADS = ("soft_argmax", "flatten")
_TRAIN, _TEST = 4000, 1000  # rendered images
_VISIBLE = 0.7  # smallest visible share of the box of an augmented object
_RECORD = {"both_right": float, "interval": list, "history": dict, "seconds": float}


@dataclasses.dataclass(frozen=True)
class Config(runs.boxed.ObjectSettings):
    """Settings of `kvision locate`."""

    backbone: str = runs.backbone_setting()
    weights: str = runs.weights_setting()
    head: str = runs.setting(
        "soft_argmax", "what gives the box: soft_argmax or flatten", group="model", check=limits.among(HEADS)
    )
    per_class: bool = runs.setting(False, "a box for each class", group="model")
    image_size: int = runs.setting(128, "height and width of images in pixels", group="data", check=limits.positive)
    zoom: float = runs.setting(
        1.25, "enlarge or shrink training images by up to this factor", check=limits.between(1, 10)
    )
    rotate: float = runs.setting(
        0.1, "turn training images by up to this angle in radians", check=limits.between(0, 3.15)
    )
    # Off, because a class may depend on left and right, such as an arrow or a letter.
    flip: bool = runs.setting(False, "mirror half of the training images left to right")
    # Smaller than in `kvision segment`, because the color may distinguish two classes.
    color: float = runs.setting(
        0.1, "change brightness, contrast and saturation by up to this share", check=limits.between(0, 0.9)
    )
    epochs: int = runs.setting(10, "passes over the training images", check=limits.positive)
    learning_rate: float = runs.setting(1e-3, "peak for the new layers; lower for the backbone", check=limits.positive)
    batch_size: int = runs.setting(16, "images per step, on all devices together", check=limits.positive)
    precision: str = runs.precision_setting()

    def check_together(self) -> None:
        """Checks the size of images against the backbone."""
        smallest = choices.BACKBONES[self.backbone]
        if self.image_size < smallest:
            expected = f"{smallest} pixels or more for {self.backbone}"
            raise checks.UserError("image_size", expected=expected, received=self.image_size)


SMOKE = Config(epochs=2, image_size=64, train_images=200, test_images=100)


def load(config: Config, *, cache: Path | None = None) -> runs.Split:
    """Checks the settings, and reads and splits the data.

    Args:
        config: The settings.
        cache: A folder for the rendered images. If None, a temporary folder is used.

    Returns:
        The data of the run, with one object in each image.
    """
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # before the images are read, because reading takes longer
    if config.data is None:
        train, test = config.train_images or _TRAIN, config.test_images or _TEST
        place = (Path(tempfile.mkdtemp()) if cache is None else cache) / f"shape-objects-{train}-{test}"
        folder, name = kv.data.shape_objects(place, train=train, val=test), "rendered objects"
    else:
        folder, name = Path(config.data), Path(config.data).resolve().name
    return runs.boxed.load(config, folder, name, weights=config.weights, change=kv.detection.largest_objects)


def run(
    split: runs.Split, config: Config, *, records: runs.Records | None = None, cache: Path | None = None
) -> runs.Result:
    """Trains a network, and measures it and two baselines on the test images.

    Args:
        split: The result of `load`.
        config: The settings.
        records: Where the finished training is recorded. If None, nothing is recorded.
        cache: Not used.

    Returns:
        The result.
    """
    records, test = records or runs.Records(), split.test
    network = _network(len(split.class_names), config)
    detector, truth = kv.detection.located(network), runs.located.drawn(test)
    record = runs.trained(
        records,
        config.head,
        network,
        fit=functools.partial(_fit, split.train, config, records.is_chief),
        measure=lambda: runs.located.score(runs.located.answers(detector, test), truth),
        kinds=_RECORD,
        strategy=config.strategy,
    )
    history = record["history"]
    row = {name: value for name, value in record.items() if name != "history"}
    return runs.Result(
        model=detector,
        history=history,
        metrics={config.head: row, **runs.located.baselines(runs.located.drawn(split.train), truth)},
        best=config.head,
        columns=("model", "classes right; mean IoU"),
        pictures=runs.located.pictures(detector, test, history),
        # The answer is one object, also if no class is likely.
        task=runs.located.Location(split.class_names, image_size=config.image_size, threshold=0.0),
    )


def _network(classes: int, config: Config):
    import keras

    keras.utils.set_random_seed(config.seed)
    weights = None if config.weights == "none" else config.weights
    backbone = kv.backbones.create(config.backbone, weights=weights, image_size=config.image_size)
    return kv.detection.locator(backbone, classes, head=config.head, per_class=config.per_class)


def _fit(train, config: Config, is_chief: bool, resume):
    """Trains a network in the strategy's scope. Returns the model and facts for the record."""
    import keras

    clock, size = kv.training.Clock(), config.image_size
    options = {"flip": config.flip, "color": config.color, "rotate": config.rotate, "visible": _VISIBLE}
    augment = kv.augment.JointAugment(size, size, scale=(1 / config.zoom, config.zoom), **options)
    batches = kv.data.batches(
        kv.detection.SingleObjects(train, size),
        augment=kv.detection.KeptObject(augment),
        batch_size=min(config.batch_size, len(train)),
        seed=config.seed,
    )
    network = _network(len(train.class_names), config)
    kv.training.mixed(network.get_layer("body"), config.precision)
    curve = kv.schedules.Cosine(warmup=0.05)
    rates = {"learning_rate": config.learning_rate, "curve": curve, "layer_decay": 0.7}
    history = kv.schedules.fit(
        network,
        batches,
        [kv.schedules.Phase(epoch=0, above="all", norm="train", **rates)],
        epochs=config.epochs,
        optimizer=kv.training.Adam(),
        loss={
            "class": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "box": kv.losses.LocatedBoxLoss(image_size=size),
        },
        metrics=[],
        callbacks=[clock],
        verbose="auto" if is_chief else 0,
        checkpoints=resume,
    ).history
    lost = [one.path for one in batches.lost]
    return network, {"seconds": round(clock.seconds, 1), "lost": lost, "history": history}


if __name__ == "__main__":
    raise SystemExit(runs.main(sys.modules[__name__]))
