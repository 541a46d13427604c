import numpy as np

from kvision.augment.separable import separable


def test_equals_the_sum():
    random = np.random.default_rng(0)
    images, rows, columns = (random.normal(size=s).astype("float32") for s in ((2, 5, 7, 3), (2, 4, 5), (2, 6, 7)))
    expected = np.einsum("bhy,bwx,byxc->bhwc", *(a.astype("float64") for a in (rows, columns, images)))
    np.testing.assert_allclose(separable(images, rows, columns), expected, atol=1e-5)
