"""Checks that a `.weights.h5` or `.keras` file contains nothing but numbers that are stored in the file itself.

Keras 3.15 refuses links, and data sets of more than 4 GiB that are declared but not stored. Keras reads smaller data
sets before it compares their shapes, so that a file of 60 KB can take 12 GB of memory. Keras writes data sets
contiguously and without compression, so only such data sets are accepted here.
"""

from pathlib import Path
from typing import Any

import h5py

from kvision import archive

__all__ = ["check"]

_MEMBER = "model.weights.h5"


def check(path: Path) -> None:
    """Checks that the weights need no more memory than the size of the file.

    Only the structure of the file is read. In a `.keras` file, only the weights are checked.

    Args:
        path: The file.

    Raises:
        ValueError: If the file is not safe to read. The message is one phrase. Damaged files can also raise OSError.
    """
    size = path.stat().st_size
    if path.suffix != ".keras":
        _check(path, size)
        return
    with archive.opened(path) as file, file.open(archive.stored_member(file, _MEMBER)) as member:
        _check(member, size)


def _check(source: Any, size: int) -> None:
    links: list[tuple[str, object]] = []
    with h5py.File(source, "r") as file:
        try:
            file.visititems_links(lambda name, link: links.append((name, link)))
        except SystemError as reason:  # h5py raises SystemError for all errors during the visit
            raise ValueError("the structure of the file is damaged") from reason
        for name, link in links:
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"'{name}' is a link to somewhere else")
            found = file[name]
            if isinstance(found, h5py.Dataset):
                _check_dataset(name, found, size)
            elif not isinstance(found, h5py.Group):
                raise ValueError(f"'{name}' holds no numbers")


def _check_dataset(name: str, dataset: h5py.Dataset, size: int) -> None:
    if dataset.shape is None or dataset.dtype.hasobject:
        raise ValueError(f"'{name}' holds no numbers")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"'{name}' is stored in another file")
    # A chunk can be larger than its data set, and a fill value is not stored. Both need memory for numbers that are not
    # in the file.
    if dataset.chunks is not None or dataset.nbytes != dataset.id.get_storage_size() or dataset.nbytes > size:
        raise ValueError(f"'{name}' declares {dataset.nbytes:,} bytes, which are not stored as Keras stores them")
