import numpy as np
import pytest

from kvision.checks import UserError
from kvision.training.given import divided, given

X, Y, W = np.arange(20.0).reshape(10, 2), np.arange(10), np.ones(10)


def alike(found, expected) -> None:
    assert isinstance(found, tuple) and len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((X,), (X,)),
        ((X, Y), (X, Y)),
        (((X, Y),), (X, Y)),
        (((X, Y, None),), (X, Y)),
        ((X, Y, W), (X, Y, W)),
        (((X, Y), None, W), (X, Y, W)),
        (((X, Y, W),), (X, Y, W)),
        ((X.tolist(), [*Y]), (X, Y)),
        ((X, [str(label) for label in Y]), (X, Y.astype(str))),
    ],
)
def test_arrays_labels_and_weights_become_one_tuple(arguments, expected):
    alike(given(*arguments), expected)


def test_structures_of_arrays_are_several_inputs():
    (parts,) = given({"a": X, "b": [1, 2]})
    assert parts["a"] is X and isinstance(parts["b"], np.ndarray)
    two, labels = given([X, X], Y)
    assert isinstance(two, list) and len(two) == 2 and labels is Y


def test_other_data_stays_and_brings_its_own_labels():
    data = iter([])
    assert given(data) is data
    with pytest.raises(UserError, match=r"`y` is only for arrays.*`train` brings its own"):
        given(data, Y)
    with pytest.raises(UserError, match="`sample_weight` is only for arrays"):
        given(data, None, W)
    with pytest.raises(UserError, match="`data` holds lists of different lengths"):
        given([[1, 2], [3]], argument="data")


def test_the_last_rows_are_for_validation():
    first, last = divided((X, Y), 0.25)
    alike(first, (X[:7], Y[:7]))
    alike(last, (X[7:], Y[7:]))
    with pytest.raises(UserError, match=r"`validation_split`.*share in \(0, 1\)"):
        divided((X, Y), 1.5)
    with pytest.raises(UserError, match="leaves one part of the 10 rows empty"):
        divided((X, Y), 0.99)
    with pytest.raises(UserError, match=r"splits only arrays.*kv\.data\.split"):
        divided(iter([]), 0.2)
