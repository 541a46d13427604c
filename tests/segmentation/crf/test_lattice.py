import numpy as np
import pytest

from kvision.checks import UserError
from kvision.segmentation.crf.kernels import ExactFilter
from kvision.segmentation.crf.lattice import LatticeFilter


def as_matrix(kernel, count: int) -> np.ndarray:
    return kernel(np.eye(count, dtype="float32"))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
@pytest.mark.parametrize("spread", [0.3, 2.0, 8.0])
def test_the_filter_is_symmetric_and_no_point_reaches_itself(dimensions, spread):
    """Sparse points (spread 8) have few occupied neighbors, so that some ways of a point to itself are broken."""
    points = np.random.default_rng(0).normal(size=(80, dimensions)) * spread
    kernel = LatticeFilter(points)
    matrix = as_matrix(kernel, 80)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(matrix), 0, atol=1e-6)
    assert kernel.diagonal.min() > 0.01 and (matrix > -1e-6).all()
    whole = matrix + np.diag(kernel.diagonal)
    root = np.linalg.eigvalsh(whole)[-1]
    assert root == pytest.approx(1, abs=1e-4), "the normalized filter has the largest eigenvalue 1"


@pytest.mark.parametrize("dimensions", [2, 3, 5])
def test_it_is_near_to_the_exact_filter(dimensions):
    random = np.random.default_rng(1)
    points = random.uniform(0, 3, (1500, dimensions))
    values = np.sin(points @ random.normal(size=(dimensions, 3))).astype("float32")
    exact = ExactFilter(points)(values)

    def error(found):
        return np.linalg.norm(found - exact) / np.linalg.norm(exact)

    assert error(LatticeFilter(points)(values)) < 0.12
    assert error(LatticeFilter(1.5 * points)(values)) > 0.12, "the control: deviations that are a third too small"


def test_where_the_points_lie_does_not_matter():
    random = np.random.default_rng(2)
    points, values = random.uniform(0, 2, (400, 3)), random.normal(size=(400, 2)).astype("float32")
    near = LatticeFilter(points)(values)
    order = random.permutation(400)
    np.testing.assert_allclose(LatticeFilter(points[order])(values[order]), near[order], atol=1e-5)
    assert np.isfinite(LatticeFilter(np.zeros((5, 3)))(values[:5])).all(), "points that are all equal"


def test_a_span_that_the_keys_cannot_hold_is_told():
    with pytest.raises(UserError, match="`features`"):
        LatticeFilter(np.array([[0.0] * 5, [1e6] * 5]))
