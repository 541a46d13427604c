import numpy as np

from kvision.segmentation import median_frequency


def test_median_frequency_by_hand():
    """Three images of 100 pixels: class 0 has 80, 60 and 90, class 1 has 20 and 40, class 2 has 10, class 3 none."""
    own, whole = [230, 60, 10, 0], [300, 200, 100, 0]
    frequencies = [230 / 300, 60 / 200, 10 / 100]
    expected = [np.median(frequencies) / f for f in frequencies] + [0]
    np.testing.assert_allclose(median_frequency(own, whole), expected)
    assert median_frequency(own, whole)[1] == 1, "the median's own"
    np.testing.assert_array_equal(median_frequency([0, 0], [0, 0]), [0, 0])
