"""Writes rendered images with objects into a folder, once."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from kvision import atomic
from kvision.data.boxed_images import LAYOUTS, BoxedImages
from kvision.objects import Objects

__all__ = ["finished", "write"]


def finished(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns a picture `(h, w, 3)` with a little blur and noise, uint8."""
    sharp = Image.fromarray(picture.clip(0, 255).astype("uint8"))
    soft = np.asarray(sharp.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.8))))
    return (soft + random.normal(0, 5, picture.shape)).round().clip(0, 255).astype("uint8")


def write(
    folder: Path, layout: str, class_names: tuple[str, ...], scenes: Iterable[tuple[str, np.ndarray, Objects]]
) -> None:
    """Writes images for `kv.data.from_boxes`. The folder appears when all images are written.

    Args:
        folder: The new folder.
        layout: One of the layouts of `kv.data.write_boxes`.
        class_names: The classes, in the order of their labels.
        scenes: For each image: "train" or "val", the image `(h, w, 3)` uint8, and its objects.
    """
    with tempfile.TemporaryDirectory() as pictures, atomic.folder(folder) as temporary:
        names, parts, objects, sizes = [], [], [], []
        for part, picture, found in scenes:
            names.append(f"{part}_{parts.count(part):05d}.png")
            parts.append(part)
            objects.append(found._replace(difficult=np.zeros(len(found.labels), bool)))
            sizes.append(picture.shape[:2])
            Image.fromarray(picture).save(Path(pictures) / names[-1])
        dataset = BoxedImages(
            folder=Path(pictures),
            class_names=class_names,
            names=tuple(names),
            objects=tuple(objects),
            pixel_hashes=(),
            file_hashes=(),
            sizes=tuple(sizes),
            part=np.array(parts),
            rotated=layout == "dota",
        )
        LAYOUTS[layout].write(dataset, temporary)
