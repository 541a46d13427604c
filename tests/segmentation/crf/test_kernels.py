import numpy as np
import pytest

from kvision.checks import UserError
from kvision.segmentation.crf.kernels import LARGEST_EXACT, ExactFilter, SpatialFilter


def test_the_exact_filter_is_the_normalized_kernel_without_its_diagonal():
    random = np.random.default_rng(0)
    points, values = random.normal(size=(30, 4)), random.normal(size=(30, 2)).astype("float32")
    kernel = np.exp(-0.5 * ((points[:, None] - points) ** 2).sum(axis=2))
    sums = kernel.sum(axis=1)
    kernel /= np.sqrt(np.outer(sums, sums))
    found = ExactFilter(points)
    np.testing.assert_allclose(found.diagonal, np.diag(kernel), rtol=1e-5)
    expected = (kernel - np.diag(np.diag(kernel))) @ values
    np.testing.assert_allclose(found(values), expected, atol=1e-5)
    assert np.abs(found(values) - kernel @ values).max() > 0.05, "the control: with the self term"


@pytest.mark.parametrize(("height", "width", "deviation"), [(20, 30, 2.0), (7, 9, 0.3), (5, 6, 50.0), (1, 8, 1.0)])
def test_the_separable_filter_is_the_exact_one_of_positions(height, width, deviation):
    values = np.random.default_rng(0).normal(size=(height * width, 3)).astype("float32")
    places = np.stack(np.mgrid[:height, :width], axis=-1).reshape(-1, 2)
    exact, separable = ExactFilter(places / deviation), SpatialFilter(height, width, deviation)
    np.testing.assert_allclose(separable(values), exact(values), atol=2e-4)
    np.testing.assert_allclose(separable.diagonal, exact.diagonal, atol=2e-4)


def test_too_many_points_are_told():
    with pytest.raises(UserError, match=r"`features`.*4096"):
        ExactFilter(np.zeros((LARGEST_EXACT + 1, 2)))
