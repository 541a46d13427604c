"""Images with one object each, in the form that the training of `locator` takes."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kvision import checks
from kvision.data import BoxedImages
from kvision.objects import Objects, countable, rows
from kvision.pixels import pillow

__all__ = ["KeptObject", "SingleObjects", "largest_objects"]


def largest_objects(images: BoxedImages) -> BoxedImages:
    """Keeps the largest object of each image that is not difficult, and leaves out images without such an object.

    Args:
        images: Images with axis-aligned boxes.

    Returns:
        The images with one object each, and with notes about what was left out.

    Raises:
        UserError: If the boxes are rotated, or if no image has an object.
    """
    if images.rotated:
        raise checks.UserError("images", problem="have rotated boxes", expected="axis-aligned boxes", received="DOTA")
    found = [countable(one) for one in images.objects]
    kept = [i for i, one in enumerate(found) if len(one.labels)]
    if not kept:
        raise checks.UserError("images", problem="have no object", expected="images with objects", received=len(images))
    several = sum(len(one.labels) > 1 for one in found)
    notes = list(images.notes)
    if several:
        notes.append(f"{several} images have several objects; only the largest one is used")
    if len(kept) < len(found):
        notes.append(f"{len(found) - len(kept)} images without an object are left out")
    largest = []
    for i in kept:
        sides = found[i].boxes[:, 2:] - found[i].boxes[:, :2]
        best = [int(np.argmax(sides.prod(1)))]
        largest.append(Objects(found[i].boxes[best], found[i].labels[best]))
    return dataclasses.replace(images.subset(kept), objects=tuple(largest), notes=tuple(notes))


@dataclass(frozen=True, eq=False)
class SingleObjects:
    """Images with one object each, for `kv.data.batches` and the training of `kv.detection.locator`.

    Images are resized to a square before they are augmented, as the exported model does it. The aspect ratio is not
    kept.

    Attributes:
        images: The images; see `largest_objects`.
        image_size: Height and width in pixels.
    """

    images: BoxedImages
    image_size: int

    def __len__(self) -> int:
        return len(self.images)

    def path(self, index: int) -> str:
        """Returns the path of the file of an image."""
        return self.images.path(index)

    def example(self, index: int) -> tuple[np.ndarray, Objects]:
        """Returns an image `(image_size, image_size, 3)` uint8 and its object in pixels of that image."""
        height, width = self.images.sizes[index]
        factors = np.array([self.image_size / height, self.image_size / width] * 2, "float32")
        objects = self.images.objects[index]
        image = pillow.resize(self.images.original(index), self.image_size)
        return image, objects._replace(boxes=objects.boxes * factors)

    def stack(self, examples: Sequence[tuple[np.ndarray, Objects]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Returns images, and the targets `class` `(n,)` int32 and `box` `(n, 5)`, the box and the label."""
        images, objects = zip(*examples, strict=True)
        found = rows(objects, 1)[:, 0]
        return np.stack(images), {"class": found[:, 4].astype("int32"), "box": found}

    def spec(self, height: int, width: int) -> tuple[keras.KerasTensor, dict[str, keras.KerasTensor]]:
        """Returns a batch of this size as `keras.KerasTensor` objects."""
        targets = {"class": keras.KerasTensor((None,), "int32"), "box": keras.KerasTensor((None, 5), "float32")}
        return keras.KerasTensor((None, height, width, 3), "uint8"), targets


@dataclass(frozen=True)
class KeptObject:
    """Augments an image so that its object stays visible.

    The augmentation is drawn again if the object is no longer visible. If several draws fail, the image stays as it is.

    Attributes:
        augment: A `kv.augment.JointAugment`. Its `visible` says how much of the object must be visible. Images have the
            size of its result already.
        draws: Largest number of draws.
    """

    augment: Any
    draws: int = 10

    @property
    def height(self) -> int:
        """Height of the result in pixels."""
        return self.augment.height

    @property
    def width(self) -> int:
        """Width of the result in pixels."""
        return self.augment.width

    def __call__(self, image: np.ndarray, objects: Objects, random: np.random.Generator) -> tuple[np.ndarray, Objects]:
        for _ in range(self.draws):
            found, moved = self.augment(image, objects, random)
            if len(moved.labels):
                return found, moved
        return image, objects
