"""Workers on one machine share its cores instead of each taking all of them."""

import os
from collections.abc import Mapping

__all__ = ["share"]

_NAMES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def share(environment: Mapping[str, str], workers: int) -> dict[str, str]:
    """The thread counts that each of `workers` should get; what `environment` sets already is left out.

    TensorFlow reads its two on first use (seen with 2.21: they set the sizes of its two pools).
    """
    threads = str(max(1, _cores() // workers))
    return {name: threads for name in _NAMES if not environment.get(name)}


def _cores() -> int:
    """That this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
