"""Describes the regions of training images, and learns from them an SVM for each class and the box regression."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kvision import atomic, npz
from kvision.data import BoxedImages
from kvision.detection.rcnn import RCNN
from kvision.heads import BoxRidge, MinedSVM
from kvision.objects import Objects, countable
from kvision.ops import boxes as plain
from kvision.ops import cells, rotated_boxes
from kvision.progress import Bar

__all__ = ["Described", "describe", "learn_boxes", "learn_classes", "propose"]

_NEGATIVE = 0.3  # largest intersection over union, with all objects of a class, of a negative of its SVM
_NEAR = 0.6  # smallest intersection over union of a proposal that the box regression learns from; both as in the paper
_BLOCK = {"roi": 512, "warp": 32}  # boxes that are described at once: warped images need much memory


class Described(Sequence):
    """The described regions of each image, in memory or as files.

    An element is a dictionary: `feature` `(n, features)` of the objects and the proposals, `labels` `(n, classes)` for
    the SVMs, and for the box regression `map` `(m, values)`, `deltas` `(m, 4)` and `classes` `(m,)`.

    Args:
        elements: The elements, or the paths of their files.
    """

    def __init__(self, elements: Sequence[dict[str, np.ndarray] | Path]):
        self._elements = elements

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        element = self._elements[index]
        return npz.read(element, stored=True) if isinstance(element, Path) else element

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return (self[i] for i in range(len(self)))


def propose(networks: RCNN, images: BoxedImages, count: int, *, progress: bool = True) -> list[np.ndarray]:
    """Computes the proposals of the learned proposer for each image.

    Args:
        networks: The trained networks.
        images: The images.
        count: Number of proposals of an image.
        progress: Whether to show a progress bar.

    Returns:
        Boxes `(n, 4)` for each image, in pixels of its training size, the most promising first; `n` is at most `count`.
    """
    model, found = networks.proposals(count), []
    for i in Bar(range(len(images)), "propose", unit=" images", disable=not progress):
        boxes = np.asarray(model.predict_on_batch(images.example(i)[0][None].astype("float32")))[0]
        found.append(boxes[np.asarray(cells.area(boxes)) > 0])
    return found


def describe(
    networks: RCNN,
    images: BoxedImages,
    proposals: Sequence[np.ndarray],
    *,
    folder: Path | None = None,
    progress: bool = True,
) -> Described:
    """Describes the objects and the proposals of each training image.

    Args:
        networks: The trained networks.
        images: The training images.
        proposals: Boxes of each image in its training size.
        folder: A folder for the results, one file for each image. Images whose file exists are not described again. If
            None, the results stay in memory.
        progress: Whether to show a progress bar.

    Returns:
        The described regions.
    """
    elements = []
    for i in Bar(range(len(images)), "describe", unit=" images", disable=not progress):
        path = None if folder is None else folder / f"{i}.npz"
        if path is None or not path.exists():
            image, objects = images.example(i)
            element = _element(networks, image, objects, proposals[i], len(images.class_names))
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic.file(path) as temporary, temporary.open("wb") as stream:
                    np.savez(stream, **element)
                element = path
        else:
            element = path
        elements.append(element)
    return Described(elements)


def _element(networks: RCNN, image: np.ndarray, objects: Objects, proposals: np.ndarray, classes: int) -> dict:
    own, size = countable(objects), proposals.shape[1]
    boxes = np.concatenate([own.boxes, proposals]).astype("float32")
    geometry = rotated_boxes if size == 5 else plain
    overlap = np.zeros((len(boxes), len(objects.labels)), "float32")
    if overlap.size:
        overlap = np.asarray(geometry.iou(boxes, objects.boxes))
    labels = np.zeros((len(boxes), classes), "int8")
    for label in range(classes):
        labels[overlap[:, objects.labels == label].max(1, initial=0) < _NEGATIVE, label] = -1
    labels[np.arange(len(own.labels)), own.labels] = 1
    near, nearest = np.zeros(0, int), np.zeros(0, int)
    if len(own.labels):
        overlap = np.asarray(geometry.iou(boxes, own.boxes))
        near = len(own.labels) + np.flatnonzero(overlap[len(own.labels) :].max(1) > _NEAR)
        nearest = overlap[near].argmax(1)
    block, features, maps = _BLOCK[networks.crop], [], []
    for start in range(0, len(boxes), block):
        rows = slice(start, start + block)
        inputs = {"image": image[None].astype("float32"), "boxes": boxes[None, rows]}
        found = networks.describe.predict_on_batch(inputs)
        features.append(np.asarray(found["feature"])[0])
        wanted = near[(near >= start) & (near < start + block)] - start
        maps.append(np.asarray(found["map"])[0][wanted].astype("float16"))
    width = {name: output.shape[-1] for name, output in networks.describe.output.items()}
    return {
        "feature": np.concatenate([np.zeros((0, width["feature"]), "float32"), *features]),
        "labels": labels,
        "map": np.concatenate([np.zeros((0, width["map"]), "float16"), *maps]),
        "deltas": np.asarray(geometry.encode(own.boxes[nearest], boxes[near]), "float32").reshape(-1, size),
        "classes": own.labels[nearest].astype("int32"),
    }


def learn_classes(described: Described, *, progress: bool = True) -> MinedSVM:
    """Fits an SVM for each class, with hard-negative mining.

    Args:
        described: The described regions of the training images.
        progress: Whether to show a progress bar.

    Returns:
        The SVMs. Their positives are the objects of the class. Their negatives overlap its objects by less than 0.3.
    """

    class Blocks(Sequence):
        def __len__(self):
            return len(described)

        def __getitem__(self, index):
            element = described[index]
            return element["feature"], element["labels"]

    return MinedSVM(verbose=progress).fit(Blocks())


def learn_boxes(described: Described, classes: int) -> BoxRidge:
    """Fits the box regression of each class to the proposals that overlap an object by more than 0.6.

    Args:
        described: The described regions of the training images.
        classes: Number of classes.

    Returns:
        The box regression.
    """
    elements = list(described)
    columns = ("map", "deltas", "classes")
    maps, deltas, labels = (np.concatenate([element[name] for element in elements]) for name in columns)
    return BoxRidge().fit(maps, deltas, labels, classes)
