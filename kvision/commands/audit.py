"""Looks for mistakes in labeled images: wrong labels, copies, outliers.

The features of a pre-trained network are computed once and cached. A label is suspicious if a
classifier that has not seen the image is sure of another class (Northcutt et al. 2021, arXiv
1911.00068). An outlier is far from all other images. An image of the test or validation part is
`unlike` if it is far from all training images. OUT gets audit.csv, with the most suspicious images
first, and contact_sheet.png. No file is moved or changed. Look at the images before you remove any:
the list is a list of suspicions.

--apply writes OUT/leave_out.txt: the paths of labels that confident learning counts as wrong, and
of copies across parts.
--unlabeled FOLDER writes OUT/label_next.csv: images of this folder that are worth labeling first.

Run:      kvision audit FOLDER --out audit          one sub-folder per class
          kvision audit FILE.npz --out audit        paths are then the part and the index
          kvision audit FOLDER --out audit --unlabeled MORE --next 50
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kvision import atomic, checks, choices, flags, runs, writable
from kvision.data import parts
from kvision.runs import limits

__all__ = ["main"]

_HEADER = ("path", "label", "suggested", "score", "kind")
_PARTS = (parts.TRAIN, parts.VALIDATION, parts.TEST)  # from an exact copy, the image of the first part is listed
_SHOWN = 24
_BATCH = 32


class _Row(NamedTuple):
    """A line of audit.csv, the place of the image, and whether --apply leaves it out."""

    path: str
    label: str
    suggested: str
    score: float
    kind: str
    index: int
    leave_out: bool


def main(argv: Sequence[str]) -> int:
    """Runs the command.

    Args:
        argv: The command line after `kvision audit`.

    Returns:
        The exit status: 0, or one of `kvision.exit_codes`.
    """
    usage = "%(prog)s FOLDER [flags]"
    parser = flags.Parser(prog="kvision audit", description=__doc__ or "", usage=usage)
    parser.add_argument("data", metavar="FOLDER", help="folder with one sub-folder per class, or .csv or .npz")
    parser.add_argument("--out", metavar="OUT", default="audit", help="folder for the results (default: audit)")
    parser.add_argument("--backbone", metavar="NAME", default="EfficientNetLite0", help="from kv.backbones.available()")
    parser.add_argument("--weights", metavar="NAME", default="imagenet", help="imagenet, none, or a file of weights")
    parser.add_argument("--image-size", type=int, metavar="N", help="in pixels (default: the backbone's own)")
    parser.add_argument("--unlabeled", metavar="FOLDER", help="images without labels, to choose what to label next")
    parser.add_argument("--next", type=int, default=20, metavar="N", help="number of these images (default: 20)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random choices (default: 0)")
    parser.add_argument("--apply", action="store_true", help="write leave_out.txt")
    parser.add_argument("--json", action="store_true", help="print the rows of audit.csv as JSON")
    arguments = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return runs.ended(parser, lambda: _run(arguments), out=arguments.out)


def _run(arguments: argparse.Namespace) -> int:
    out, shown = Path(arguments.out), sys.stderr if arguments.json else sys.stdout
    _check(arguments)
    writable.require(out, argument="--out")
    import keras

    import kvision as kv

    if arguments.weights == "imagenet":
        kv.backbones.require_imagenet(arguments.backbone)
    size = arguments.image_size or kv.backbones.info(arguments.backbone).image_size
    images, part, bad = _read(Path(arguments.data), size, out)
    keras.utils.set_random_seed(arguments.seed)  # of a backbone without pre-trained weights
    weights = None if arguments.weights == "none" else arguments.weights
    backbone = kv.backbones.create(arguments.backbone, weights=weights, image_size=size, pooling="avg")
    features = kv.features.embed(backbone, images, cache=out / "cache")
    rows = sorted(
        [*_copies(images, part), *_suspicions(images, part, features, arguments.seed)], key=lambda r: -r.score
    )
    _write_csv(out / "audit.csv", _HEADER, [row[: len(_HEADER)] for row in rows])
    _draw(out, images, rows)
    counts = {kind: sum(row.kind == kind for row in rows) for kind in ("duplicate", "label", "outlier", "unlike")}
    print(f"{len(images)} images of {len(images.class_names)} classes, {len(bad)} bad files", file=shown)
    for one in bad[:20]:
        print(f"  {one.path}: {one.reason}", file=shown)
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()), file=shown)
    print(f"List:     {out / 'audit.csv'}", file=shown)
    if arguments.unlabeled is not None:
        _choose(arguments, size, backbone, features, images, out)
        print(f"Next:     {out / 'label_next.csv'}", file=shown)
    if arguments.apply:
        left_out = sorted({row.path for row in rows if row.leave_out})
        atomic.write_text(out / "leave_out.txt", "".join(f"{path}\n" for path in left_out))
        print(f"Leave out: {out / 'leave_out.txt'} ({len(left_out)} images)", file=shown)
    if arguments.json:
        print(json.dumps([dict(zip(_HEADER, row, strict=False)) for row in rows], ensure_ascii=True, indent=1))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    checks.positive({"--image-size": arguments.image_size, "--next": arguments.next})
    checks.one_of("--backbone", arguments.backbone, choices.BACKBONES)
    limits.data("data", arguments.data)
    limits.weights("--weights", arguments.weights)
    if arguments.unlabeled is not None:
        limits.folder("--unlabeled", arguments.unlabeled)
    if arguments.image_size is not None and arguments.image_size < choices.BACKBONES[arguments.backbone]:
        expected = f"at least {choices.BACKBONES[arguments.backbone]} (pixels) for {arguments.backbone}"
        raise checks.UserError("--image-size", expected=expected, received=arguments.image_size)


def _read(path: Path, size: int, out: Path) -> tuple[Any, np.ndarray, Sequence]:
    """Returns all images, the name of the part of each image, and the bad files."""
    from kvision import data

    if path.suffix == ".npz":
        found = data.load_npz(path, argument="data")
        pixels, labels = np.concatenate([found.x_train, found.x_test]), np.concatenate([found.y_train, found.y_test])
        images = data.from_arrays(pixels, labels, class_names=found.class_names, image_size=size, batch_size=_BATCH)
        part = np.repeat(["train", "test"], [len(found.x_train), len(found.x_test)])
        places = np.concatenate([np.arange(len(found.x_train)), np.arange(len(found.x_test))])
        images.names = np.array([f"{name}/{place}" for name, place in zip(part, places, strict=True)])
        return images, part, ()
    scan = data.scan(path, cache=out / "cache" / "scan.csv", argument="data")
    images = data.from_folder(scan, image_size=size, batch_size=_BATCH)
    return images, np.full(len(images), "train") if scan.part is None else np.asarray(scan.part), scan.bad


def _copies(images, part: np.ndarray) -> list[_Row]:
    """Returns the images with an exact copy in a later part, or with another label in the same part."""
    rows = []
    place = np.array([_PARTS.index(name) for name in part])
    order = np.argsort(images.pixel_hashes, kind="stable")
    hashes = np.asarray(images.pixel_hashes)[order]
    for group in np.split(order, np.flatnonzero(hashes[1:] != hashes[:-1]) + 1):
        for index in group if len(group) > 1 else ():
            conflicts = (place[group] == place[index]) & (images.labels[group] != images.labels[index])
            if len(others := group[conflicts | (place[group] > place[index])]):
                rows.append(_row(images, index, str(images.names[others[0]]), 1.0, "duplicate", leave_out=True))
    return rows


def _suspicions(images, part: np.ndarray, features: np.ndarray, seed: int) -> list[_Row]:
    import kvision as kv

    found = kv.transfer.check_labels(features, images.labels, seed=seed)
    names = images.class_names
    rows = [
        _row(images, i, names[found.suggested[i]], found.suspicion[i], "label", leave_out=bool(found.likely_wrong[i]))
        for i in np.flatnonzero(found.disagrees)
    ]
    train = np.flatnonzero(part == "train")
    usual = kv.transfer.neighbor_distances(features[train])
    scores = kv.transfer.outliers(usual)
    rows += [_row(images, train[i], "", scores[i], "outlier") for i in np.flatnonzero(scores)]
    if len(rest := np.flatnonzero(part != "train")):
        distances = kv.transfer.neighbor_distances(features[rest], features[train])
        scores = kv.transfer.outliers(distances, usual)
        rows += [_row(images, rest[i], "", scores[i], "unlike") for i in np.flatnonzero(scores)]
    return rows


def _row(images, index: int, suggested: str, score: float, kind: str, *, leave_out: bool = False) -> _Row:
    label = images.class_names[images.labels[index]]
    return _Row(str(images.names[index]), label, suggested, round(float(score), 4), kind, int(index), leave_out)


def _choose(arguments: argparse.Namespace, size: int, backbone, features, images, out: Path) -> None:
    """Writes label_next.csv."""
    import kvision as kv

    cache = out / "cache"
    more = kv.data.from_folder(
        kv.data.scan(arguments.unlabeled, labeled=False, cache=cache / "scan-unlabeled.csv", argument="unlabeled"),
        image_size=size,
        batch_size=_BATCH,
    )
    others = kv.features.embed(backbone, more, cache=cache)
    probabilities = kv.heads.LogisticHead(1e-3).fit(features, images.labels).predict_proba(others)
    chosen = kv.transfer.label_next(probabilities, others, arguments.next)
    best = probabilities.argmax(axis=1)
    rows = [(more.names[i], images.class_names[best[i]], f"{probabilities[i, best[i]]:.4f}") for i in chosen]
    _write_csv(out / "label_next.csv", ("path", "guess", "probability"), rows)


def _draw(out: Path, images, rows: Sequence[_Row]) -> None:
    import kvision as kv

    if rows:
        captions = [f"{row.label}\n{_words(row)}" for row in rows[:_SHOWN]]
        pictures = [images.original(row.index) for row in rows[:_SHOWN]]
        runs.draw({"contact_sheet.png": lambda axes: kv.plots.captioned_images(axes, pictures, captions)}, out)


def _words(row: _Row) -> str:
    return f"{row.suggested}?" if row.kind == "label" else row.kind


def _write_csv(path: Path, header: Sequence[str], rows: Sequence) -> None:
    # A file name that is not UTF-8 is written as its own bytes.
    options = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with atomic.file(path) as temporary, temporary.open("w", **options) as stream:
        csv.writer(stream).writerows([header, *rows])
