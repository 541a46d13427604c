"""Handles files that are deleted or damaged while a training runs: they are reported, counted and replaced."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from kvision import checks

__all__ = ["Lost", "Tolerant"]


@dataclass(frozen=True)
class Lost:
    """A file that could be read during the scan, but not during training.

    Attributes:
        path: The file.
        reason: The reason why the file cannot be read.
    """

    path: str
    reason: str


class Tolerant:
    """Reads the rows of a batch in parallel, and replaces unreadable rows by readable rows of the same batch.

    Each lost file is reported once on standard error, and listed once in `lost`.

    Args:
        read: A function of a row number that returns the row, or raises UserError.
        path: A function of a row number that returns the path of the file.
        count: Number of files.
        lost_fraction: Share of the files, in [0, 1), that may be lost. If more files are lost, UserError is raised.
    """

    def __init__(self, read: Callable[[int], Any], path: Callable[[int], str], *, count: int, lost_fraction: float):
        if not 0 <= lost_fraction < 1:
            raise checks.UserError("lost_fraction", expected="a number from 0 to below 1", received=lost_fraction)
        self.lost: list[Lost] = []
        self._read, self._path, self._allowed = read, path, int(lost_fraction * count)
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")

    def __call__(self, rows: np.ndarray) -> tuple[list, np.ndarray]:
        found = list(self._pool.map(self._one, rows))
        good = [i for i, thing in enumerate(found) if thing is not None]
        if not good:
            raise checks.UserError(f"The files have changed, and no image of a batch is left: {self.lost[-1].reason}")
        stand_in = [i if thing is not None else good[i % len(good)] for i, thing in enumerate(found)]
        return [found[i] for i in stand_in], rows[stand_in]

    def _one(self, row: int) -> Any:
        try:
            return self._read(row)
        except checks.UserError as problem:
            with self._guard:
                path = self._path(row)
                if path not in {one.path for one in self.lost}:
                    self.lost.append(Lost(path, str(problem)))
                    tqdm.write(f"Lost ({len(self.lost)} of {self._allowed} allowed): {problem}", file=sys.stderr)
                if len(self.lost) > self._allowed:  # several threads may have added files after the limit was reached
                    raise checks.UserError(self.lost[self._allowed].reason) from problem
            return None
