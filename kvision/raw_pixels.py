"""Pixels at a model's door: raw values in [0, 255], without NaN and infinity."""

import math

import numpy as np

from kvision import checks

__all__ = ["RawPixels"]


class RawPixels:
    """Looks at the images of one pass, batch by batch, and refuses what a model would answer with nonsense.

    An image with NaN or infinity is refused in any batch. Images that look scaled to [0, 1] or [-1, 1] are refused by
    the first batch that is not black: a later batch of dark images may well hold no value above 1. Integers below 256,
    as uint8, cost nothing.

    Args:
        argument: The name of the images as the caller wrote it.
    """

    def __init__(self, argument: str = "images"):
        self.argument, self.failure = argument, None
        self._count, self._settled = 0, False

    def __call__(self, batch: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Looks at a batch of images.

        Args:
            batch: Images with their number on the first axis.
            rows: Number of each image in the data. Defaults to counting on from the batches before.

        Raises:
            kvision.UserError: If the batch is refused. The message names the first such image. `failure` keeps it.
        """
        if batch.dtype == np.uint8 or not batch.size:
            self._count += len(batch)
            return
        try:
            self._look(batch, rows)
        except checks.UserError as failure:
            self.failure = failure
            raise
        self._count += len(batch)

    def _look(self, batch: np.ndarray, rows: np.ndarray | None) -> None:
        low, high = float(batch.min()), float(batch.max())  # NaN where any is
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = np.isfinite(batch.astype("float32", copy=False)).reshape(len(batch), -1).all(axis=1)
            which = [self._count + i if rows is None else int(rows[i]) for i in np.flatnonzero(~finite)]
            raise checks.error(
                self.argument,
                problem=f"hold NaN or infinity in image {which[0]}",
                expected="finite values in [0, 255]",
                received=f"{len(which)} such images of {len(batch)}: {', '.join(map(str, which[:10]))}",
                hint="Leave these images out, or look for the division by zero that made them",
            )
        if self._settled or low == high == 0:
            return
        if high <= 1:
            raise checks.error(
                self.argument,
                problem=f"look scaled to [{-1 if low < 0 else 0}, 1]",
                expected="values in [0, 255]: scaling is inside the model",
                received=f"{batch.dtype} from {low:.3g} to {high:.3g}",
                hint="Multiply them by 255" if low >= 0 else "Leave out the preprocessing",
            )
        self._settled = True
