import keras
import numpy as np
import pytest
import replicas

from kvision.distribute import values

WORKERS = """
import pathlib, signal
from kvision.checks import UserError
from kvision.training import checkpoint

index = strategy.cluster_resolver.task_id
apart = None
from kvision.distribute import strategy as places, values
values.agree("--seed", 7)
try:
    values.agree("--seed", index)
except UserError as problem:
    apart = str(problem)
says = [values.anyone(False), values.anyone(index == 1), values.anyone(True)]

random = np.random.default_rng(0)
x, y = random.normal(size=(45, 4)).astype("float32"), random.normal(size=(45, 1)).astype("float32")
folder = pathlib.Path(sys.argv[1])

class Strike(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if index == 1 and batch == 1:
            signal.raise_signal(signal.SIGTERM)

def fit(name, **options):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    resume = kv.training.Resume(folder / name, every=2, keep=9)
    history = kv.training.fit(model, (x, y), epochs=1, batch_size=10, verbose=0, checkpoints=resume, **options)
    return [values.read(v).tolist() for v in model.weights], history.history

def files(name):
    return sorted(path.name for path in (folder / name).iterdir())

whole = fit("whole")
written = files("whole")
code = None
try:
    fit("struck", callbacks=[Strike()])
except SystemExit as stop:
    code = stop.code
values.barrier()
left = files("struck")
again = fit("struck")
answer(
    worker=[index, places.worker_count(), places.is_chief()], apart=apart, says=says, written=written,
    code=code, left=left, same=again == whole, loss=whole[1]["loss"],
)
"""


@pytest.mark.multiworker
def test_workers_agree_and_their_checkpoints_hold_the_sums_of_all(tmp_path):
    both = replicas.run(WORKERS, workers=2, arguments=[str(tmp_path)])
    assert [found["worker"] for found in both] == [[0, 2, True], [1, 2, False]]
    for found in both:
        assert "`--seed` differs between the machines. Expected one value on all. Received: [0, 1]" in found["apart"]
        assert found["says"] == [False, True, True]
        assert found["written"] == [f"000-00000{n}.npz" for n in ("0-00000002", "0-00000004", "1-00000000")]
        assert found["code"] == 75, "asked by SIGTERM, or by the other one"
        assert found["left"][-1] == "000-000000-00000002.npz", "both ended after the same step"
        assert found["same"], "weights, loss and metrics as if nothing had been"


def test_numbers_of_one_process():
    variable = keras.Variable([1.0, 2.0])
    np.testing.assert_array_equal(values.read(variable), [1, 2])
    values.write(variable, np.array([3, 4]))
    np.testing.assert_array_equal(values.read(variable), [3, 4])
    copy = values.read(variable)
    variable.assign([0, 0])
    np.testing.assert_array_equal(copy, [3, 4])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    assert values.read(keras.optimizers.SGD(schedule).learning_rate) == 0.5
    values.agree("anything", 3)
    values.barrier()
    assert values.anyone(True) and not values.anyone(False)
