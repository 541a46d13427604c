import keras
import numpy as np
import pytest
import replicas

from kvision.distribute import inputs

CODE = """
import itertools
from kvision.distribute import inputs

def local(element):
    return [np.asarray(part).tolist() for part in strategy.experimental_local_results(element)]

def passed(dataset):
    return [[local(keras.tree.flatten(batch)[0]), local(share)] for batch, share in dataset]

def of(count, batch, form=lambda x: x):
    rows = tf.data.Dataset.range(count).batch(batch)
    return inputs.split(rows.map(form))

with strategy.scope():
    found = {name: passed(dataset) for name, dataset in {
        "even": of(8, 4), "tail": of(7, 4), "one": of(5, 4), "dict": of(5, 4, lambda x: {"image": x}),
        "pair": of(5, 4, lambda x: ({"a": x, "b": x}, x)),
    }.items()}
    pair = next(iter(of(4, 4, lambda x: ({"a": x}, x))))
    epochs, taken = itertools.count(), []

    def rows():
        epoch = next(epochs)
        return iter([np.arange(4) + 10 * epoch, np.arange(3) + 10 * epoch])

    stream = inputs.stream(rows, lambda n: (n.astype("float32"),), (keras.KerasTensor((None,)),), 2, taken=taken.append)
    streamed = [passed(stream) for _ in range(2)]
answer(found=found, streamed=streamed, taken=sorted(map(int, taken)), cardinality=int(stream.cardinality),
       form=[list(pair[0][0]), len(pair[0])])
"""


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 12, 13])
@pytest.mark.parametrize("replicas_count", [2, 3, 4])
def test_shares_are_the_batch_once(rows, replicas_count):
    batch = np.random.default_rng(rows).permutation(100)[:rows]
    parts = list(inputs._shares(batch, replicas_count, 0, replicas_count))
    assert len(parts) == replicas_count
    if rows % replicas_count:
        assert all(np.array_equal(part, batch) for part, _ in parts)
    else:
        np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), batch)
    assert sum(share * len(part) for part, share in parts) == pytest.approx(rows), "each row counts once"
    for machines in [m for m in range(1, replicas_count + 1) if replicas_count % m == 0]:
        each = replicas_count // machines
        mine = [p for m in range(machines) for p in inputs._shares(batch, replicas_count, m * each, (m + 1) * each)]
        for (part, share), (expected, weight) in zip(mine, parts, strict=True):
            assert np.array_equal(part, expected) and share == weight


def test_nothing_tunes_what_a_training_reads():
    """The end of an epoch can wait for its thread."""
    import tensorflow as tf

    spec = (keras.KerasTensor((None,)),)
    stream = inputs.stream(lambda: iter([np.arange(2)]), lambda n: (n.astype("float32"),), spec, 1)
    given = tf.data.Dataset.range(3).map(lambda i: i, tf.data.AUTOTUNE)
    assert given.options().autotune.enabled is None, "the control: TensorFlow's own default"
    for dataset in (stream, inputs.untuned(given), inputs.untuned(given).prefetch(1)):
        assert dataset.options().autotune.enabled is False
    assert list(inputs.untuned(given).as_numpy_iterator()) == [0, 1, 2]


def test_one_replica_gets_keras_batches_epoch_by_epoch():
    told: list[int] = []
    numbers = iter([[np.arange(3), np.arange(3, 5)], [np.arange(2)]])
    spec = {"a": keras.KerasTensor((None,), "float32"), "b": keras.KerasTensor((None, 1), "int64")}
    stream = inputs.stream(
        lambda: iter(next(numbers)),
        lambda n: {"a": n.astype("float32"), "b": n[:, None]},
        spec,
        2,
        taken=told.append,
    )
    assert int(stream.cardinality()) == 2
    first, second = stream
    np.testing.assert_array_equal(first["a"], [0, 1, 2])
    np.testing.assert_array_equal(second["b"], [[3], [4]])
    assert told == [0, 0] and second["b"].shape == (2, 1)


def test_on_two_devices_tails_are_given_whole():
    (found,) = replicas.run(CODE, devices=2)
    even, tail, one = (found["found"][name] for name in ("even", "tail", "one"))
    assert even == [[[[0, 1], [2, 3]], [1, 1]], [[[4, 5], [6, 7]], [1, 1]]]
    assert tail == [even[0], [[[4, 5, 6], [4, 5, 6]], [0.5, 0.5]]]
    assert one == found["found"]["dict"] == found["found"]["pair"] == [even[0], [[[4], [4]], [0.5, 0.5]]]
    assert found["form"] == [["a"], 2]
    for epoch, passed in enumerate(found["streamed"]):
        add = 10.0 * epoch
        assert passed[0] == [[[add, add + 1], [add + 2, add + 3]], [1, 1]]
        assert passed[1] == [[[add, add + 1, add + 2]] * 2, [0.5, 0.5]]
    assert found["taken"] == [0] * 4 + [1] * 4 and found["cardinality"] == 2
