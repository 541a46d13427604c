import threading
import time

import keras
import numpy as np
import pytest
import replicas
import tensorflow as tf

from kvision.checks import UserError
from kvision.training.feed import feed
from kvision.training.source import Position, Source

X, Y = np.arange(20, dtype="float32").reshape(10, 2), np.arange(10)


def passed(batches) -> list:
    return [keras.tree.map_structure(np.asarray, batch) for batch in batches]


def labels(batches) -> list[list[int]]:
    return [batch[1].tolist() for batch in passed(batches)]


def test_arrays_go_by_seed_and_epoch_from_any_step():
    arrays = feed((X, Y), batch_size=4, seed=5)
    assert (arrays.steps, arrays.rows, arrays.enters) == (3, 4, True)
    whole = labels(arrays.start(Position(epoch=1)))
    assert sorted(label for part in whole for label in part) == list(range(10)) and [len(part) for part in whole] == [
        4,
        4,
        2,
    ]
    assert labels(arrays.start(Position(epoch=1, step=1))) == whole[1:]
    assert labels(arrays.start(Position(epoch=2))) != whole, "control: another epoch"
    x, y = arrays.batch_of(1, 2)
    assert y.tolist() == whole[2] and np.array_equal(x, X[y])


def test_without_tensorflow_a_thread_reads_ahead_and_never_into_another_epoch(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    read, threads, position = [], set(), Position(epoch=1, step=1)

    def rows(numbers):
        read.append(numbers.tolist())
        threads.add(threading.current_thread())
        return X[numbers], Y[numbers]

    source = Source(rows, 10, 2, (keras.KerasTensor((None, 2)), keras.KerasTensor((None,))), seed=5)
    batches = feed(source, batch_size=2, seed=5).start(position)
    assert isinstance(batches, keras.utils.PyDataset) and len(batches) == 4
    expected = [r.tolist() for r in source.rows(position)]
    assert batches[0][1].tolist() == expected[0] and batches[1][1].tolist() == expected[1]
    deadline = time.monotonic() + 10
    while len(read) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert read == expected and threads.isdisjoint({threading.current_thread()}), "two that nobody asked for yet"
    position.epoch, position.step = 2, 0
    assert batches[0][1].tolist() == next(source.rows(position)).tolist(), "nothing of the epoch before"


def test_a_position_that_moves_is_read_at_each_pass():
    arrays, position = feed((X, Y), batch_size=4, seed=5), Position(epoch=0)
    batches = arrays.start(position)
    assert labels(batches) != labels(arrays.start(Position(epoch=1)))
    position.epoch = 1
    assert labels(batches) == labels(arrays.start(Position(epoch=1)))


def test_images_alone_are_a_batch_without_labels():
    (first, _, _) = passed(feed(X, batch_size=4, seed=None).start(Position()))
    assert isinstance(first, tuple) and len(first) == 1
    np.testing.assert_array_equal(first[0], X[:4])


def test_what_has_a_source_gives_it():
    class Pipe:
        source = Source(
            lambda rows: (X[rows], Y[rows]), 10, 5, (keras.KerasTensor((None, 2)), keras.KerasTensor((None,)))
        )

    assert feed(Pipe(), batch_size=1, seed=0).steps == feed(Pipe.source, batch_size=1, seed=0).steps == 2


def test_a_dataset_brings_its_order_and_is_entered_by_skipping():
    dataset = tf.data.Dataset.from_tensor_slices(({"image": X}, Y)).batch(4)
    some = feed(dataset, batch_size=1, seed=0)
    assert (some.steps, some.enters, some.batch_of(0, 0)) == (3, True, None)
    assert some.spec[0]["image"].shape == (None, 2) and some.spec[1].dtype == "int64"
    assert labels(some.start(Position())) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert labels(some.start(Position(step=2))) == [[8, 9]]
    assert some.start(Position()).options().autotune.enabled is False
    unknown = feed(dataset.filter(lambda *_: True), batch_size=1, seed=0)
    assert unknown.steps is None and len(labels(unknown.start(Position()))) == 3


def test_a_dataset_without_a_batch_or_an_end_is_refused():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    with pytest.raises(UserError, match="`train` gives no batch"):
        feed(dataset.take(0), batch_size=1, seed=0)
    with pytest.raises(UserError, match=r"`train` has no end.*Leave out .repeat"):
        feed(dataset.repeat(), batch_size=1, seed=0)
    with pytest.raises(UserError, match=r"`train` gives single examples, not batches.*\.batch\(SIZE\)"):
        feed(tf.data.Dataset.from_tensor_slices((X, Y)), batch_size=1, seed=0)


def test_what_keras_takes_is_passed_on():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, Y

    batches = Batches()
    some = feed(batches, batch_size=1, seed=0)
    assert some.start(Position()) is batches and not some.enters and some.batch_of(0, 0) is None and some.spec is None
    assert some.steps == 1 and feed((batch for batch in ()), batch_size=1, seed=0).steps is None


def test_what_reading_raised_is_kept():
    def read(rows):
        raise UserError(f"row {rows[0]} is gone")

    some = feed(Source(read, 4, 2, (keras.KerasTensor((None,)),)), batch_size=1, seed=0)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(some.start(Position()))
    assert isinstance(some.failure, UserError) and "is gone" in str(some.failure)


def test_a_loss_across_examples_leaves_the_tail_out_and_says_so(capsys):
    views = {"a": X, "b": X}
    some = feed(views, batch_size=4, seed=0, drops_tail=True)
    assert some.steps == 2 and [len(batch[0]["a"]) for batch in passed(some.start(Position()))] == [4, 4]
    assert "The last 2 of 10 rows make no whole batch: each epoch leaves 2 out." in capsys.readouterr().err
    assert feed(views, batch_size=5, seed=0, drops_tail=True).steps == 2
    assert feed(some.source, batch_size=1, seed=0, drops_tail=True).steps == 2
    assert capsys.readouterr().err == "", "nothing is left out, or it was told"


UNEVEN = """
import methods
from kvision.checks import UserError
from kvision.training.feed import feed

with strategy.scope():
    method = methods.made("simclr")

def views(rows):
    return {key: value[:rows] for key, value in methods.VIEWS.items()}

def said(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except UserError as problem:
        return str(problem)

with strategy.scope():
    passed = [feed(views(20), batch_size=b, seed=0, drops_tail=d).steps for b, d in ((4, True), (5, False))]
answer(
    fit=said(kv.training.fit, method, views(20), epochs=1, batch_size=5),
    evaluate=said(kv.training.evaluate, method, views(20), batch_size=1), passed=passed,
    losses=[kv.training.evaluate(method, views(rows), batch_size=4, verbose=0)["loss"] for rows in (7, 4)],
)
"""


def test_two_devices_refuse_batches_that_a_loss_across_examples_would_see_twice():
    (found,) = replicas.run(UNEVEN, devices=2)
    text = "`batch_size` is not divisible by the 2 replicas, and this loss compares examples. "
    assert found["fit"] == text + "Expected 4 or 6. Received: 5."
    assert found["evaluate"] == text + "Expected 2. Received: 1."
    assert found["passed"] == [5, 4], "control: batches that divide, and a loss of each example alone"
    assert found["losses"][0] == found["losses"][1], "of a tail that is left out"


def test_an_endless_dataset_goes_on_from_epoch_to_epoch_and_from_any_step():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    for data in (dataset.repeat(), dataset):  # what ends begins anew
        endless = feed(data, batch_size=4, seed=None, steps_per_epoch=4)
        assert endless.steps == 4 and endless.options(Position(epoch=1, step=3)) == {"steps_per_epoch": 1}
        expected = [batch.tolist() for _, batch in dataset.repeat().take(12).as_numpy_iterator()]
        for position in (Position(), Position(epoch=1, step=3)):
            first = 4 * position.epoch + position.step
            assert labels(endless.start(position).take(3)) == expected[first : first + 3]
    with pytest.raises(UserError, match="`steps_per_epoch`"):
        feed(dataset, batch_size=4, seed=None, steps_per_epoch=-1)


def test_a_pydataset_that_ends_begins_anew():
    class Batches(keras.utils.PyDataset):
        ends = 0

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return index

        def on_epoch_end(self):
            self.ends += 1

    data = Batches()
    found = feed(data, batch_size=1, seed=None, steps_per_epoch=5)
    endless = found.start(Position())
    assert found.steps == 5 and endless.num_batches is None
    assert [endless[i] for i in range(5)] == [0, 1, 0, 1, 0] and data.ends == 2


def test_what_cannot_be_trained_on_is_said():
    with pytest.raises(UserError, match=r"`data` cannot be trained on.*kv\.data\.Images.*'object'"):
        feed(object(), batch_size=4, seed=None, argument="data")
