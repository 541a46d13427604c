"""Reads images with labels for a recipe, and splits them into parts."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvision import checks
from kvision.data.parts import TEST, TRAIN
from kvision.runs import limits
from kvision.runs.parts import parted, without_copies
from kvision.runs.result import Split
from kvision.runs.settings import Settings, setting

if TYPE_CHECKING:
    from kvision.data import BadFile, Images

__all__ = ["LabelSettings", "load", "unlabeled"]

_LOOKED_AT = 16  # number of images that are measured to estimate the size of all images


@dataclasses.dataclass(frozen=True)
class LabelSettings(Settings):
    """The settings of every recipe that reads images with labels."""

    pattern: str | None = setting(
        None, "regex for the class in file names: '(.+)_[0-9]+' for cat_12.jpg", group="data", metavar="REGEX"
    )
    train_per_class: int | None = setting(
        None, "use only N training images of each class", group="data", check=limits.two_per_class
    )
    test_per_class: int | None = setting(
        None, "use only N test images of each class", group="data", check=limits.positive
    )


def load(
    config: LabelSettings,
    *,
    image_size: int,
    batch_size: int,
    small: int | None = None,
    cache: Path | None = None,
    whole: bool = False,
    weights: str | None = None,
) -> Split:
    """Reads the images (`kv.data.Images`) of a run, and splits them into parts.

    Args:
        config: The recipe's settings, already checked. `data` is a folder with one sub-folder per class, a folder with
            `train`, `test` and perhaps `val`, a CSV file, or an .npz file. If None, scikit-learn's digits are used.
        image_size: Height and width of the images in pixels.
        batch_size: Images per batch.
        small: Image size in pixels with the setting `small`. If images are enlarged, a note recommends this setting.
            None if the recipe does not have the setting.
        cache: A folder for the results of reading. If None, nothing is cached.
        whole: Whether data without a test part stays whole. `train` and `test` are then all images.
        weights: The recipe's setting `weights`. If it is a file, the file's content is part of the fingerprint.

    Returns:
        The data of the run.
    """
    from kvision import data

    (train, validation, test, copies), name, bad, notes = _read(config, image_size, batch_size, cache, whole)
    enlarged = [] if config.data is None else _enlarged(test, small)
    train = train.subset(data.sample(train.labels, config.train_per_class, seed=config.seed))
    test = test.subset(data.sample(test.labels, config.test_per_class, seed=config.seed))
    everyone = [images for images in (train, validation, test) if images is not None]
    parts: list = [[images.fingerprint, images.labels.tolist(), images.class_names] for images in everyone]
    if weights is not None and Path(weights).is_file():
        parts.append(hashlib.sha256(Path(weights).read_bytes()).hexdigest())
    counts = [f"{len(train)} training", *([] if validation is None else [f"{len(validation)} validation"])]
    return Split(
        train=train,
        test=test,
        validation=validation,
        class_names=train.class_names,
        bad_images=bad,
        name=f"{name}: {', '.join(counts)}, {len(test)} test images of {len(train.class_names)} classes",
        fingerprint=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        notes=(*notes, *enlarged, *copies),
    )


def _read(
    config: LabelSettings, image_size: int, batch_size: int, cache: Path | None, whole: bool
) -> tuple[Any, str, tuple, tuple]:
    """Returns the result of `parted`, the name of the data, the bad files, and notes."""
    from kvision import data

    path, options = Path(config.data or ""), {"image_size": image_size, "batch_size": batch_size}
    if config.pattern is not None and (config.data is None or not path.is_dir()):
        expected = "`data` to be a folder of images, whose names hold their classes"
        raise checks.UserError("pattern", expected=expected, received=f"the data {config.data}")
    if path.suffix == ".npz":
        found = data.load_npz(path, argument="data")
        arrays = {TRAIN: (found.x_train, found.y_train), TEST: (found.x_test, found.y_test)}
        sides = {
            part: data.from_arrays(x, y, class_names=found.class_names, **options) for part, (x, y) in arrays.items()
        }
        return without_copies(sides), path.name, (), ()
    if config.data is None:
        x, y, names = data.digits()
        images, part = data.from_arrays(x, y, class_names=names, **options), None
        name, bad, notes = "scikit-learn digits", (), ()
    else:
        scan, images = _scanned(path, image_size, batch_size, cache, pattern=config.pattern)
        name, part, bad, notes = path.resolve().name, scan.part, scan.bad, scan.notes
    if whole and part is None:
        return (images, None, images, ()), name, bad, notes
    parts = parted(images, part, images.labels, seed=config.seed, class_names=images.class_names)
    return parts, name, bad, notes


def _enlarged(images: "Images", small: int | None) -> list[str]:
    """Returns a note if the images are at most half as large as the network's input."""
    some = np.linspace(0, len(images) - 1, min(len(images), _LOOKED_AT)).astype(int)
    side, size = int(np.median([max(images.original(i).shape) for i in some])), images.image_size
    if 2 * side > size or (small is not None and small >= size):
        return []
    faster = (
        "a smaller --image-size is faster" if small is None else f"--small ({small} pixels) or --image-size is faster"
    )
    return [f"images of about {side} pixels are enlarged to {size}: {faster}"]


def unlabeled(
    path: str, *, image_size: int, batch_size: int, test: "Images", cache: Path | None = None
) -> tuple["Images", tuple["BadFile", ...], tuple[str, ...]]:
    """Reads the images of a folder with any layout, and leaves out copies of test images.

    Args:
        path: The folder.
        image_size: Height and width of the images in pixels.
        batch_size: Images per batch.
        test: The test images.
        cache: A folder for the results of reading. If None, nothing is cached.

    Returns:
        The images, the bad files, and notes.
    """
    from kvision import data

    scan, images = _scanned(Path(path), image_size, batch_size, cache, labeled=False)
    bad = tuple(dataclasses.replace(file, folder=path) for file in scan.bad)
    leaks = data.leaks(images.pixel_hashes, test.pixel_hashes)
    if not len(leaks):
        return images, bad, ()
    images = images.subset(np.setdiff1d(np.arange(len(images)), leaks))
    return images, bad, (f"{len(leaks)} images without labels equal a test image and are left out",)


def _scanned(
    path: Path, size: int, batch_size: int, cache: Path | None, *, labeled: bool = True, pattern: str | None = None
):
    from kvision import data

    known = pixels = None
    if cache is not None:
        short = hashlib.sha256(os.fsencode(f"{path.resolve()}{'' if labeled else ' unlabeled'}")).hexdigest()[:12]
        known = cache / f"scan-{short}.csv"
        pixels = data.PixelStore(cache / f"pixels-{short}-{size}.bin", size)
    argument = "data" if labeled else "unlabeled"
    scan = data.scan(path, labeled=labeled, pattern=pattern, cache=known, pixels=pixels, argument=argument)
    return scan, data.from_folder(scan, image_size=size, pixels=pixels, batch_size=batch_size)
