"""Trains on given proposals: they move with the image, and a few of them are drawn in each step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kvision.data import BoxedImages
from kvision.objects import Objects, countable
from kvision.ops import boxes as plain
from kvision.ops import rotated_boxes

__all__ = ["DrawnProposals", "TrainingImages"]

_POSITIVE = 0.5  # smallest intersection over union of a positive proposal, as in the paper


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images with boxes in the form that `RCNN.training` takes, for `kv.data.batches`.

    Attributes:
        images: The images.
        proposals: Proposals of each image in its training size, which `DrawnProposals` draws from. If None, the network
            has a learned proposer.
        count: Number of proposals of an image in a step.
    """

    images: BoxedImages
    proposals: Sequence[np.ndarray] | None = None
    count: int = 32

    def __len__(self) -> int:
        return len(self.images)

    def path(self, index: int) -> str:
        """Returns the path of the file of an image."""
        return self.images.path(index)

    def example(self, index: int) -> tuple[np.ndarray, Objects]:
        """Returns an image and its objects. Proposals follow the objects and have the label -1."""
        image, objects = self.images.example(index)
        if self.proposals is None:
            return image, objects
        more = self.proposals[index]
        difficult = np.zeros(len(objects.labels), bool) if objects.difficult is None else objects.difficult
        return image, Objects(
            boxes=np.concatenate([objects.boxes, more]),
            labels=np.concatenate([objects.labels, np.full(len(more), -1, "int32")]),
            difficult=np.concatenate([difficult, np.zeros(len(more), bool)]),
        )

    def stack(self, examples: Sequence[tuple[np.ndarray, Objects]]) -> tuple[dict, dict]:
        """Returns the inputs and targets of `RCNN.training`."""
        drawn = [(image, _chosen(objects, objects.labels >= 0)) for image, objects in examples]
        images, objects = self.images.stack(drawn)
        if self.proposals is None:
            return {"image": images}, {"candidates": objects, "regions": objects}
        boxes = np.zeros((len(examples), self.count, objects.shape[-1] - 1), "float32")
        for row, (_, one) in zip(boxes, examples, strict=True):
            given = one.boxes[one.labels < 0][: self.count]
            row[: len(given)] = given
        return {"image": images, "proposals": boxes}, {"regions": objects}

    def spec(self, height: int, width: int) -> tuple[dict, dict]:
        """Returns a batch of this size as `keras.KerasTensor` objects."""
        images, objects = self.images.spec(height, width)
        if self.proposals is None:
            return {"image": images}, {"candidates": objects, "regions": objects}
        boxes = keras.KerasTensor((None, self.count, objects.shape[-1] - 1), "float32")
        return {"image": images, "proposals": boxes}, {"regions": objects}


@dataclass(frozen=True)
class DrawnProposals:
    """Augments an image with its objects and proposals, and draws a few of the proposals.

    Attributes:
        augment: A `kv.augment.JointAugment`.
        count: Number of proposals of an image.
        share: Share of the proposals that overlap an object, if there are enough. The paper draws 32 of 128.
    """

    augment: Any
    count: int = 32
    share: float = 0.25

    @property
    def height(self) -> int:
        """Height of the result in pixels."""
        return self.augment.height

    @property
    def width(self) -> int:
        """Width of the result in pixels."""
        return self.augment.width

    def __call__(self, image: np.ndarray, objects: Objects, random: np.random.Generator) -> tuple[np.ndarray, Objects]:
        image, moved = self.augment(image, countable(objects), random)
        truth, others = np.flatnonzero(moved.labels >= 0), np.flatnonzero(moved.labels < 0)
        if not len(others):
            return image, moved
        overlap = np.zeros(len(others))
        if len(truth):
            iou: Callable = (rotated_boxes if moved.boxes.shape[1] == 5 else plain).iou
            overlap = np.asarray(iou(moved.boxes[others], moved.boxes[truth])).max(1)
        positive = random.permutation(others[overlap >= _POSITIVE])[: round(self.share * self.count)]
        negative = random.permutation(others[overlap < _POSITIVE])[: self.count - len(positive)]
        return image, _chosen(moved, np.concatenate([truth, positive, negative]))


def _chosen(objects: Objects, rows: np.ndarray) -> Objects:
    return Objects(*(None if values is None else values[rows] for values in objects))
