import keras
import numpy as np
import pytest
from windowed import padded, valid

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation import WindowGrid, Windows, convolutionalize, window_grid


@pytest.mark.parametrize(("model", "stride"), [(valid(), 4), (valid("average"), 4), (padded(), 2)])
def test_a_grid_is_read_off_the_graph(model, stride):
    assert window_grid(model, convolutionalize(model)) == WindowGrid((32, 24), (stride, stride))


def test_cells_are_whole_windows():
    grid = WindowGrid((32, 28), (4, 5))
    assert grid.cells(32, 28) == (1, 1) and grid.cells(35, 32) == (1, 1) and grid.cells(36, 33) == (2, 2)
    windows = grid.windows(np.zeros((2, 3, 1)), 40, 40)
    assert windows.tops.tolist() == [0, 4] and windows.lefts.tolist() == [0, 5, 10] and windows.size == (40, 40)


def test_another_models_grid_is_refused():
    with pytest.raises(UserError, match=r"more than one cell for a window.*Received: '\(\d, \d\)"):
        window_grid(valid(window=(48, 48)), convolutionalize(valid()))


@pytest.mark.parametrize("how", ["mean", "center"])
def test_stitched_by_hand(how):
    random = np.random.default_rng(0)
    tops, lefts, window, size = np.array([0, 3, 5]), np.array([1, 4]), (4, 3), (11, 9)
    windows = Windows(random.normal(size=(3, 2, 2)).astype("float32"), tops, lefts, window, size)
    found = windows.stitch(how)
    assert found.shape == (11, 9, 2)
    for y in range(11):
        for x in range(9):
            rows = [i for i, top in enumerate(tops) if top <= y < top + 4]
            columns = [j for j, left in enumerate(lefts) if left <= x < left + 3]
            if how == "center" or not rows:
                rows = [min(range(3), key=lambda i: abs(y + 0.5 - (tops[i] + 2)))]
            if how == "center" or not columns:
                columns = [min(range(2), key=lambda j: abs(x + 0.5 - (lefts[j] + 1.5)))]
            expected = np.mean([windows.scores[i, j] for i in rows for j in columns], axis=0)
            np.testing.assert_allclose(found[y, x], expected, rtol=1e-5)


def test_an_unknown_way_is_refused():
    with pytest.raises(kv.checks.UserError, match=r"`how`.*mean, center.*Received: 'median'"):
        Windows(np.zeros((1, 1, 1)), np.zeros(1), np.zeros(1), (1, 1), (1, 1)).stitch("median")


@pytest.mark.parametrize("strides", [(3, 3), (17, 25)])
def test_strides_that_divide_no_size_are_exact(strides):
    """Two 3x3 convolutions, of stride 3 say: 9 was once read as 8."""
    layers = [keras.layers.Conv2D(1, 3, strides=stride, padding="same") for stride in strides]
    stride = strides[0] * strides[1]
    model = keras.Sequential([keras.Input((stride, stride, 1)), *layers, keras.layers.Flatten()])
    convolutional = keras.Sequential([keras.Input((None, None, 1)), *layers])
    assert window_grid(model, convolutional) == WindowGrid((stride, stride), (stride, stride))


def test_a_grid_of_one_cell_is_refused():
    image = keras.Input((None, None, 3))
    pooled = keras.Model(image, keras.layers.GlobalAveragePooling2D(keepdims=True)(image))
    with pytest.raises(UserError, match="gives one cell for every image"):
        window_grid(valid(), pooled)
