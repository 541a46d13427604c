"""Features that are averaged over changed copies of each image."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from kvision import checks
from kvision.features.embed import embed
from kvision.progress import Bar

__all__ = ["averaged"]


def averaged(
    model: keras.Model,
    images: np.ndarray | Iterable,
    augment: Callable[..., Any],
    *,
    views: int = 8,
    seed: int = 0,
    engine: str = "auto",
    progress: bool = True,
) -> np.ndarray:
    """Computes the mean of the features of each image and of randomly changed copies of it.

    With few images of each class, the mean says more about the class than the features of a single image.

    Args:
        model: As for `embed`.
        images: An array of images, or an iterable of batches that can be iterated several times; see `embed`.
        augment: A layer of `kv.augment`, such as `kv.augment.RandomResizedCrop(size, area=(0.5, 1.0))`. It is called as
            `augment(images, key)`.
        views: Number of copies with the unchanged image, which is the first of them. 1 gives the result of `embed`.
        seed: Seed of the changes. The same seed gives the same features.
        engine: As for `embed`.
        progress: Shows a progress bar on standard error.

    Returns:
        Features `(n, features)`, float32.

    Raises:
        UserError: If `views` is below 1, or as for `embed`.

    Example:
        >>> backbone = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()])
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype="uint8")
        >>> crop = kv.augment.RandomResizedCrop(8, area=(0.5, 1.0))
        >>> kv.features.averaged(backbone, images, crop, views=3, progress=False).shape
        (4, 3)
    """
    checks.positive({"views": views})

    def changed(view: int) -> Iterator[Any]:
        batches = (images[i : i + 32] for i in range(0, len(images), 32)) if isinstance(images, np.ndarray) else images
        for number, batch in enumerate(batches):
            pixels = np.asarray(batch[0] if isinstance(batch, tuple | list) else batch)
            # a key for each view and each batch
            yield keras.ops.convert_to_numpy(augment(pixels, np.array([seed * 65_537 + view, number])))

    total = None
    for view in Bar(range(views), "views", disable=not progress):
        found = embed(model, changed(view) if view else images, engine=engine, progress=False)
        total = found if total is None else total + found
    assert total is not None
    return total / np.float32(views)
