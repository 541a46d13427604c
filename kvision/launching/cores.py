"""Divides the cores of a machine among its workers."""

import os
from collections.abc import Mapping

__all__ = ["share"]

_NAMES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def share(environment: Mapping[str, str], workers: int) -> dict[str, str]:
    """Returns environment variables that give each worker its share of the cores.

    TensorFlow reads its two variables when it is first used, and sets the sizes of its two thread pools from them.

    Args:
        environment: The current environment variables. Variables that are already set are left out of the result.
        workers: Number of workers on this machine.
    """
    # Linux and containers may allow fewer cores than the machine has.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {name: str(max(1, cores // workers)) for name in _NAMES if not environment.get(name)}
