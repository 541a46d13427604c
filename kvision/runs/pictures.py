"""The pictures of a run."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

from kvision import atomic, installation

__all__ = ["draw"]


def draw(drawings: Mapping[str, Callable], folder: Path, *, size: tuple[float, float] = (7, 6)) -> list[str]:
    """Draws each picture into the folder and returns their paths.

    Without matplotlib it draws nothing and names what is left out.

    Args:
        drawings: By file name, a function that draws on matplotlib axes.
        folder: Where the files go.
        size: Width and height in inches.
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
