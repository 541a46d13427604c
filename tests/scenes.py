"""Folders of images and masks as users have them."""

from pathlib import Path

import numpy as np
from PIL import Image

from kvision.pixels.label_colors import palette, to_png

CLASSES = ("dark", "middle", "light")


def scene(size: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rectangles whose gray tells their class."""
    random = np.random.default_rng(seed)
    mask = np.zeros(size, "uint8")
    for label in (1, 2):
        top, left = (int(random.integers(0, side // 2)) for side in size)
        mask[top : top + size[0] // 2, left : left + size[1] // 2] = label
    image = (40 + 80 * mask.astype(int))[..., None] + random.normal(0, 10, (*size, 3))
    return image.clip(0, 255).astype("uint8"), mask


def write(folder: Path, count: int, *, size=(40, 56), first: int = 0, images="images", masks="masks") -> None:
    (folder / images).mkdir(parents=True)
    (folder / masks).mkdir(parents=True)
    for number in range(first, first + count):
        image, mask = scene(size, number)
        Image.fromarray(image).save(folder / images / f"{number:02}.png")
        (folder / masks / f"{number:02}.png").write_bytes(to_png(mask, palette(3)))


def split(root: Path, *, train: int = 8, val: int = 4, size=(40, 56)) -> Path:
    write(root / "train", train, size=size)
    write(root / "val", val, size=size, first=train)
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root
