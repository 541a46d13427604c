"""One device with the global batch, two devices, and two processes end at the same weights."""

import numpy as np
import pytest
import replicas

CODE = """
import trainings

def run(name, make, policy="float32"):
    keras.config.set_dtype_policy(policy)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = make()
        found[name] = [kv.distribute.values.read(v).tolist() for v in model.variables]
        sums[name] = trainings.checksum(model)

found, sums = {}, {}
run("fine-tuning", lambda: trainings.fine_tuned(kv.training.SGD(momentum=0.9)))
run("contrast", lambda: trainings.contrast(keras.optimizers.SGD(0.05, momentum=0.9)))
run("fine-tuning, Adam", lambda: trainings.fine_tuned(kv.training.Adam(epsilon=1e-3), epochs=1, rows=24))
def half(epochs):
    sgd = keras.optimizers.SGD(0.05)
    scaled = keras.optimizers.LossScaleOptimizer(sgd, initial_scale=128)  # Keras' own start would leave the step out
    return trainings.contrast(scaled, epochs=epochs, rows=8)

run("half, before", lambda: half(0), "mixed_float16")
run("half", lambda: half(1), "mixed_float16")
keras.config.set_dtype_policy("float32")
run("control", lambda: trainings.contrast(keras.optimizers.SGD(0.05, momentum=0.9), epochs=1, rows=24, gathers=False))
answer(found=found, sums=sums)
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, list[dict]]:
    return {
        "one device": replicas.run(CODE),
        "two devices": replicas.run(CODE, devices=2),
        "two workers": replicas.run(CODE, workers=2),
    }


def apart(one: dict, other: dict, name: str) -> float:
    pairs = zip(one["found"][name], other["found"][name], strict=True)
    return float(np.max([np.abs(np.array(a) - np.array(b)).max() for a, b in pairs]))  # a NaN stays one


@pytest.mark.multiworker
@pytest.mark.parametrize("name", ["fine-tuning", "contrast", "fine-tuning, Adam"])
def test_replicas_and_workers_equal_one_device(answers, name):
    (one,) = answers["one device"]
    for other in [*answers["two devices"], *answers["two workers"]]:
        assert apart(one, other, name) < 1e-5
    first, second = answers["two workers"]
    assert first["sums"] == second["sums"], "the workers are not bit-equal"


@pytest.mark.multiworker
def test_a_step_of_mixed_precision_is_near(answers):
    def step(answer: dict) -> np.ndarray:
        parts = zip(answer["found"]["half"], answer["found"]["half, before"], strict=True)
        return np.concatenate([np.ravel(np.array(after) - np.array(before)) for after, before in list(parts)[:4]])

    (one,) = answers["one device"]
    assert np.abs(step(one)).max() > 1e-3
    for other in [*answers["two devices"], *answers["two workers"]]:
        assert np.linalg.norm(step(one) - step(other)) < 1e-2 * np.linalg.norm(step(one))


@pytest.mark.multiworker
def test_control_negatives_of_the_own_replica_alone_are_another_loss(answers):
    (one,) = answers["one device"]
    for other in [*answers["two devices"], *answers["two workers"]]:
        assert apart(one, other, "control") > 1e-3
