"""Draws the pictures of a run."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

from kvision import atomic, installation

__all__ = ["draw"]


def draw(drawings: Mapping[str, Callable], folder: Path, *, size: tuple[float, float] = (7, 6)) -> list[str]:
    """Draws pictures and saves them in a folder. Without matplotlib, prints which pictures are left out.

    Args:
        drawings: Keys are file names. Values are functions that draw on matplotlib axes.
        folder: The folder for the files.
        size: Width and height in inches.

    Returns:
        The paths of the pictures.
    """
    if importlib.util.find_spec("matplotlib") is None:
        names = ", ".join(drawings)
        print(f"Left out, since matplotlib is not installed ({installation.extra('plots')}): {names}")
        return []
    from matplotlib.figure import Figure

    paths = []
    for name, function in drawings.items():
        figure = Figure(figsize=size, layout="constrained")
        function(figure.subplots())
        with atomic.file(folder / name) as temporary:
            figure.savefig(temporary, dpi=120)
        paths.append(str(folder / name))
    return paths
