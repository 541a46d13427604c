"""Creates images with masks from scikit-learn's handwritten digits, to try segmentation without a dataset."""

from pathlib import Path

import numpy as np
from PIL import Image

from kvision import atomic
from kvision.data.arrays import digits
from kvision.pixels.label_colors import palette, to_png

__all__ = ["digit_scenes"]

# Side of a scene in pixels; range of the side of a digit in pixels; range of the number of digits per scene.
_SIDE, _SIZES, _COUNT = 128, (24, 56), (3, 7)
_INK = 64  # of 255; pixels of a digit with a lower value are background


def digit_scenes(folder: str | Path, *, train: int = 200, val: int = 50, seed: int = 0) -> Path:
    """Writes a folder of scenes for `kv.data.from_masks`. An existing folder is not changed.

    A scene has 128 x 128 pixels. It shows handwritten digits in random colors, places and sizes on a textured ground.
    Labels are 0 to 9 for digits and 10 for the ground. `classes.txt` contains the class names. `train` and `val` use
    different digit images.

    Args:
        folder: The folder to write.
        train: Number of scenes in `train`.
        val: Number of scenes in `val`.
        seed: Seed of the scenes.

    Returns:
        The folder, as a Path.
    """
    folder = Path(folder)
    if folder.is_dir():
        return folder
    images, labels, names = digits()
    random = np.random.default_rng(seed)
    order = random.permutation(len(images))
    parts = {"train": (train, order[: len(order) * 3 // 4]), "val": (val, order[len(order) * 3 // 4 :])}
    with atomic.folder(folder) as temporary:
        (temporary / "classes.txt").write_text("\n".join([*names, "ground"]) + "\n", encoding="utf-8")
        for split, (count, chosen) in parts.items():
            for kind in ("images", "masks"):
                (temporary / split / kind).mkdir(parents=True)
            for number in range(count):
                picture, mask = _scene(images, labels, chosen, random)
                Image.fromarray(picture).save(temporary / split / "images" / f"{number:04d}.png")
                (temporary / split / "masks" / f"{number:04d}.png").write_bytes(to_png(mask, palette(11)))
    return folder


def _scene(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray, random: np.random.Generator):
    coarse = random.integers(60, 196, (6, 6, 3)).astype("uint8")
    picture = np.asarray(Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)).astype("float32")
    picture += random.normal(0, 8, picture.shape)
    mask = np.full((_SIDE, _SIDE), 10, "uint8")
    for which in random.choice(chosen, random.integers(*_COUNT)):
        side = int(random.integers(*_SIZES))
        ink = np.asarray(Image.fromarray(images[which]).resize((side, side), Image.Resampling.BICUBIC)).astype(
            "float32"
        )
        top, left = random.integers(0, _SIDE - side, 2)
        place = (slice(top, top + side), slice(left, left + side))
        color = random.choice([random.integers(0, 60, 3), random.integers(200, 256, 3)])
        picture[place] += (ink[..., None] / 255) * (color - picture[place])
        mask[place][ink > _INK] = labels[which]
    return picture.clip(0, 255).astype("uint8"), mask
