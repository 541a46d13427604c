import numpy as np
from matplotlib.figure import Figure

import kvision as kv


def test_a_line_for_each_log_that_is_there():
    history = {"loss": [3.0, 2.0, 1.5], "trivial": [4.0, 4.0, 4.0], "embedding_std": [0.1, 0.1, 0.1]}
    axes = kv.plots.training_curve(Figure().subplots(), history)
    found = {line.get_label(): line for line in axes.get_lines()}
    assert set(found) == {"loss", "loss at chance"}
    np.testing.assert_array_equal(found["loss"].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(found["loss at chance"].get_ydata(), [4, 4, 4])
