import keras
import numpy as np
import pytest
from keras import layers
from windowed import IMAGE, crops, valid

from kvision.checks import UserError
from kvision.segmentation import sliding_window


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_each_window_is_cut_out_and_classified(batch_size):
    model = valid()
    found = sliding_window(model, IMAGE, stride=(5, 2), batch_size=batch_size)
    expected = crops(model, IMAGE, (5, 2))
    np.testing.assert_allclose(found.scores[: len(expected), : expected.shape[1]], expected, atol=1e-5)
    assert found.size == (57, 66) and found.window == (32, 24)


def test_no_margin_is_left_out():
    found = sliding_window(valid(), IMAGE, stride=(10, 19))
    assert found.tops.tolist() == [0, 10, 20, 25] and found.lefts.tolist() == [0, 19, 38, 42]
    assert sliding_window(valid(), IMAGE, stride=100).scores.shape == (2, 2, 5)


def quadrants(window: int) -> keras.Model:
    """Knows the color at a window's center: the class of a pixel is the channel that is brightest there."""
    middle = window // 2
    center = layers.Cropping2D([[middle, window - middle - 1]] * 2)
    return keras.Sequential([keras.Input((window, window, 4)), center, layers.Flatten()])


def test_quadrants_come_out_to_half_a_window_and_a_shifted_grid_does_not():
    window, side, stride = 9, 60, 4
    image = np.zeros((side, side, 4), "float32")
    for label, (y, x) in enumerate([(0, 0), (0, 30), (30, 0), (30, 30)]):
        image[y : y + 30, x : x + 30, label] = 1
    found = sliding_window(quadrants(window), image, stride=stride)
    for how in ("mean", "center"):
        labels = found.stitch(how).argmax(-1)
        wrong = labels != image.argmax(-1)
        far = np.abs(np.arange(side) - 29.5) > window / 2
        assert not wrong[np.ix_(far, far)].any(), "away from the boundary all is right, the margins too"
    edges = np.flatnonzero(np.diff(found.stitch("center")[5].argmax(-1))) + 1
    assert abs(int(edges[0]) - 30) <= stride / 2
    shifted = type(found)(found.scores, found.tops + stride, found.lefts + stride, found.window, found.size)
    moved = np.flatnonzero(np.diff(shifted.stitch("center")[5].argmax(-1))) + 1
    assert int(moved[0]) - int(edges[0]) == stride, "the control: a grid that is off by one shifts the boundary"


@pytest.mark.parametrize("shape", [(31, 60, 3), (60, 23, 3), (60, 60, 1), (60, 60)])
def test_images_that_hold_no_window_are_refused(shape):
    with pytest.raises(UserError, match=r"`image`.*at least 32 x 24"):
        sliding_window(valid(), np.zeros(shape, "float32"), stride=4)


def test_models_of_any_size_and_empty_batches_are_refused():
    with pytest.raises(UserError, match=r"`model`.*of a fixed size"):
        sliding_window(keras.Sequential([keras.Input((None, None, 3)), layers.GlobalMaxPooling2D()]), IMAGE, stride=4)
    with pytest.raises(UserError, match=r"`batch_size`.*positive"):
        sliding_window(valid(), IMAGE, stride=4, batch_size=0)
    assert sliding_window(valid(), IMAGE.tolist(), stride=np.int64(100)).scores.shape == (2, 2, 5)


@pytest.mark.parametrize("stride", [0, 2.5, (1, 0), (2.5, 2), (1, 2, 3)])
def test_strides_that_do_not_move_are_refused(stride):
    with pytest.raises(UserError, match="`stride`"):
        sliding_window(valid(), IMAGE, stride=stride)
