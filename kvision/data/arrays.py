"""Data sets that come as arrays."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kvision import checks, class_names, npz

__all__ = ["ArrayData", "digits", "load_npz"]


class ArrayData(NamedTuple):
    """x_*: (N, H, W, 3) or (N, H, W) uint8; y_*: (N,) int32 into class_names."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]


def load_npz(path: str | Path) -> ArrayData:
    """Reads `x_train y_train x_test y_test class_names` out of an `.npz`; UserError naming what is missing or wrong."""
    path = Path(path)

    def wrong(problem: str, expected: str, received: object) -> checks.UserError:
        return checks.error("data", problem=f"'{path.name}' {problem}", expected=expected, received=received)

    try:
        found = npz.read(path, names=ArrayData._fields)
    except npz.BadArrays as reason:
        raise wrong(
            f"cannot be read: {reason}", f"an .npz file with {', '.join(ArrayData._fields)}", str(path)
        ) from reason
    names = [str(name) for name in found["class_names"].ravel()]
    names = class_names.check("data", names, hint=f"Write {path.name} with other class_names")
    for split in ("train", "test"):
        x, y = found[f"x_{split}"], found[f"y_{split}"]
        if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3) or len(x) == 0:
            raise wrong(f"has an unusable x_{split}", "uint8 (N, H, W, 3) or (N, H, W)", f"{x.dtype} {x.shape}")
        if y.size != len(x) or y.dtype.kind not in "iu":
            raise wrong(f"has an unusable y_{split}", f"{len(x)} integers", f"{y.dtype} {y.shape}")
        if y.min() < 0 or y.max() >= len(names):
            raise wrong(
                f"has labels beyond class_names in y_{split}", f"0 to {len(names) - 1}", f"{y.min()} to {y.max()}"
            )
        found[f"y_{split}"] = y.reshape(-1).astype("int32")
    return ArrayData(*(found[name] for name in ArrayData._fields[:-1]), names)


def digits() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """scikit-learn's 1,797 handwritten digits: images (1797, 8, 8) uint8, labels (1797,) int32, names "0" ... "9"."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images * (255 / 16)).round().astype("uint8"), data.target.astype("int32"), tuple("0123456789")
