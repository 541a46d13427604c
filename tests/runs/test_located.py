"""What tests/recipes/test_locate.py does not say of it."""

import numpy as np
import pytest

from kvision.runs import located


def test_both_must_be_right():
    truth = np.array([[0, 0, 0.5, 0.5, 1], [0, 0, 0.5, 0.5, 1], [0, 0, 0.5, 0.5, 2], [0.5, 0.5, 1, 1, 0]])
    found = np.array(
        [
            [0, 0, 0.5, 0.5, 0.9, 1],  # both
            [0, 0, 0.5, 0.2, 0.9, 1],  # IoU 0.4
            [0, 0, 0.5, 0.3, 0.9, 1],  # IoU 0.6 and a wrong class
            [0.5, 0.5, 1, 0.8, 0.9, 0],  # both, IoU 0.6
        ]
    )
    row = located.score(found, truth)
    assert row["both_right"] == 0.5 and row["accuracy"] == 0.75 and row["box_right"] == 0.75
    assert row["mean_iou"] == pytest.approx((1 + 0.4 + 0.6 + 0.6) / 4)
    assert row["interval"] == pytest.approx([0.150, 0.850], abs=1e-3), "Wilson, 2 of 4"


def test_baselines_worked_by_hand():
    train = np.array([[0, 0, 0.5, 0.5, 1], [0.5, 0, 1, 0.5, 2], [0.25, 0, 0.75, 0.5, 2]])
    test = np.array([[0.25, 0, 0.75, 0.5, 2], [0.25, 0.25, 0.75, 0.75, 1]])
    found = located.baselines(train, test)
    mean, center = found["mean box"], found["center box"]  # the mean box is the first test box
    assert mean["mean_iou"] == pytest.approx((1 + 1 / 3) / 2) and mean["accuracy"] == 0.5
    assert mean["both_right"] == 0.5
    assert center["mean_iou"] == pytest.approx((1 + 1 / 3) / 2) and center["both_right"] == 0
