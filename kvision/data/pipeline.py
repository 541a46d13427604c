"""Images -> batches for training: which, in what order, read in parallel, watched."""

import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import keras
import numpy as np
from tqdm import tqdm

from kvision import checks
from kvision.data.images import Images
from kvision.training import Source

__all__ = ["Lost", "Pipeline", "pipeline"]


@dataclass(frozen=True)
class Lost:
    """A file that could be read when it was scanned, and not in training."""

    path: str
    reason: str


@dataclass(eq=False)
class Pipeline:
    """What `kv.training.fit` takes; made by `pipeline`. lost: files that could not be read any more, each once."""

    source: Source
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
    pixels (`kv.data.folders(..., pixels=...)`) is read instead of them. drop_remainder: leaves out a last, smaller
    batch. lost_fraction: of the images; so many files may vanish or break while the training runs: each is named on
    standard error, counted in `lost`, and another image of its batch stands in for it. One more raises UserError.
    fields: batches are dictionaries of these instead, as training methods take them (`kv.training.Objective`): "image",
    "index" (B,) int32, an image's place in `images`, "label". Without "label", no label leaves the data.
    batch_size: instead of that of `images`.
    """
    if not 0 <= lost_fraction < 1:
        raise checks.error("lost_fraction", expected="a number from 0 to below 1", received=lost_fraction)
    for name in fields or ():
        checks.one_of("fields", name, ("image", "index", "label"))
    lost: list[Lost] = []
    allowed = int(lost_fraction * len(images))
    guard = threading.Lock()

    def read_one(row: int) -> np.ndarray | None:
        try:
            return images.image(row)
        except checks.UserError as problem:
            with guard:
                path = images.path(row) or str(row)
                if path not in {one.path for one in lost}:
                    lost.append(Lost(path, str(problem)))
                    tqdm.write(f"Lost ({len(lost)} of {allowed} allowed): {problem}", file=sys.stderr)
                if len(lost) > allowed:  # the one too many, whichever of them this is
                    raise checks.UserError(lost[allowed].reason) from problem
            return None

    pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")

    def read(rows: np.ndarray) -> tuple:
        found = list(pool.map(read_one, rows))
        good = [i for i, image in enumerate(found) if image is not None]
        if not good:
            raise checks.error(
                "data",
                problem="has changed: no image of a batch is left",
                expected="files that stay",
                received=lost[-1],
            )
        stand_in = [i if image is not None else good[i % len(good)] for i, image in enumerate(found)]
        rows = rows[stand_in]
        values = {
            "image": lambda: np.stack([found[i] for i in stand_in]),
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
    return Pipeline(Source(read, len(images), rows, spec, seed=seed, drop_remainder=drop_remainder), lost)
