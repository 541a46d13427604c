import keras
import numpy as np
import pytest

from kvision import runs

KINDS = {"history": dict, "score": float}


def network(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    image = keras.Input((4,), name="image")
    return keras.Model(image, keras.layers.Dense(2)(image))


def test_a_training_is_recorded_and_read_back(tmp_path):
    theirs, calls = network(1), []

    def fit(resume):
        calls.append(resume)
        resume.folder.mkdir(parents=True)
        (resume.folder / "000-000001-00000000.npz").touch()
        return theirs, {"history": {"loss": [1.0]}}

    def measure(model):
        return lambda: {"score": float(np.abs(model.get_weights()[0] - theirs.get_weights()[0]).max())}

    records, model = runs.Records(tmp_path), network(0)
    record = runs.trained(records, "net", model, fit=fit, measure=measure(model), kinds=KINDS)
    assert record == {"score": 0.0, "history": {"loss": [1.0]}}, "it is measured with the trained weights"
    assert not list(calls[0].folder.glob("*.npz")), "checkpoints of a finished training are removed"
    again = network(2)
    assert runs.trained(records, "net", again, fit=fit, measure=measure(again), kinds=KINDS) == record
    np.testing.assert_array_equal(again.get_weights()[0], theirs.get_weights()[0])
    assert len(calls) == 1, "a finished training is not repeated"


def test_a_training_without_records_keeps_nothing():
    model = network(0)
    for _ in range(2):
        record = runs.trained(
            runs.Records(), "net", model, fit=lambda resume: (network(1), {"resume": resume}), measure=dict, kinds=KINDS
        )
        assert record == {"resume": None}


def test_a_training_that_fails_leaves_no_record(tmp_path):
    with pytest.raises(ZeroDivisionError):
        runs.trained(runs.Records(tmp_path), "net", network(0), fit=lambda _: 1 / 0, measure=dict, kinds=KINDS)
    assert not list(tmp_path.glob("*"))


def test_another_worker_reads_the_chiefs_record(tmp_path):
    chief, worker = runs.Records(tmp_path), runs.Records(tmp_path, is_chief=False)
    chief.finish("net", {"history": {}, "score": 0.5})
    (tmp_path / "net.json").rename(tmp_path / "later.json")

    def fit(resume):
        (tmp_path / "later.json").rename(tmp_path / "net.json")  # the chief finishes meanwhile
        return network(1), {}

    record = runs.trained(worker, "net", network(0), fit=fit, measure=lambda: pytest.fail("measured"), kinds=KINDS)
    assert record == {"history": {}, "score": 0.5} and not (tmp_path / "net.weights.h5").exists()
