"""Finds the objects in the images of a dataset."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kvision.data import BoxedImages
from kvision.objects import Objects
from kvision.progress import Bar

__all__ = ["detect"]


def detect(
    model: keras.Model, images: BoxedImages, *, boxes: Sequence[np.ndarray] | None = None, progress: bool = True
) -> list[Objects]:
    """Finds the objects in each image.

    Args:
        model: A model of `kv.detection.detector`.
        images: The images. The model gets them in their training size.
        boxes: Proposals `(n, 4)` of each image in its training size, for a model that takes proposals.
        progress: Whether to show a progress bar.

    Returns:
        The objects of each image with their scores, in pixels of the original images.
    """
    found = []
    for i in Bar(range(len(images)), "detect", unit=" images", disable=not progress):
        image = images.example(i)[0][None].astype("float32")
        inputs: Any = image
        if boxes is not None:
            # Convolutions of TensorFlow do not accept zero regions, so an image without proposals gets a box without
            # area, which has the score 0.
            given = boxes[i] if len(boxes[i]) else np.zeros((1, boxes[i].shape[1]), "float32")
            inputs = {"image": image, "boxes": given[None]}
        rows = np.asarray(model.predict_on_batch(inputs))[0]
        rows = rows[rows[:, -1] >= 0]
        size = rows.shape[1] - 2
        factors = np.ones(size, "float32")
        factors[:4] = images.scale(i)
        found.append(Objects(rows[:, :size] / factors, rows[:, -1].astype("int32"), rows[:, -2]))
    return found
