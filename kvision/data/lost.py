"""Files that vanish or break while a training runs: told, counted, and stood in for."""

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
    """A file that could be read when it was scanned, and not in training."""

    path: str
    reason: str


class Tolerant:
    """Reads rows in parallel: (n,) numbers -> a list of n things, and the numbers that were read.

    read: a number -> a thing, or UserError. path: a number -> its file, for people. count, fraction: of the files; up
    to so many may be lost: each is named on standard error and stands in `lost` once, and another row of its batch
    takes its place. One more raises UserError.
    """

    def __init__(self, read: Callable[[int], Any], path: Callable[[int], str], *, count: int, fraction: float):
        if not 0 <= fraction < 1:
            raise checks.error("lost_fraction", expected="a number from 0 to below 1", received=fraction)
        self.lost: list[Lost] = []
        self._read, self._path, self._allowed = read, path, int(fraction * count)
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")

    def __call__(self, rows: np.ndarray) -> tuple[list, np.ndarray]:
        found = list(self._pool.map(self._one, rows))
        good = [i for i, thing in enumerate(found) if thing is not None]
        if not good:
            raise checks.error(
                "data",
                problem="has changed: no image of a batch is left",
                expected="files that stay",
                received=self.lost[-1],
            )
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
                if len(self.lost) > self._allowed:  # the one too many, whichever of them this is
                    raise checks.UserError(self.lost[self._allowed].reason) from problem
            return None
