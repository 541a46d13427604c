import numpy as np

from kvision.ops import interleave

RANDOM = np.random.default_rng(0)


def test_interleave_by_index():
    maps = RANDOM.normal(size=(2, 3, 2, 4, 5, 6)).astype("float32")  # i, j, B, h, w, C
    found = np.asarray(interleave(maps))
    assert found.shape == (2, 8, 15, 6)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(found[:, i::2, j::3], maps[i, j])
