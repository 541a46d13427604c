"""Images -> batches for training: which, in what order, read in parallel, watched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kvision import checks
from kvision.data.images import Images
from kvision.data.lost import Lost, Tolerant
from kvision.data.masks import MaskedImages

if TYPE_CHECKING:  # whoever scans or converts files waits for no Keras
    from kvision.training import Source

__all__ = ["Pipeline", "mask_pipeline", "pipeline"]


@dataclass(eq=False)
class Pipeline:
    """What `kv.training.fit` takes; made by `pipeline`. lost: files that could not be read any more, each once."""

    source: "Source"
    lost: list[Lost] = field(default_factory=list)


def pipeline(
    images: Images,
    *,
    seed: int | None = None,
    drop_remainder: bool = False,
    lost_fraction: float = 0.01,
    fields: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Pipeline:
    """Batches (images (B, S, S, 3) uint8, labels (B,) int32) of `images.batch_size` (of all replicas together).

    seed: permutes all images anew in each epoch, as follows from seed and epoch alone; None keeps their order. Files
    are decoded in parallel while the model works, each machine decodes only its replicas' part, and a store of decoded
    pixels (`kv.data.from_folder(..., pixels=...)`) is read instead of them. drop_remainder: leaves out a last, smaller
    batch. lost_fraction: of the images; so many files may vanish or break while the training runs: each is named on
    standard error, counted in `lost`, and another image of its batch stands in for it. One more raises UserError.
    fields: batches are dictionaries of these instead, as training methods take them (`kv.training.Objective`): "image",
    "index" (B,) int32, an image's place in `images`, "label". Without "label", no label leaves the data.
    batch_size: instead of that of `images`.
    """
    import keras

    from kvision.training import Source

    for name in fields or ():
        checks.one_of("fields", name, ("image", "index", "label"))
    tolerant = Tolerant(
        images.image, lambda row: images.path(row) or str(row), count=len(images), fraction=lost_fraction
    )

    def read(rows: np.ndarray) -> tuple:
        if images.decoded:
            pixels = images.take(rows)
        else:
            found, rows = tolerant(rows)
            pixels = np.stack(found)
        values = {
            "image": lambda: pixels,
            "index": lambda: rows.astype("int32"),
            "label": lambda: images.labels[rows].astype("int32"),
        }
        if fields is None:
            return values["image"](), values["label"]()
        return ({name: values[name]() for name in fields},)

    size = images.image_size
    kinds = {name: keras.KerasTensor((None,), "int32") for name in ("index", "label")}
    kinds["image"] = keras.KerasTensor((None, size, size, 3), "uint8")
    spec = (kinds["image"], kinds["label"]) if fields is None else ({name: kinds[name] for name in fields},)
    rows = images.batch_size if batch_size is None else batch_size
    return Pipeline(Source(read, len(images), rows, spec, seed=seed, drop_remainder=drop_remainder), tolerant.lost)


def mask_pipeline(
    images: MaskedImages,
    augment: Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]],
    *,
    size: tuple[int, int],
    batch_size: int = 8,
    seed: int = 0,
    drop_remainder: bool = False,
    lost_fraction: float = 0.01,
) -> Pipeline:
    """Batches (images (B, H, W, 3) uint8, labels (B, H, W) int32: 0 ... K - 1, or 255, which does not count).

    augment: (image, labels, random) -> the same of `size`, such as `kv.data.JointAugment`; what it draws follows from
    seed, epoch and image alone, so that a training that goes on sees what it would have seen. seed: of that, and of
    the order, as `pipeline`'s. drop_remainder, lost_fraction: as there.
    """

    import keras

    from kvision.training import Source

    def one(number: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, row = divmod(int(number), len(images))
        # NumPy takes [seed, epoch, 0] for [seed, epoch], the stream of the epoch's order: no row may be 0
        return augment(*images.example(row), np.random.default_rng([seed, epoch, row + 1]))

    tolerant = Tolerant(
        one, lambda number: images.path(number % len(images)), count=len(images), fraction=lost_fraction
    )

    def read(rows: np.ndarray) -> tuple:
        found, _ = tolerant(rows)
        pictures, labels = zip(*found, strict=True)
        return np.stack(pictures), np.stack(labels).astype("int32")

    spec = (keras.KerasTensor((None, *size, 3), "uint8"), keras.KerasTensor((None, *size), "int32"))
    source = Source(read, len(images), batch_size, spec, seed=seed, drop_remainder=drop_remainder, fresh=True)
    return Pipeline(source, tolerant.lost)
