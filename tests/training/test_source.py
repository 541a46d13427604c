import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.training.source import Position, Source, from_arrays


def source(count=10, batch_size=4, **options) -> Source:
    return Source(lambda rows: rows, count, batch_size, None, **options)


def test_an_epochs_order_follows_from_seed_and_epoch_and_is_a_permutation():
    orders = {(seed, epoch): source(50, seed=seed).order(epoch) for seed in (0, 1) for epoch in (0, 1, 2)}
    for key, order in orders.items():
        assert sorted(order) == list(range(50))
        np.testing.assert_array_equal(order, source(50, batch_size=7, seed=key[0]).order(key[1]))
    assert len({tuple(order) for order in orders.values()}) == 6, "control: all differ"
    np.testing.assert_array_equal(source(5).order(3), np.arange(5))


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("count", [8, 10])
def test_rows_from_any_step_are_the_tail_of_the_whole(count, drop):
    some = source(count, seed=3, drop_remainder=drop)
    whole = list(some.rows(Position(epoch=2)))
    assert len(whole) == some.steps == (count // 4 if drop else -(-count // 4))
    seen = np.concatenate(whole)
    np.testing.assert_array_equal(seen, some.order(2)[: len(seen)])
    assert len(seen) == (count - count % 4 if drop else count)
    for step in range(some.steps + 1):
        tail = list(some.rows(Position(epoch=2, step=step)))
        assert len(tail) == some.steps - step
        for ours, theirs in zip(tail, whole[step:], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_arrays_of_any_structure_become_batches_and_doubles_singles():
    x = {"a": np.arange(6.0).reshape(3, 2), "b": np.arange(3, dtype="uint8")}
    y = [1, 2, 3]
    some = from_arrays((x, np.array(y)), batch_size=2, seed=None)
    assert some.steps == 2 and some.count == 3
    spec, labels = some.spec
    assert (spec["a"].shape, spec["a"].dtype, spec["b"].dtype) == ((None, 2), "float32", "uint8")
    assert labels.shape == (None,)
    batch, numbers = some.read(np.array([2, 0]))
    assert batch["a"].dtype == np.float32
    np.testing.assert_array_equal(batch["a"], [[4, 5], [0, 1]])
    np.testing.assert_array_equal(numbers, [3, 1])


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ((np.zeros((3, 2)), np.zeros(4)), r"arrays of one length. Received: \[\(3, 2\), \(4,\)\]"),
        ((np.zeros((3, 2)), None, np.zeros(3)), "without a gap. Received: .*NoneType"),
        ((np.zeros((0, 2)), np.zeros(0)), "`train` gives no batch. Expected at least one row"),
        ((), "arrays of one length"),
    ],
)
def test_what_is_no_data_is_refused(arrays, text):
    with pytest.raises(UserError, match=text):
        from_arrays(arrays, batch_size=2, seed=0)


def test_batches_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"`batch_size` .*at least 1"):
        source(batch_size=0)
    with pytest.raises(UserError, match=r"`batch_size` .*at most the 3 rows.*Received: 4"):
        source(3, drop_remainder=True)


def test_a_float_type_of_ones_own_is_kept():
    before = keras.config.floatx()
    try:
        keras.config.set_floatx("float64")
        assert from_arrays((np.zeros(2),), batch_size=2, seed=None).spec[0].dtype == "float64"
    finally:
        keras.config.set_floatx(before)


def test_fresh_rows_are_numbered_on_from_epoch_to_epoch():
    plain, fresh = source(seed=1), source(seed=1, fresh=True)
    for epoch in range(3):
        np.testing.assert_array_equal(fresh.order(epoch), plain.order(epoch) + 10 * epoch)
    assert len({*fresh.order(0), *fresh.order(1)}) == 20


def test_an_epoch_of_so_many_steps_goes_on_through_the_passes():
    def read(rows):
        return rows

    spec = keras.KerasTensor((None,), "int64")
    whole, four = Source(read, 10, 4, spec, seed=1), Source(read, 10, 4, spec, seed=1, steps_per_epoch=4)
    passes = [rows.tolist() for epoch in range(4) for rows in whole.rows(Position(epoch=epoch))]
    found = [rows.tolist() for epoch in range(3) for rows in four.rows(Position(epoch=epoch))]
    assert four.steps == 4 and found == passes
    assert [rows.tolist() for rows in four.rows(Position(epoch=1, step=2))] == passes[6:8]
    with pytest.raises(UserError, match="`steps_per_epoch`"):
        Source(read, 10, 4, spec, steps_per_epoch=0)


def test_words_are_no_numbers():
    for labels in (np.array(["cat", "dog"]), np.array([0, 1], object)):
        with pytest.raises(UserError, match=r"`train` holds no numbers.*np\.unique"):
            from_arrays((np.zeros((2, 1)), labels), batch_size=2, seed=None)
    with pytest.raises(UserError, match=r"one length.*np\.stack\(images\)"):
        from_arrays(([np.zeros((3, 3)), np.zeros((3, 3))], np.zeros(2)), batch_size=2, seed=None)
