import numpy as np
import pytest
from matplotlib.figure import Figure

import kvision as kv
from kvision.checks import UserError


def test_each_picture_is_at_its_place():
    columns = {
        name: [np.full((h, 10, 3), 10 * i + j, "uint8") for j, h in enumerate((6, 8))]
        for i, name in enumerate(("input", "$x", "reference"))
    }
    axes = kv.plots.picture_table(Figure().subplots(), columns)
    drawn = np.asarray(axes.images[0].get_array())
    assert drawn.shape == (6 + 8 + 8, 3 * 14, 3)
    for i in range(3):
        assert (drawn[:6, 14 * i : 14 * i + 10] == 10 * i).all()
        assert (drawn[10:18, 14 * i : 14 * i + 10] == 10 * i + 1).all()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["input", "$x", "reference"]


def test_nothing_to_draw_is_told():
    with pytest.raises(UserError, match="`columns`"):
        kv.plots.picture_table(Figure().subplots(), {"input": []})
