import numpy as np
import pytest

import kvision as kv
from kvision import luma_chroma
from kvision.checks import UserError


def test_points_become_squares_of_their_color():
    found = kv.colorization.hint_map([(0, 0, 255, 0, 0), (10, 20, 0, 0, 255), (11, 21, 90, 90, 90)], (16, 24), radius=1)
    red, blue = (luma_chroma.luma_chroma(np.array(color, float))[1:] / 127.5 for color in ((255, 0, 0), (0, 0, 255)))
    expected = np.zeros((16, 24, 3))
    expected[0:2, 0:2] = (*red, 1)
    expected[9:12, 19:22] = (*blue, 1)
    expected[10:13, 20:23] = (0, 0, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not kv.colorization.hint_map([], (4, 4)).any()


@pytest.mark.parametrize("hint", [(16, 0, 1, 2, 3), (0, -1, 1, 2, 3), (0, 0, 256, 0, 0), (0, 0, 1)])
def test_wrong_hints_are_told(hint):
    with pytest.raises(UserError, match="`hints`"):
        kv.colorization.hint_map([hint], (16, 24))


def test_random_hints_are_true_colors_in_any_number():
    chroma = np.random.default_rng(0).uniform(-1, 1, (24, 32, 2)).astype("float32")
    shares, counts = [], []
    for seed in range(400):
        found = kv.colorization.random_hints(chroma, np.random.default_rng(seed))
        known = found[..., 2] == 1
        assert np.array_equal(known | (found[..., 2] == 0), np.ones_like(known)) and not found[~known].any()
        shares.append(known.mean())
    assert 0.05 < np.mean(np.array(shares) == 0) < 0.25, "none in some pictures"
    assert 0 < np.mean(np.array(shares) == 1) < 0.06, "all colors in a few"
    assert np.mean(shares) < 0.4
    flat = np.broadcast_to(np.float32([0.25, -0.5]), (24, 32, 2))
    ten = kv.colorization.random_hints(flat, np.random.default_rng(0), count=10)
    np.testing.assert_allclose(ten[ten[..., 2] == 1][:, :2], [[0.25, -0.5]] * int(ten[..., 2].sum()))
    counts = [kv.colorization.random_hints(flat, np.random.default_rng(s), count=1)[..., 2].sum() for s in range(20)]
    assert max(counts) == 25
