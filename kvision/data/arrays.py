"""Datasets in the form of arrays."""

from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from kvision import checks, class_names, npz

__all__ = ["ArrayData", "digits", "load_npz"]


class ArrayData(NamedTuple):
    """Images and labels for training and test.

    Attributes:
        x_train: Training images `(n, height, width, 3)` or, in grayscale, `(n, height, width)`, uint8.
        y_train: Training labels `(n,)` int32 into `class_names`.
        x_test: Test images, in the form of `x_train`.
        y_test: Test labels, in the form of `y_train`.
        class_names: Names of the classes.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]


def load_npz(path: str | Path, *, argument: str = "path") -> ArrayData:
    """Reads images and labels from an `.npz` file, which may come from an untrusted source.

    Args:
        path: A file with the arrays `x_train`, `y_train`, `x_test`, `y_test` and `class_names`; see `ArrayData`.
        argument: Name of the argument with the file, for errors.

    Returns:
        The arrays.

    Raises:
        UserError: If the file cannot be read, or if an array is missing or unusable. The message contains the name of
            the array.
    """
    path = Path(path)

    def refuse(problem: str, expected: str, received: object) -> NoReturn:
        raise checks.UserError(argument, problem=f"'{path.name}' {problem}", expected=expected, received=received)

    try:
        found = npz.read(path, names=ArrayData._fields)
    except npz.BadArrays as reason:
        refuse(f"cannot be read: {reason}", f"an .npz file with {', '.join(ArrayData._fields)}", str(path))
    names = [str(name) for name in found["class_names"].ravel()]
    names = class_names.check(argument, names, hint=f"Write {path.name} with other class_names")
    for split in ("train", "test"):
        x, y = found[f"x_{split}"], found[f"y_{split}"]
        if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3) or len(x) == 0:
            refuse(f"has an unusable x_{split}", "uint8 (N, H, W, 3) or (N, H, W)", f"{x.dtype} {x.shape}")
        if y.size != len(x) or y.dtype.kind not in "iu":
            refuse(f"has an unusable y_{split}", f"{len(x)} integers", f"{y.dtype} {y.shape}")
        if y.min() < 0 or y.max() >= len(names):
            received = f"{y.min()} to {y.max()}"
            refuse(f"has labels beyond class_names in y_{split}", f"0 to {len(names) - 1}", received)
        found[f"y_{split}"] = y.reshape(-1).astype("int32")
    return ArrayData(*(found[name] for name in ArrayData._fields[:-1]), names)


def digits() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns scikit-learn's handwritten digits. They need no download.

    Returns:
        Images `(1797, 8, 8)` uint8, labels `(1797,)` int32, and the class names "0" to "9".

    Example:
        >>> images, labels, names = kv.data.digits()
        >>> images.shape, labels[:3]
        ((1797, 8, 8), array([0, 1, 2], dtype=int32))
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images * (255 / 16)).round().astype("uint8"), data.target.astype("int32"), tuple("0123456789")
