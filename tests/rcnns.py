"""Small networks of R-CNN, and images with bright rectangles."""

import functools

import keras
import numpy as np
from small_backbone import small

import kvision as kv
from kvision.objects import Objects

CLASSES = ("dark", "bright")


@functools.cache
def networks(crop: str = "roi", *, learned: bool = True, rotated: bool = False) -> kv.detection.RCNN:
    """Networks on a backbone with the strides 2 to 32. They are shared: no test may train them."""
    return fresh(crop, learned=learned, rotated=rotated)


def fresh(crop: str = "roi", **options) -> kv.detection.RCNN:
    keras.utils.set_random_seed(0)
    return kv.detection.rcnn(small(), len(CLASSES), crop=crop, width=8, features=8, crop_size=32, **options)


class Drawn:
    """Images in memory with the methods of `kv.data.BoxedImages` that detection uses."""

    class_names, longest_side, rotated = CLASSES, None, False

    def __init__(self, images: list[np.ndarray], objects: list[Objects], most: int = 3):
        self.images, self.objects, self.most = images, objects, most

    def __len__(self) -> int:
        return len(self.images)

    def path(self, index: int) -> str:
        return f"{index}.png"

    def scale(self, index: int) -> float:
        return 1.0

    def example(self, index: int) -> tuple[np.ndarray, Objects]:
        return self.images[index], self.objects[index]

    stack, spec = kv.data.BoxedImages.stack, kv.data.BoxedImages.spec


def drawn(*images: list[tuple], size: tuple[int, int] = (64, 80), difficult: bool = False) -> Drawn:
    """One image for each list of objects (ymin, xmin, ymax, xmax, label). If `difficult`, the last object is."""
    pixels, objects = [], []
    for rows in images:
        image = np.random.default_rng(len(pixels)).integers(0, 20, (*size, 3), "uint8")
        for top, left, bottom, right, label in rows:
            image[top:bottom, left:right] = 120 + 100 * label
        values = np.reshape(np.array(rows, "float32"), (-1, 5))
        hard = np.arange(len(rows)) == (len(rows) - 1 if difficult else -1)
        pixels.append(image)
        objects.append(Objects(values[:, :4], values[:, 4].astype("int32"), difficult=hard))
    return Drawn(pixels, objects)


def noise(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (*size, 3)).astype("float32")
