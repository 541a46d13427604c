"""What a `.weights.h5` or `.keras` file may hold: numbers, all of them in the file, nothing that leads out of it.

Keras 3.15 refuses links and whatever declares over 4 GiB without storing it. Below that it reads first and compares
shapes after: a file of 60 KB took 12 GB. What Keras writes is contiguous and uncompressed, so that no other is needed.
"""

from pathlib import Path
from typing import Any

import h5py

from kvision import archive

__all__ = ["check"]

_MEMBER = "model.weights.h5"


def check(path: Path) -> None:
    """Raises ValueError (one phrase) or OSError unless Keras can read the file's weights without taking more memory
    than the file is large. Only the structure is read, and nothing of a `.keras` but its weights."""
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
        except SystemError as reason:  # h5py's, for whatever goes wrong inside the visit
            raise ValueError("its structure is damaged") from reason
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
        raise ValueError(f"'{name}' stands in another file")
    # a chunk can be larger than its dataset, and a fill value takes no room: both are memory out of nothing
    if dataset.chunks is not None or dataset.nbytes != dataset.id.get_storage_size() or dataset.nbytes > size:
        raise ValueError(
            f"'{name}' declares {dataset.nbytes:,} bytes, which do not stand in the file ({size:,}) as Keras puts them"
        )
