"""Contracts of methods that only some tasks have.

A task with the method of `Tiled` supports `kvision predict --tile`. A task with the method of `Refinable` supports
`kvision predict --crf`. A task whose TFLite models take more than `image` has the method of `Fillable`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from kvision.export.task import Arrays

__all__ = ["Fillable", "Refinable", "Tiled"]


@runtime_checkable
class Tiled(Protocol):
    """The contract of a task that can also answer for a photograph that was cut into tiles."""

    def merge(self, outputs: Sequence[Arrays], places: np.ndarray, size: tuple[int, int]) -> Arrays:
        """Merges the outputs of overlapping tiles.

        Args:
            outputs: The outputs of each tile, in the form that `Task.decode` takes.
            places: `(tiles, 4)` int: ymin, xmin, ymax and xmax of each tile in the photograph.
            size: Height and width of the photograph in pixels.

        Returns:
            The outputs for the photograph, for `Task.decode`.

        Raises:
            UserError: If the outputs do not belong to this task.
        """
        ...


@runtime_checkable
class Refinable(Protocol):
    """The contract of a task whose outputs can be refined by the colors of the image, with a dense CRF."""

    def refine(self, outputs: Arrays, content: bytes) -> Arrays:
        """Refines the outputs for one image.

        Args:
            outputs: The row of the image in each output, in the form that `Task.decode` takes.
            content: The bytes of the image file.

        Returns:
            The outputs, for `Task.decode`.

        Raises:
            UserError: If the outputs cannot be refined.
            BadImage: If the file cannot be decoded.
        """
        ...


@runtime_checkable
class Fillable(Protocol):
    """The contract of a task whose TFLite models can take more than images, such as neighboring frames."""

    def fill(self, images: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
        """Returns the other inputs for images that stand alone.

        Args:
            images: `(batch, height, width, 3)` RGB in [0, 255].
            shapes: The shapes of all inputs of the model by name.

        Returns:
            The inputs of the model beside `image`, by name.
        """
        ...
