"""The data of a recipe: images with labels, split into parts, and images without labels."""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.data.parts import TEST, TRAIN
from kvision.runs import limits
from kvision.runs.parts import parted, without_copies
from kvision.runs.result import Split

if TYPE_CHECKING:
    from kvision.data import BadFile, Images

__all__ = ["labeled", "unlabeled"]

_LOOKED_AT = 16  # images whose sizes stand for all


def labeled(
    path: str | Path | None,
    *,
    image_size: int,
    batch_size: int,
    seed: int,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
    small: int | None = None,
    pattern: str | None = None,
    cache: Path | None = None,
) -> Split:
    """Reads the images (`kv.data.Images`) of one source, and splits them without copies in several parts.

    Args:
        path: A folder with one sub-folder per class, or with `train`, `test` and perhaps `val`; a CSV or .npz file.
            `None` takes scikit-learn's digits.
        image_size: Size of the images in pixels.
        batch_size: Images in a batch.
        seed: Seed of the split, where the data has none, and of `train_per_class` and `test_per_class`.
        train_per_class: Number of training images of each class. `None` takes all.
        test_per_class: Number of test images of each class. `None` takes all.
        small: Size in pixels that the command's flag `--small` takes, for a note where images are enlarged. `None`
            if the command has no such flag.
        pattern: Finds the class in the names of files, see `kv.data.scan`.
        cache: A folder for what was scanned. If None, nothing is kept.
    """
    from kvision import data

    if train_per_class is not None:
        limits.two_per_class("--train-per-class", train_per_class)
    checks.positive({"--test-per-class": test_per_class})
    source = _source(path, pattern, image_size, batch_size, cache)
    train, validation, test, copies = _parted(source, seed)
    notes = [*source.notes, *([] if path is None else _enlarged(test, small)), *copies]
    train = train.subset(data.sample(train.labels, train_per_class, seed=seed))
    test = test.subset(data.sample(test.labels, test_per_class, seed=seed))
    everyone = [images for images in (train, validation, test) if images is not None]
    parts = [[images.fingerprint, images.labels.tolist(), images.class_names] for images in everyone]
    counts = [f"{len(train)} training", *([] if validation is None else [f"{len(validation)} validation"])]
    return Split(
        train=train,
        test=test,
        validation=validation,
        class_names=train.class_names,
        bad_images=source.bad,
        name=f"{source.name}: {', '.join(counts)}, {len(test)} test images of {len(train.class_names)} classes",
        fingerprint=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Source:
    """Where images come from: all of them with their parts, or the training images and the test images."""

    images: "Images"
    name: str
    test: "Images | None" = None
    part: np.ndarray | None = None
    bad: tuple["BadFile", ...] = ()
    notes: tuple[str, ...] = ()


def _parted(source: _Source, seed: int) -> "tuple[Images, Images | None, Images, list[str]]":
    images = source.images
    if source.test is not None:
        return without_copies({TRAIN: images, TEST: source.test})
    return parted(images, source.part, images.labels, seed=seed, class_names=images.class_names)


def _enlarged(images: "Images", small: int | None) -> list[str]:
    """A note where images have less than half of the size at which the network sees them."""
    some = np.linspace(0, len(images) - 1, min(len(images), _LOOKED_AT)).astype(int)
    side, size = int(np.median([max(images.original(i).shape) for i in some])), images.image_size
    if 2 * side > size or (small is not None and small >= size):
        return []
    faster = (
        "a smaller --image-size is faster" if small is None else f"--small ({small} pixels) or --image-size is faster"
    )
    return [f"images of about {side} pixels are enlarged to {size}: {faster}"]


def _source(path: str | Path | None, pattern: str | None, size: int, batch_size: int, cache: Path | None) -> _Source:
    from kvision import data

    options = {"image_size": size, "batch_size": batch_size}
    if pattern is not None and (path is None or not Path(path).is_dir()):
        expected = "--data with a folder of images, whose names hold their classes"
        raise checks.error("--pattern", expected=expected, received=f"--data {path}" if path else "no --data")
    if path is None:
        x, y, names = data.digits()
        return _Source(data.from_arrays(x, y, class_names=names, **options), "scikit-learn digits")
    path = Path(path)
    if path.suffix == ".npz":
        found = data.load_npz(path)
        train = data.from_arrays(found.x_train, found.y_train, class_names=found.class_names, **options)
        test = data.from_arrays(found.x_test, found.y_test, class_names=found.class_names, **options)
        return _Source(train, path.name, test)
    scan, images = _scanned(path, size, batch_size, cache, pattern=pattern)
    return _Source(images, path.resolve().name, None, scan.part, scan.bad, scan.notes)


def unlabeled(
    path: str | Path, *, image_size: int, batch_size: int, held_out: "Images", cache: Path | None = None
) -> tuple["Images", tuple["BadFile", ...], tuple[str, ...]]:
    """Returns the images of a folder of any layout without copies of test images, the bad files, and notes."""
    from kvision import data

    scan, images = _scanned(Path(path), image_size, batch_size, cache, labeled=False)
    bad = tuple(dataclasses.replace(file, folder=str(path)) for file in scan.bad)
    leaks = data.leaks(images.pixel_hashes, held_out.pixel_hashes)
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
    scan = data.scan(path, labeled=labeled, pattern=pattern, cache=known, pixels=pixels)
    return scan, data.from_folder(scan, image_size=size, pixels=pixels, batch_size=batch_size)
