"""The dense CRF: sharpens the probabilities of the pixels of an image."""

from typing import Any

import keras
import numpy as np

from kvision import checks, ops
from kvision.crf_parameters import CRFParameters
from kvision.raw_pixels import RawPixels
from kvision.segmentation.crf.kernels import LARGEST_EXACT, ExactFilter, SpatialFilter
from kvision.segmentation.crf.lattice import LatticeFilter
from kvision.segmentation.crf.mean_field import SMALLEST, mean_field

__all__ = ["dense_crf"]

_FORMS = ("lattice", "exact")
_PASSES = 20  # Each pass grows regions by a pixel into pixels that are all isolated, so a few passes are enough.


def dense_crf(
    probabilities: np.ndarray,
    image: np.ndarray,
    parameters: CRFParameters | None = None,
    *,
    form: str = "lattice",
) -> np.ndarray:
    """Gives pixels of similar color the same label, and moves boundaries to edges of the image.

    Every pixel is connected to every other pixel. The dense CRF sharpens boundaries. It may remove classes with few
    pixels, such as poles and signs.

    A pixel of an unusual color may get a label that none of its neighbors has. Such a pixel takes the probabilities of
    a neighbor (`kv.ops.without_new_speckle`), unless it was isolated in the input too. The published CRF leaves this
    speckle.

    Args:
        probabilities: `(height, width, classes)`, the probabilities of a network.
        image: `(height, width, 3)` RGB in [0, 255], of the same size.
        parameters: The parameters. If None, the defaults of `CRFParameters`. `fit_crf` finds better ones.
        form: `"lattice"` filters on the permutohedral lattice, in time proportional to the number of pixels.
            `"exact"` computes all pairs of pixels, for at most 4096 pixels.

    Returns:
        `(height, width, classes)` float32 probabilities.

    Raises:
        UserError: If the shapes do not fit, if the image is scaled, if the probabilities are not from 0 to 1, if the
            form is unknown, or if the image is too large for the exact form.

    Example:
        >>> image = np.full((20, 30, 3), 200, "uint8")
        >>> image[:, 15:] = 40
        >>> probabilities = np.full((20, 30, 2), 0.5)
        >>> probabilities[:, :12] = 0.8, 0.2
        >>> probabilities[:, 18:] = 0.2, 0.8
        >>> labels = kv.segmentation.dense_crf(probabilities, image).argmax(axis=2)
        >>> labels[0, 14:16].tolist()  # the boundary is at the edge between the colors
        [0, 1]

    References:
        Krähenbühl and Koltun 2011, arXiv 1210.5644.
    """
    checks.one_of("form", form, _FORMS)
    parameters = CRFParameters() if parameters is None else parameters
    probabilities, image = np.asarray(probabilities, "float32"), np.asarray(image)
    if probabilities.ndim != 3 or probabilities.size == 0:
        expected = "the shape (height, width, classes)"
        raise checks.UserError("probabilities", expected=expected, received=probabilities.shape)
    if not (probabilities.min() >= 0 and probabilities.max() <= 1.001):
        received = (float(probabilities.min()), float(probabilities.max()))
        raise checks.UserError("probabilities", expected="numbers from 0 to 1", received=received)
    height, width, classes = probabilities.shape
    if image.shape != (height, width, 3):
        raise checks.UserError("image", expected=f"the shape {(height, width, 3)}", received=image.shape)
    if form == "exact" and height * width > LARGEST_EXACT:
        expected = f"at most {LARGEST_EXACT} pixels for the exact form"
        raise checks.UserError("image", expected=expected, received=image.shape, hint="Use the form 'lattice'")
    RawPixels("image")(image[None])
    kernels = _kernels(image, parameters, form)
    logits = np.log(np.maximum(probabilities.reshape(-1, classes), SMALLEST))
    found = mean_field(logits, kernels, parameters.iterations).reshape(probabilities.shape)
    return _without_new_speckle(found, probabilities)


def _without_new_speckle(found: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Repeats `ops.without_new_speckle` until a pass changes nothing."""
    for _ in range(_PASSES):
        again: Any = keras.ops.convert_to_numpy(ops.without_new_speckle(found[None], before[None]))[0]
        if np.array_equal(again, found):
            break
        found = again
    return found


def _kernels(image: np.ndarray, parameters: CRFParameters, form: str) -> list:
    """Returns the weights and filters. A filter with the weight 0 is not built."""
    height, width = image.shape[:2]
    far, near = parameters.pixels(height, width)
    y, x = (axis.reshape(-1, 1).astype("float32") for axis in np.mgrid[:height, :width])
    kernels = []
    if parameters.bilateral_weight:
        color = image.reshape(-1, 3).astype("float32") / parameters.bilateral_color
        features = np.concatenate([y / far, x / far, color], axis=1)
        build = ExactFilter if form == "exact" else LatticeFilter
        kernels.append((parameters.bilateral_weight, build(features)))
    if parameters.spatial_weight:
        if form == "exact":
            kernel = ExactFilter(np.concatenate([y / near, x / near], axis=1))
        else:
            kernel = SpatialFilter(height, width, near)
        kernels.append((parameters.spatial_weight, kernel))
    return kernels
