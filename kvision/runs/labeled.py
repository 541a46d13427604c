"""The data of a recipe: images with labels, split into what trains and what is held out; images without labels."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.runs import limits
from kvision.runs.result import Data

if TYPE_CHECKING:
    from kvision.data import BadFile, Images

__all__ = ["labeled", "unlabeled"]

_HELD_OUT_FRACTION = 0.2  # where the data itself names no held-out images
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
    cache: Path | None = None,
) -> Data:
    """Reads the training and held-out images (`kv.data.Images`) of one source, without those that are in both.

    Args:
        path: A folder with one sub-folder per class, or with `train` and `test`; an .npz file; `None` takes
            scikit-learn's digits.
        image_size: Size of the images in pixels.
        batch_size: Images in a batch.
        seed: Seed of the split, where the data has none, and of `train_per_class` and `test_per_class`.
        train_per_class: Number of training images of each class. `None` takes all.
        test_per_class: Number of held-out images of each class. `None` takes all.
        small: Size in pixels that the command's flag `--small` takes, for a note where images are enlarged. `None`
            if the command has no such flag.
        cache: A folder for what was scanned. If None, nothing is kept.
    """
    from kvision import data

    if train_per_class is not None:
        limits.two_per_class("--train-per-class", train_per_class)
    checks.positive({"--test-per-class": test_per_class})
    images, held_out, name, bad, found = _source(path, image_size, batch_size, cache)
    notes = [*found, *([] if path is None else _enlarged(images, small))]
    if isinstance(held_out, data.Images):
        train, val = images, held_out
        leaks = data.leaks(train.digests, val.digests)
        if len(leaks):
            notes.append(f"{len(leaks)} training images equal a held-out one and are left out of training")
            train = train.subset(np.setdiff1d(np.arange(len(train)), leaks))
    else:
        rest, part = data.split(
            images.labels,
            images.digests,
            fraction=_HELD_OUT_FRACTION,
            seed=seed,
            class_names=images.class_names,
            least=2,  # the recipes choose on one of them what they fit on the other
        )
        train, val = images.subset(rest), images.subset(part)
    train = train.subset(data.sample(train.labels, train_per_class, seed=seed))
    val = val.subset(data.sample(val.labels, test_per_class, seed=seed))
    parts = [[images.fingerprint, images.labels.tolist(), images.class_names] for images in (train, val)]
    return Data(
        train=train,
        val=val,
        class_names=train.class_names,
        bad_images=bad,
        name=f"{name}: {len(train)} training, {len(val)} held-out images of {len(train.class_names)} classes",
        fingerprint=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        notes=tuple(notes),
    )


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


def _source(path: str | Path | None, size: int, batch_size: int, cache: Path | None):
    """Returns all images, the held-out ones if the data names them, a name, the bad files, and notes."""
    from kvision import data

    options = {"image_size": size, "batch_size": batch_size}
    if path is None:
        x, y, names = data.digits()
        return data.arrays(x, y, class_names=names, **options), None, "scikit-learn digits", (), ()
    path = Path(path)
    if path.suffix == ".npz":
        found = data.load_npz(path)
        train = data.arrays(found.x_train, found.y_train, class_names=found.class_names, **options)
        val = data.arrays(found.x_test, found.y_test, class_names=found.class_names, **options)
        return train, val, path.name, (), ()
    scan, images = _scanned(path, size, batch_size, cache)
    if scan.held_out is None:
        return images, None, path.resolve().name, scan.bad, scan.notes
    train, val = images.subset(np.flatnonzero(~scan.held_out)), images.subset(np.flatnonzero(scan.held_out))
    return train, val, path.resolve().name, scan.bad, scan.notes


def unlabeled(
    path: str | Path, *, image_size: int, batch_size: int, held_out: "Images", cache: Path | None = None
) -> tuple["Images", tuple["BadFile", ...], tuple[str, ...]]:
    """-> the images of a folder of any layout, the bad files, and notes; without copies of those that are held out."""
    from kvision import data

    scan, images = _scanned(Path(path), image_size, batch_size, cache, labeled=False)
    bad = tuple(dataclasses.replace(file, folder=str(path)) for file in scan.bad)
    leaks = data.leaks(images.digests, held_out.digests)
    if not len(leaks):
        return images, bad, ()
    images = images.subset(np.setdiff1d(np.arange(len(images)), leaks))
    return images, bad, (f"{len(leaks)} images without labels equal a held-out one and are left out of training",)


def _scanned(path: Path, size: int, batch_size: int, cache: Path | None, *, labeled: bool = True):
    from kvision import data

    known = pixels = None
    if cache is not None:
        short = hashlib.sha256(os.fsencode(f"{path.resolve()}{'' if labeled else ' unlabeled'}")).hexdigest()[:12]
        known = cache / f"scan-{short}.csv"
        pixels = data.PixelStore(cache / f"pixels-{short}-{size}.bin", size)
    scan = data.scan(path, labeled=labeled, cache=known, pixels=pixels)
    return scan, data.folders(scan, image_size=size, pixels=pixels, batch_size=batch_size)
