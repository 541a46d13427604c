import pytest
import tensorflow as tf

from kvision.pixels import graph_bytes as gb

DATA = bytes([0, 1, 2, 255, 128, 77, 9, 254])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("position", [0, 2, 4])
def test_numbers_are_int_from_bytes(position, count):
    part = DATA[position : position + count]
    for big in (False, True):
        found = gb.number(tf.constant(DATA), tf.constant(position, tf.int64), count, big=big)
        assert found.dtype == tf.int64
        assert int(found) == int.from_bytes(part, "big" if big else "little")
    assert gb.digits(tf.constant(DATA), position, count).numpy().tolist() == list(part)


@pytest.mark.parametrize("position", [7, 8, 9, 2**40])
def test_behind_the_end_is_an_error(position):
    with pytest.raises(tf.errors.InvalidArgumentError):
        gb.number(tf.constant(DATA), tf.constant(position, tf.int64), 2)


def test_starts_and_size():
    assert int(gb.size(tf.constant(DATA))) == 8
    assert bool(gb.starts(tf.constant(DATA), DATA[:3]))
    assert bool(gb.starts(tf.constant(DATA), DATA[6:], 6))
    assert not bool(gb.starts(tf.constant(DATA), DATA[6:] + b"x", 6))
