import keras
import pytest
import replicas
import tensorflow as tf

import kvision as kv
from kvision.checks import UserError

CODE = """
from kvision.checks import UserError

def refused(kind):
    try:
        kv.distribute.pick_strategy(kind)
    except UserError as problem:
        return str(problem)

inside = []
with strategy.scope():
    places = kv.distribute.strategy
    inside = [kv.distribute.replica_count(), places.local_replica_count(), places.current() is strategy]
answer(
    kind=type(strategy).__name__,
    devices=len(strategy.extended.worker_devices),
    same=[kv.distribute.pick_strategy(kind) is strategy for kind in ("mirrored", "auto", strategy)],
    inside=inside,
    outside=[kv.distribute.replica_count(), kv.distribute.strategy.worker_count(), kv.distribute.is_chief()],
    single=refused("single"),
    multiworker=refused("multiworker"),
)
"""


def test_two_devices_are_mirrored_and_nothing_else_in_that_process():
    (found,) = replicas.run(CODE, devices=2)
    assert (found["kind"], found["devices"]) == ("MirroredStrategy", 2)
    assert found["same"] == [True] * 3 and found["inside"] == [2, 2, True] and found["outside"] == [1, 1, True]
    assert "`strategy` is chosen once in a process. Expected 'mirrored'. Received: 'single'" in found["single"]
    assert "kvision launch" in found["multiworker"]


def test_one_device_is_single(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for kind in ("auto", "single"):
        assert kv.distribute.pick_strategy(kind) is tf.distribute.get_strategy()
    assert (
        kv.distribute.replica_count()
        == kv.distribute.strategy.worker_count()
        == kv.distribute.strategy.local_replica_count()
        == 1
    )
    assert kv.distribute.is_chief() and kv.distribute.strategy.current() is tf.distribute.get_strategy()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mirorred", "one of: auto, single, mirrored, multiworker.*Did you mean 'mirrored'"),
        (2, "one of: auto"),
        ("mirrored", "needs several devices. Expected two GPUs or logical CPUs. Received: .'CPU:0'"),
        ("multiworker", "needs several machines. Expected TF_CONFIG, or a Slurm step.*kvision launch --workers N"),
    ],
)
def test_what_cannot_be_is_refused(monkeypatch, kind, text):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match=text):
        kv.distribute.pick_strategy(kind)


def test_a_strategy_of_ones_own_is_taken_with_one_replica_too():
    own = tf.distribute.MirroredStrategy(["CPU:0"])
    assert kv.distribute.pick_strategy(own) is own
    with own.scope():
        assert kv.distribute.strategy.current() is own and kv.distribute.replica_count() == 1


def test_single_of_the_other_backends_does_nothing():
    single = kv.distribute.strategy.Single()
    with single.scope():
        assert single.num_replicas_in_sync == 1 and keras.Variable(1.0).shape == ()
