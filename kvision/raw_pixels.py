"""Checks that images have raw values in [0, 255], without NaN and infinity, before a model gets them."""

import math

import numpy as np

from kvision import checks

__all__ = ["RawPixels"]


class RawPixels:
    """Checks the images of one pass, batch by batch.

    An image with NaN or infinity is refused in any batch. Images that look scaled to [0, 1] or [-1, 1] are refused only
    in the first batch that is not black, because a later batch of dark images may have no value above 1. uint8 images
    are not checked.

    Args:
        argument: Name of the argument that holds the images, as the caller wrote it.
    """

    def __init__(self, argument: str = "images"):
        self.argument, self.failure = argument, None
        self._count, self._settled = 0, False

    def __call__(self, batch: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Checks a batch of images.

        Args:
            batch: Images, with the batch on the first axis.
            rows: Number of each image in the data. By default the count continues from the batches before.

        Raises:
            UserError: If the batch is refused. The message contains the number of the first bad image. The attribute
                `failure` keeps the error.
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
        low, high = float(batch.min()), float(batch.max())  # NaN if the batch contains a NaN
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = np.isfinite(batch.astype("float32", copy=False)).reshape(len(batch), -1).all(axis=1)
            which = [self._count + i if rows is None else int(rows[i]) for i in np.flatnonzero(~finite)]
            raise checks.UserError(
                self.argument,
                problem=f"hold NaN or infinity in image {which[0]}",
                expected="finite values in [0, 255]",
                received=f"{len(which)} such images of {len(batch)}: {', '.join(map(str, which[:10]))}",
                hint="Leave these images out, or look for a division by zero",
            )
        if self._settled or low == high == 0:
            return
        if high <= 1:
            raise checks.UserError(
                self.argument,
                problem=f"look scaled to [{-1 if low < 0 else 0}, 1]",
                expected="values in [0, 255], which the model scales itself",
                received=f"{batch.dtype} from {low:.3g} to {high:.3g}",
                hint="Multiply them by 255" if low >= 0 else "Leave out the preprocessing",
            )
        self._settled = True
