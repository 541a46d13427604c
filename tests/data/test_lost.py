import numpy as np
import pytest

from kvision.checks import UserError
from kvision.data.lost import Tolerant


def test_lost_ones_are_stood_in_for_told_once_and_counted(capsys):
    gone = {3}

    def read(row: int) -> int:
        if row in gone:
            raise UserError(f"row {row} is gone")
        return 10 * row

    tolerant = Tolerant(read, lambda row: f"file{row}", count=20, lost_fraction=0.1)
    for _ in range(2):
        found, rows = tolerant(np.arange(6))
        assert found[:3] == [0, 10, 20] and found[4:] == [40, 50] and found[3] == 10 * rows[3] != 30
    assert [(one.path, one.reason) for one in tolerant.lost] == [("file3", "row 3 is gone")]
    assert capsys.readouterr().err.count("Lost (1 of 2 allowed): row 3 is gone") == 1
    gone |= {7, 8}
    with pytest.raises(UserError, match=r"row [78] is gone"):
        tolerant(np.arange(6, 12))


def test_a_batch_of_which_nothing_is_left_is_an_error():
    def read(row: int):
        raise UserError("gone")

    with pytest.raises(UserError, match="no image of a batch is left"):
        Tolerant(read, str, count=100, lost_fraction=0.5)(np.arange(3))
    with pytest.raises(UserError, match="`lost_fraction`"):
        Tolerant(read, str, count=100, lost_fraction=1)
