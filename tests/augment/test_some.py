import numpy as np

from kvision.augment.some import drawn, either


def test_shares_and_both_ends():
    for probability in (0.0, 0.2, 1.0):
        share = np.mean(drawn([1, 2], 10_000, probability))
        assert abs(share - probability) <= 4 * (probability * (1 - probability) / 10_000) ** 0.5


def test_either_is_exact():
    random = np.random.default_rng(0)
    one, two = random.uniform(0, 255, (2, 4, 3, 5, 3)).astype("float32")
    which = np.array([True, False, False, True])
    np.testing.assert_array_equal(either(which, one, two), np.where(which[:, None, None, None], one, two))
