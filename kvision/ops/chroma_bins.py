"""Chroma as classes: a grid of colors, soft labels, weights against gray, and the way back to one color."""

from typing import Any

import numpy as np
from keras import ops

from kvision import checks
from kvision.luma_chroma import in_gamut

__all__ = ["CELL", "NEAREST", "TEMPERATURE", "annealed_mean", "bin_weights", "centers", "soft_labels"]

CELL = 0.1
"""Side of a bin in scaled chroma, whose range is [-1, 1]. It gives 329 bins in BT.601; Zhang's grid in Lab has 313."""

NEAREST = 5
"""Number of bins that share a color in the soft labels, as in the paper."""

TEMPERATURE = 0.38
"""Temperature of the annealed mean, as in the paper."""

_INSIDE = np.linspace(-0.5, 0.5, 5)  # places inside a cell, in cells


def centers(standard: str = "bt601", *, cell: float = CELL) -> np.ndarray:
    """Returns the centers of all bins that hold a color of RGB.

    Args:
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.
        cell: Side of a bin, in (0, 1].

    Returns:
        `(bins, 2)` float32: Cb and Cr, scaled to [-1, 1]. One of the centers is gray, `(0, 0)`.

    Raises:
        UserError: If `cell` is out of its range, or the standard is unknown.

    Example:
        >>> from kvision.ops import chroma_bins
        >>> chroma_bins.centers(cell=0.5).shape
        (21, 2)
    """
    if not 0 < cell <= 1:
        raise checks.UserError("cell", expected="a number above 0 and at most 1", received=cell)
    steps = np.arange(-round(1 / cell), round(1 / cell) + 1)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 1, 2)
    inside = np.stack(np.meshgrid(_INSIDE, _INSIDE, indexing="ij"), -1).reshape(1, -1, 2)
    holds = in_gamut(cell * (grid + inside) / 2, standard).any(axis=1)
    return (cell * grid[holds, 0]).astype("float32")


def soft_labels(chroma: Any, places: np.ndarray, *, cell: float = CELL) -> Any:
    """Divides each color between the nearest bins.

    The share of a bin is a Gaussian of its distance to the color, with a standard deviation of half a cell. In the
    paper, the cells are 10 wide and the standard deviation is 5.

    Args:
        chroma: `(..., 2)` scaled chroma in [-1, 1].
        places: `(bins, 2)`, the result of `centers`.
        cell: Side of a bin.

    Returns:
        `(..., bins)` float32. The values add up to 1. Only the `NEAREST` bins have values above 0, or a few more if
        several are equally far away.

    References:
        Zhang, Isola and Efros 2016, arXiv 1603.08511, section 2.2.
    """
    # The three terms of the squared distance are added without a tensor of shape (..., bins, 2).
    crossed = ops.matmul(chroma, ops.convert_to_tensor(places.T, "float32"))
    own = ops.convert_to_tensor((places**2).sum(axis=-1), "float32")
    squared = ops.sum(chroma**2, axis=-1, keepdims=True) - 2 * crossed + own
    nearest = ops.top_k(-squared, NEAREST)[0]
    # Relative to the nearest bin, so that a color far outside of the grid does not give 0 / 0.
    share = ops.exp((-squared - nearest[..., :1]) / (2 * (cell / 2) ** 2))
    share = ops.where(-squared >= nearest[..., -1:], share, 0.0)
    return share / ops.sum(share, axis=-1, keepdims=True)


def annealed_mean(logits: Any, places: Any, *, temperature: float = TEMPERATURE) -> Any:
    """Returns one color for the scores of all bins.

    Args:
        logits: `(..., bins)`.
        places: `(bins, 2)`, the result of `centers`.
        temperature: Above 0. 1 gives the mean of the distribution, which is pale. A small number gives its mode, which
            changes abruptly from pixel to pixel.

    Returns:
        `(..., 2)` scaled chroma.

    References:
        Zhang, Isola and Efros 2016, arXiv 1603.08511, equation 5.
    """
    return ops.matmul(ops.softmax(logits / temperature, axis=-1), ops.convert_to_tensor(places, "float32"))


def bin_weights(counts: np.ndarray, places: np.ndarray, *, mixture: float = 0.5, cell: float = CELL) -> np.ndarray:
    """Computes the weights of bins that make rare colors count more.

    The frequencies of the bins are smoothed on the grid, so that bins without a training pixel do not get an infinite
    weight. Then they are mixed with equal frequencies.

    Args:
        counts: `(bins,)` pixels of the training images in each bin, or sums of `soft_labels`.
        places: `(bins, 2)`, the result of `centers`.
        mixture: Share of the equal frequencies, in (0, 1]. 1 gives all bins the same weight. Defaults to the value of
            the paper.
        cell: Side of a bin.

    Returns:
        `(bins,)` float32 weights. Their mean over the pixels of the training images is 1.

    Raises:
        UserError: If `mixture` is out of its range, or all counts are 0.

    References:
        Zhang, Isola and Efros 2016, arXiv 1603.08511, equation 4.
    """
    if not 0 < mixture <= 1:
        raise checks.UserError("mixture", expected="a number above 0 and at most 1", received=mixture)
    counts = np.asarray(counts, "float64")
    if not counts.sum() > 0:
        raise checks.UserError("counts", expected="at least one pixel", received=counts)
    share = counts / counts.sum()
    squared = ((places[:, None].astype("float64") - places[None]) ** 2).sum(-1)
    kernel = np.exp(-squared / (2 * (cell / 2) ** 2))  # half a cell, as in the paper
    smooth = kernel @ (share / kernel.sum(axis=0))
    weights = 1 / ((1 - mixture) * smooth + mixture / len(share))
    return (weights / (share @ weights)).astype("float32")
