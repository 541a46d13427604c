"""Measures colored pictures against the true ones."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from kvision import checks, luma_chroma, metrics
from kvision.data import Pictures
from kvision.progress import Bar

__all__ = ["Scores", "constant", "evaluate", "mean_chroma"]

_RESAMPLES = 1000


@dataclass(frozen=True)
class Scores:
    """Scores of colored pictures. All are means over the pictures.

    Attributes:
        chroma_psnr: Peak signal-to-noise ratio of Cb and Cr in decibel.
        interval: `(low, high)`, the 95 % interval of `chroma_psnr` (percentile bootstrap over pictures).
        psnr: Peak signal-to-noise ratio of RGB in decibel. A gray picture reaches a high value already, because the
            luma is right.
        colorfulness: Mean colorfulness of the colored pictures.
        colorfulness_error: Mean absolute difference of the colorfulness from the true picture.
        clipped: Share of the pixels with a color that RGB does not have.
    """

    chroma_psnr: float
    interval: tuple[float, float]
    psnr: float
    colorfulness: float
    colorfulness_error: float
    clipped: float

    @classmethod
    def of(cls, pairs: Iterable[tuple[np.ndarray, np.ndarray]], standard: str = "bt601", *, seed: int = 0) -> "Scores":
        """Computes the scores.

        Args:
            pairs: The true picture `(height, width, 3)` uint8 and the colored one in the same size, before it is
                clipped and rounded.
            standard: `"bt601"`, `"bt709"` or `"bt2020"`.
            seed: Seed of the bootstrap.

        Returns:
            The scores.

        Raises:
            UserError: If there are no pictures.
        """
        rows = []
        for truth, raw in pairs:
            found = np.clip(np.round(raw), 0, 255)
            own, wanted = metrics.colorfulness(found), metrics.colorfulness(truth)
            share = luma_chroma.clipped_share(raw)
            ratios = metrics.chroma_psnr(truth, found, standard), metrics.psnr(truth, found)
            rows.append((*ratios, own, abs(own - wanted), share))
        if not rows:
            raise checks.UserError("pairs", expected="at least one picture", received="none")
        table, random = np.array(rows), np.random.default_rng(seed)
        draws = random.integers(0, len(table), (_RESAMPLES, len(table)))
        low, high = np.percentile(table[draws, 0].mean(axis=1), [2.5, 97.5])
        mean = table.mean(axis=0).tolist()
        return cls(mean[0], (float(low), float(high)), *mean[1:])


def evaluate(
    predict: Callable[[int, np.ndarray], np.ndarray],
    pictures: Pictures,
    *,
    standard: str = "bt601",
    seed: int = 0,
    progress: bool = True,
) -> Scores:
    """Colors every picture and compares it with the true one.

    Args:
        predict: A function of the number of a picture and the picture `(height, width, 3)` uint8. It returns the
            colored picture as floats, not clipped.
        pictures: Pictures in color, made smaller to their `longest_side`.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.
        seed: Seed of the bootstrap.
        progress: Whether to show a progress bar.

    Returns:
        The scores.

    Raises:
        UserError: If there are no pictures.
    """

    def pairs():
        for i in Bar(range(len(pictures)), "test", unit=" images", disable=not progress):
            image = pictures.example(i)[0]
            yield image, predict(i, image)

    return Scores.of(pairs(), standard, seed=seed)


def constant(image: np.ndarray, chroma: np.ndarray, standard: str = "bt601") -> np.ndarray:
    """Returns a picture with one chroma everywhere. With the chroma 0 it is the gray picture.

    Args:
        image: `(height, width, 3)` uint8.
        chroma: `(2,)` Cb and Cr in gray levels.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        `(height, width, 3)` floats, not clipped.
    """
    y = luma_chroma.luma(np.asarray(image, "float32"), standard)
    return luma_chroma.rgb(y, np.broadcast_to(np.asarray(chroma, "float32"), (*image.shape[:2], 2)), standard)


def mean_chroma(pictures: Pictures, standard: str = "bt601") -> np.ndarray:
    """Computes the mean chroma of all pixels, which is the best constant chroma in the squared error.

    Args:
        pictures: The training pictures.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Returns:
        `(2,)` mean Cb and Cr in gray levels.
    """
    total, count = np.zeros(2), 0
    for i in range(len(pictures)):
        found = luma_chroma.luma_chroma(pictures.example(i)[0], standard)[..., 1:]
        total, count = total + found.sum(axis=(0, 1), dtype="float64"), count + found[..., 0].size
    return total / count
