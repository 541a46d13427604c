"""Puts predicted colors on a picture of a larger size, whose brightness is kept."""

import numpy as np
from PIL import Image

from kvision import luma_chroma, sepia

__all__ = ["rejoined"]


def rejoined(colored: np.ndarray, image: np.ndarray, standard: str = "bt601") -> np.ndarray:
    """Returns a picture with the luma of `image` and the chroma of `colored`.

    Args:
        colored: `(h, w, 3)` RGB in [0, 255]: a colored picture, which may be smaller than `image`.
        image: `(height, width, 3)` uint8: the picture before it was colored.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        `(height, width, 3)` uint8. If both have the same size, this is `colored`, rounded.
    """
    height, width = image.shape[:2]
    if colored.shape[:2] != (height, width):
        chroma = luma_chroma.luma_chroma(np.asarray(colored, "float32"), standard)[..., 1:]
        planes = [Image.fromarray(np.ascontiguousarray(chroma[..., i])) for i in range(2)]
        large = [np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes]
        gray = sepia.gray(image[None], standard)[0]
        colored = luma_chroma.rgb(gray, np.stack(large, -1), standard)
    return np.clip(np.round(colored), 0, 255).astype("uint8")
