import numpy as np
import pytest
import tensorflow as tf

from kvision import ops
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 9, 3)).astype("float32")


def test_patches_are_slices_in_order_row_column_channel():
    patches = np.array(ops.to_patches(IMAGES, 3))
    assert patches.shape == (2, 2, 3, 27)
    for row in range(2):
        for column in range(3):
            part = IMAGES[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            np.testing.assert_array_equal(patches[:, row, column], part.reshape(2, -1))


def test_back_again_as_depth_to_space_does():
    patches = ops.to_patches(IMAGES, 3)
    np.testing.assert_array_equal(ops.from_patches(patches, 3), IMAGES)
    np.testing.assert_array_equal(ops.from_patches(patches, 3), tf.nn.depth_to_space(patches, 3))


def test_sizes_that_do_not_fit_are_said():
    with pytest.raises(UserError, match=r"`patch_size` is not valid. Expected a divisor of 6 and 9"):
        ops.to_patches(IMAGES, 2)
    with pytest.raises(UserError, match="whose square divides 27"):
        ops.from_patches(ops.to_patches(IMAGES, 3), 2)
