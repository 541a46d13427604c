"""The parts of a run of R-CNN: proposals, the network, the described regions, SVMs and box regression, the detector."""

import dataclasses
import functools
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import kvision as kv
from kvision import atomic, checks, choices, npz
from kvision.runs import boxed, limits
from kvision.runs.boxed import BoxSettings
from kvision.runs.proposers import COUNTS, PROPOSERS, Proposer, proposer_of, recalls_of
from kvision.runs.records import Records
from kvision.runs.result import Result, Split
from kvision.runs.settings import backbone_setting, precision_setting, setting, weights_setting
from kvision.runs.train import trained

if TYPE_CHECKING:
    import keras

    from kvision.data import BoxedImages
    from kvision.detection import RCNN, Objects
    from kvision.heads import BoxRidge, MinedSVM

__all__ = ["RegionSettings", "load", "run"]

SCORERS = ("svm", "softmax")
CROPS = ("roi", "warp")
_SMALLEST = 32  # pixels; a smaller image has too few cells
_REGIONS = 128  # given proposals in a training step, as in the paper
_RECORD = {"history": dict, "seconds": float}
_ROW = {"map_50": float, "interval": list, "seconds": float, "chosen": str}


@dataclasses.dataclass(frozen=True)
class RegionSettings(BoxSettings):
    """The settings of the recipes of R-CNN."""

    backbone: str = backbone_setting()
    weights: str = weights_setting()
    proposer: str = setting(
        "learned",
        "learned, grid, selective_search or (rotated boxes) rotated_segments",
        group="model",
        check=limits.among(PROPOSERS),
    )
    proposals: int | None = setting(
        None, "proposals per image (default: 300 learned ones, or 2000)", group="model", check=limits.positive
    )
    crops: tuple[str, ...] = setting(
        ("roi",), "how regions are cut: roi from one map, warp from the image", group="model", check=limits.among(CROPS)
    )
    crop_size: int = setting(224, "side of warped regions in pixels", group="model", check=limits.between(32, 1024))
    scorers: tuple[str, ...] = setting(
        SCORERS, "what scores the regions: svm, softmax or both", group="model", check=limits.among(SCORERS)
    )
    suppress: float = setting(0.3, "of boxes that overlap more, one stays", group="model", check=limits.share)
    scale: tuple[str, ...] = setting(
        ("0.8", "1.25"), "range of the random scale", metavar="MIN,MAX", check=limits.factors
    )
    rotate: float = setting(0.0, "turn training images by up to this angle in radians", check=limits.between(0, 3.15))
    flip: bool = setting(True, "mirror half of the training images left to right")
    epochs: int = setting(24, "passes over the training images", check=limits.positive)
    learning_rate: float = setting(1e-3, "peak for the new layers; lower for the backbone", check=limits.positive)
    batch_size: int = setting(4, "images per step, on all devices together", check=limits.positive)
    precision: str = precision_setting()


def load(config: RegionSettings, *, rotated: bool, cache: Path | None = None) -> Split:
    """Checks the settings, and reads and splits the images with boxes (`kv.data.BoxedImages`).

    Args:
        config: The recipe's settings.
        rotated: Whether the recipe finds rotated boxes. If False, boxes around rotated boxes are used.
        cache: A folder for the rendered data. If None, a temporary folder is used.

    Returns:
        The data of the run.

    Raises:
        UserError: If a setting is not valid, the data cannot be used, or the data has no rotated boxes and `rotated` is
            True.
    """
    config.check()
    if config.weights == "imagenet":
        kv.backbones.require_imagenet(config.backbone)  # before the images are read, because reading takes longer
    if config.proposer in ("selective_search", "rotated_segments"):
        kv.detection.require_opencv("proposer")
    if config.proposer == ("selective_search" if rotated else "rotated_segments"):
        expected = "rotated_segments, learned or grid" if rotated else "selective_search, learned or grid"
        raise checks.UserError("proposer", expected=expected, received=config.proposer)
    if config.data is None:
        place = Path(tempfile.mkdtemp()) if cache is None else cache
        folder, name = kv.data.rotated_scenes(place / "rotated-scenes"), "rendered shapes"
    else:
        folder, name = Path(config.data), Path(config.data).resolve().name
    smallest = max(_SMALLEST, choices.BACKBONES[config.backbone])
    split = boxed.load(config, folder, name, weights=config.weights, smallest=smallest)
    if rotated and not split.train.rotated:
        raise checks.UserError(
            "data", problem="has no rotated boxes", expected="the layout of DOTA: images/, labelTxt/", received=name
        )
    if not rotated and split.train.rotated:
        train, test = boxed.upright(split.train), boxed.upright(split.test)
        split = dataclasses.replace(split, train=train, test=test)
    return split


def run(
    split: Split,
    config: RegionSettings,
    records: Records,
    *,
    prefix: str = "",
    truth: "BoxedImages | None" = None,
) -> Result:
    """Trains and measures one detector for each of `config.crops` and `config.scorers`. The first one is exported.

    Args:
        split: The data of the run.
        config: The settings.
        records: Where finished parts are recorded.
        prefix: Begins the names of all parts, if a run has several variants.
        truth: The test images with the boxes that detections are compared with. If None, those of `split`.

    Returns:
        The result.
    """
    truth = split.test if truth is None else truth
    networks: dict[str, RCNN] = {}
    facts: dict[str, dict] = {}

    def network(crop: str, proposer: Proposer | None) -> "RCNN":
        if crop not in networks:
            networks[crop], facts[crop] = _network(split, config, records, crop, proposer, prefix)
        return networks[crop]

    # The learned proposer belongs to the network with one shared map, so this network is trained first.
    learned = network("roi", None) if config.proposer == "learned" else None
    proposer = proposer_of(split, config, records, learned, prefix)
    rows, models = {}, {}
    for crop in config.crops:
        one = network(crop, proposer)
        svm, ridge = _heads(split, config, records, one, proposer, f"{prefix}{crop}")
        for scorer in config.scorers:
            name = f"{prefix}{scorer}" if len(config.crops) == 1 else f"{prefix}{crop}-{scorer}"
            options = {"svm": svm if scorer == "svm" else None, "iou": config.suppress}
            models[name] = kv.detection.detector(one, proposer.layer, ridge=ridge, **options)
            if not (row := records.done_or_wait(name, **_ROW)):
                build = functools.partial(kv.detection.detector, one, **options)
                row, found = _row(build, ridge, proposer, models[name], truth, config.seed)
                row["seconds"] = round(row["seconds"] + facts[crop]["seconds"], 1)
                boxed.save_objects(found, records.path(f"{name}.npz"))
                records.finish(name, row)
            rows[name] = row
    recalls = recalls_of(split, config, records, learned, prefix)
    best, (history, *_) = next(iter(rows)), [fact["history"] for fact in facts.values()]
    for row in rows.values():
        row["recall_2000"] = recalls[config.proposer][str(COUNTS[-1])]
    found = boxed.load_objects(path) if (path := records.path(f"{best}.npz")) else []
    return Result(
        model=models[best],
        history=history,
        metrics=rows,
        best=best,
        columns=("detector", "mAP .5:.95; what box regression adds; seconds per image"),
        pictures=boxed.pictures(found, truth, recalls, history) if found else {},
        probe=[split.test.example(0)[0]],
        task=kv.tasks.Detection(split.class_names, longest_side=split.test.longest_side),
    )


def _built(split: Split, config: RegionSettings, crop: str):
    import keras

    keras.utils.set_random_seed(config.seed)
    weights = None if config.weights == "none" else config.weights
    return kv.detection.rcnn(
        kv.backbones.create(config.backbone, weights=weights),
        len(split.class_names),
        crop=crop,
        learned=config.proposer == "learned" and crop == "roi",
        rotated=split.train.rotated,
        crop_size=config.crop_size,
    )


def _network(
    split: Split, config: RegionSettings, records: Records, crop: str, proposer: Proposer | None, prefix: str
) -> "tuple[RCNN, dict]":
    """Trains a network, or loads its weights. Returns the networks, and the record."""
    networks = _built(split, config, crop)
    given = None if networks.candidates is not None or proposer is None else proposer.boxes(split.train)
    print(f"{prefix}{crop}: training ...", flush=True)
    record = trained(
        records,
        f"{prefix}{crop}",
        networks.training,
        fit=functools.partial(_fit, split, config, crop, given, records.is_chief),
        measure=dict,
        kinds=_RECORD,
        strategy=config.strategy,
    )
    return networks, record


def _fit(split: Split, config: RegionSettings, crop: str, given: list[np.ndarray] | None, is_chief: bool, resume):
    """Trains a network in the strategy's scope. Returns the model and facts for the record."""
    train, clock = split.train, kv.training.Clock()
    sizes = [kv.pixels.pillow.fitted(size, train.longest_side) for size in train.sizes]
    height, width = (int(side) for side in np.median(sizes, axis=0))
    options = {"scale": tuple(map(float, config.scale)), "flip": config.flip, "rotate": config.rotate, "fit": True}
    augment = kv.augment.JointAugment(height, width, **options)
    batch_size = min(config.batch_size, len(train))
    images = kv.detection.TrainingImages(train)
    if given is not None:
        count = max(4, _REGIONS // batch_size)
        images = kv.detection.TrainingImages(train, given, count)
        augment = kv.detection.DrawnProposals(augment, count)
    networks = _built(split, config, crop)
    losses = {"regions": kv.losses.RegionLoss()}
    if networks.candidates is not None:
        losses["candidates"] = kv.losses.CandidateLoss(side=networks.side, stride=networks.stride)
    kv.training.mixed(networks.training.get_layer("body"), config.precision)
    batches = kv.data.batches(images, augment=augment, batch_size=batch_size, seed=config.seed)
    history = kv.schedules.fit(
        networks.training,
        batches,
        _phases(config),
        epochs=config.epochs,
        # The paper uses SGD with a learning rate of 0.001. The new layers here are deeper, and Adam trains them in
        # fewer epochs.
        optimizer=kv.training.Adam(),
        loss=losses,
        metrics=[],
        callbacks=[clock],
        verbose="auto" if is_chief else 0,
        checkpoints=resume,
    ).history
    lost = [one.path for one in batches.lost]
    return networks.training, {"seconds": round(clock.seconds, 1), "lost": lost, "history": history}


def _phases(config: RegionSettings):
    """Returns the phases. Only the new layers train in the first tenth of the epochs. Then all layers train."""
    warm = config.epochs // 10
    whole = kv.schedules.Phase(
        epoch=warm,
        above="all",
        learning_rate=config.learning_rate,
        curve=kv.schedules.Cosine(warmup=0.05),
        layer_decay=0.7,
    )
    return [kv.schedules.Phase(epoch=0, above="top", learning_rate=config.learning_rate), whole] if warm else [whole]


def _heads(
    split: Split, config: RegionSettings, records: Records, networks: "RCNN", proposer: Proposer, name: str
) -> "tuple[MinedSVM, BoxRidge]":
    """Fits the SVMs and the box regression to the described regions of the training images, or reads them."""
    paths = [records.path(f"{name}-{kind}.npz") for kind in ("svm", "ridge")]
    if records.done_or_wait(f"{name}-heads", images=int):
        svm, ridge = (npz.read(path, stored=True) for path in paths)
        return kv.heads.MinedSVM.from_arrays(**svm), kv.heads.BoxRidge.from_arrays(**ridge)
    print(f"{name}: describing the regions of the training images ...", flush=True)
    folder = records.path(f"{name}-regions")
    described = kv.detection.describe(networks, split.train, proposer.boxes(split.train), folder=folder)
    print(f"{name}: fitting SVMs and box regression ...", flush=True)
    heads = kv.detection.learn_classes(described), kv.detection.learn_boxes(described, len(split.class_names))
    for head, path in zip(heads, paths, strict=True):
        if path is not None:
            with atomic.file(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **head.arrays())
    records.finish(f"{name}-heads", {"images": len(described)})
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)  # hundreds of megabytes that nothing needs any more
    return heads


def _row(
    build: Callable,
    ridge: "BoxRidge",
    proposer: Proposer,
    exported: "keras.Model",
    truth: "BoxedImages",
    seed: int,
) -> "tuple[dict, list[Objects]]":
    """Measures a detector on the test images, with and without box regression.

    Args:
        build: A function of the proposals and the box regression that returns a detector.
        ridge: The box regression.
        proposer: The source of proposals.
        exported: The detector that is exported.
        truth: The test images.
        seed: Seed of the bootstrap.

    Returns:
        The row and the detections.
    """
    given, started = None if proposer.exact else proposer.boxes(truth), time.monotonic()

    def found(ridge: "BoxRidge | None") -> "list[Objects]":
        model = exported if ridge and given is None else build(None if given else proposer.layer, ridge=ridge)
        return kv.detection.detect(model, truth, boxes=given)

    detections = found(ridge)
    taken = (time.monotonic() - started) / len(truth)
    row = boxed.score(detections, truth, seed=seed) | boxed.gain(detections, found(None), truth, seed=seed)
    if given is not None:
        row["map_50_exported"] = boxed.score(kv.detection.detect(exported, truth), truth, seed=seed)["map_50"]
    row |= {"seconds": time.monotonic() - started, "seconds_per_image": round(taken, 3)}
    row["chosen"] = f"{row['map'] or 0:.4f}; {row['gain'] or 0:+.4f}; {taken:.2f}"
    return row, detections
