import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.training import resume as resuming
from kvision.training.checkpoint import Checkpoints
from kvision.training.resume import Resume, Run
from kvision.training.source import Position

pytestmark = pytest.mark.usefixtures("eager")  # the fixtures of the module train in a graph
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(22, 4)).astype("float32")
Y = (X[:, :1] + RANDOM.normal(size=(22, 1)) > 0).astype("float32")


class Struck(Exception):
    pass


class Strike(keras.callbacks.Callback):
    """A kill that the process survives: leaves fit at the end of a step of an epoch (-1: after its last)."""

    def __init__(self, epoch, step):
        super().__init__()
        self._epoch, self._step, self._now = epoch, step, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self._now, batch) == (self._epoch, self._step):
            raise Struck

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, -1) == (self._epoch, self._step):
            raise Struck


class Scalar(keras.layers.Layer):
    """A weight without a shape, as a temperature is."""

    def build(self, shape):
        self.scale = self.add_weight((), initializer="ones")

    def call(self, x):
        return x * self.scale


def made(rate=0.2) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)]
    model = keras.Sequential([keras.Input((4,)), *layers, Scalar(), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])
    return model


def watchers() -> list:
    return [
        keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.05),
        kv.training.KeepBest("val_accuracy"),
    ]


def run(folder, *strikes, epochs=10, every=2):
    """The training, struck once for each of `strikes`, then whole -> all state, its callbacks, its history."""
    for strike in [*strikes, None]:
        model, callbacks = made(), watchers()
        first = [] if strike is None else [Strike(*strike)]
        try:
            history = kv.training.fit(
                model,
                (X, Y),
                epochs=epochs,
                validation_data=(X[:9], Y[:9]),
                batch_size=4,
                verbose=0,
                callbacks=[*callbacks, *first],
                checkpoints=folder and Resume(folder, every=every),
            )
        except Struck:
            continue
        state = [read(v) for v in [*model.variables, *model.optimizer.variables]]
        return state, callbacks, history.history
    raise AssertionError("struck to the end")


@pytest.fixture(scope="module")
def whole():
    return run(None)


def equal(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one[1], other[1], strict=True):
        assert plain(a) == plain(b)
    for a, b in zip(one[1][2].weights, other[1][2].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[2] == other[2]


def plain(callback) -> dict:
    return {name: value for name, value in vars(callback).items() if isinstance(value, bool | int | float | str)}


@pytest.fixture(scope="module")
def struck(tmp_path_factory):
    """Killed in a step, after an epoch's last step, before and after the best epoch; then whole -> result, folder."""
    folder = tmp_path_factory.mktemp("struck")
    return run(folder, (0, 2), (1, 4), (2, -1), (7, 1)), folder


def test_struck_anywhere_it_ends_bit_equal_with_its_callbacks(whole, struck):
    assert whole[1][0].stopped_epoch > 0 and whole[1][1].best < np.inf and whole[1][2].weights
    assert len(whole[2]["loss"]) < 10, "the early stop is part of the test"
    equal(struck[0], whole)


@pytest.mark.slow
def test_control_without_what_the_callbacks_kept_it_ends_elsewhere(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(resuming.callback_state, "put", lambda *given: None)
    with pytest.raises(AssertionError):
        equal(run(tmp_path, (7, 2)), whole)


@pytest.mark.slow
def test_control_without_the_sums_the_interrupted_epochs_logs_differ(whole, tmp_path, monkeypatch):
    put = Run._put
    monkeypatch.setattr(Run, "_put", lambda self, kind, to: put(self, kind, to) if kind == "variable" else None)
    other = run(tmp_path, (1, 3))
    for a, b in zip(other[0], whole[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert other[2]["loss"][1] != whole[2]["loss"][1] and other[2]["loss"][2:] == whole[2]["loss"][2:]


def test_a_finished_training_is_not_done_again(whole, struck):
    folder = struck[1]
    files = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    _, callbacks, history = run(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == files
    assert history == whole[2]
    assert plain(callbacks[2]) == plain(whole[1][2])


def patient(folder, epochs, **settings) -> tuple[keras.callbacks.EarlyStopping, int]:
    """A training that does not get better -> its callback, and how many epochs it took."""
    stop = keras.callbacks.EarlyStopping("loss", mode="min", **settings)
    options = {"verbose": 0, "callbacks": [stop], "checkpoints": folder}
    return stop, len(kv.training.fit(made(rate=0.0), (X, Y), epochs=epochs, **options).history["loss"])


def test_settings_are_those_at_hand_and_counts_go_on(tmp_path):
    first, _ = patient(tmp_path, 2, patience=2, min_delta=0.5)
    assert (first.wait, first.stopped_epoch) == (1, 0)
    second, epochs = patient(tmp_path, 4, patience=9, min_delta=0.7)
    assert (second.patience, second.min_delta, second.wait, second.best, epochs) == (9, -0.7, 3, first.best, 4)


def kept(folder) -> tuple[Position, dict]:
    """Position and record of the last checkpoint."""
    found = Resume(folder).checkpoints.latest()
    assert found is not None
    return found[0], found[2]


def fitted(folder, epochs, *, model=None, callbacks=(), **options):
    model = made() if model is None else model
    options = {"batch_size": 4, "verbose": 0, "callbacks": callbacks, "checkpoints": folder, **options}
    return model, kv.training.fit(model, (X, Y), epochs=epochs, **options).history


def test_a_rate_that_was_asked_for_anew_is_taken_and_one_that_training_lowered_goes_on(tmp_path, capsys):
    lower = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=9)  # after each but the first
    fitted(tmp_path, 2, callbacks=[lower])
    same, _ = fitted(tmp_path, 2)
    assert (
        float(same.optimizer.learning_rate) == np.float32(0.1) and "with a learning rate" not in capsys.readouterr().err
    )
    other, _ = fitted(tmp_path, 3, model=made(0.05))
    assert float(other.optimizer.learning_rate) == np.float32(0.05)
    assert "with a learning rate of 0.05 in place of 0.2" in capsys.readouterr().err
    again, _ = fitted(tmp_path, 4, model=made(0.05))
    assert float(again.optimizer.learning_rate) == np.float32(0.05)


def test_a_rate_that_an_earlier_training_of_this_process_left_is_no_wish(tmp_path):
    """A curve of its own, struck in an epoch, and called again with the same model: each epoch counts once."""
    curve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    model = made()
    with pytest.raises(Struck):
        fitted(Resume(tmp_path, every=2), 4, model=model, callbacks=[curve, Strike(2, 0)])
    fitted(tmp_path, 4, model=model, callbacks=[curve])
    whole, _ = fitted(None, 4, callbacks=[curve])
    assert float(model.optimizer.learning_rate) == float(whole.optimizer.learning_rate) == np.float32(0.2 / 16)


def test_callbacks_are_known_by_their_class_and_log_wherever_they_stand(tmp_path):
    best, other = kv.training.KeepBest("loss"), kv.training.KeepBest("accuracy")
    fitted(tmp_path, 2, callbacks=[best, other])
    first, second, third = (kv.training.KeepBest(log) for log in ("loss", "accuracy", "val_loss"))
    held_out = {"validation_data": (X[:9], Y[:9])}
    fitted(tmp_path, 2, callbacks=[kv.training.Clock(), third, second, first], **held_out)
    assert (first.value, second.value) == (best.value, other.value) and first.value != second.value
    assert all(map(np.array_equal, first.weights, best.weights)) and third.value is None


def test_what_a_callback_brought_from_an_earlier_call_is_kept_too(tmp_path):
    best = kv.training.KeepBest("loss")
    fitted(tmp_path, 2, callbacks=[best])
    best.value = 1e9  # which no later epoch is better than
    fitted(tmp_path, 3, callbacks=[best])
    again = kv.training.KeepBest("loss")
    fitted(tmp_path, 3, callbacks=[again])
    assert (again.value, again.epoch) == (best.value, best.epoch)


def test_one_resume_for_two_calls_is_like_its_folder(tmp_path):
    resume, model = Resume(tmp_path / "object"), made()
    fitted(resume, 2, model=model)
    _, history = fitted(resume, 4, model=model)
    twice, expected = made(), fitted(tmp_path / "folder", 2)[0]
    _, history_by_folder = fitted(tmp_path / "folder", 4, model=twice)
    assert len(history["loss"]) == 4 and history == history_by_folder and expected is not twice
    for a, b in zip(model.variables, twice.variables, strict=True):
        np.testing.assert_array_equal(read(a), read(b))
    assert kept(tmp_path / "object")[0] == Position(0, 4, 0)


def test_another_seed_or_within_an_epoch_another_batch_is_refused(tmp_path):
    with pytest.raises(Struck):
        fitted(Resume(tmp_path, every=2), 2, callbacks=[Strike(0, 3)])
    for options, text in ({"batch_size": 8}, "rows 4, .*rows 8, "), ({"seed": 1}, "seed 0, .*seed 1, "):
        with pytest.raises(UserError, match=rf"`checkpoints` were written by a training on other batches.*{text}"):
            fitted(tmp_path, 2, **options)
    fitted(tmp_path, 2)
    fitted(tmp_path, 3, batch_size=8)
    with pytest.raises(UserError, match=r"other batches.*seed 0.*seed 1"):
        fitted(tmp_path, 3, seed=1)
    fitted(tmp_path, 4, seed=np.int64(0), batch_size=np.int64(8))


def test_a_metric_of_several_numbers_is_kept(tmp_path):
    model = made()
    model.compile("sgd", "binary_crossentropy", metrics=[keras.metrics.F1Score(threshold=0.5)])
    _, history = fitted(tmp_path, 2, model=model)
    assert np.shape(history["f1_score"]) == (2, 1) and kept(tmp_path)[1]["history"] == history


def test_what_was_put_back_is_not_held_for_the_whole_training(tmp_path):
    fitted(tmp_path, 1, callbacks=[kv.training.KeepBest("loss")])
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(sorted(run._arrays))

    model = made()
    model.optimizer.build(model.trainable_variables)
    with resuming.resuming(tmp_path, model) as run:
        fitted(run, 2, model=model, callbacks=[kv.training.KeepBest("loss"), Look()])
    assert seen == [[]]


def test_where_it_goes_on_is_told_even_past_a_damaged_file(tmp_path, capsys):
    resume = Resume(tmp_path, every=2)
    with pytest.raises(Struck):
        kv.training.fit(made(), (X, Y), epochs=2, batch_size=4, verbose=0, callbacks=[Strike(1, 3)], checkpoints=resume)
    newest = resume.checkpoints.files()[-1]
    assert newest.name == "000-000001-00000002.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    capsys.readouterr()
    kv.training.fit(made(), (X, Y), epochs=2, batch_size=4, verbose=0, checkpoints=tmp_path)
    told = capsys.readouterr().err
    assert f"{newest} is damaged" in told and "continues at epoch 2, from 000-000001-00000000.npz" in told


class Slow(keras.callbacks.Callback):
    """Sets a clock that goes on by a second an epoch; checkpoints take `costs`, those after them the last."""

    def __init__(self, monkeypatch, costs):
        super().__init__()
        self._now, write, coming = 0.0, Checkpoints.write, [*costs]
        monkeypatch.setattr(resuming, "time", SimpleNamespace(monotonic=lambda: self._now))

        def slow(checkpoints, *given):
            self._now += coming.pop(0) if len(coming) > 1 else coming[0]
            return write(checkpoints, *given)

        monkeypatch.setattr(Checkpoints, "write", slow)

    def on_epoch_end(self, epoch, logs=None):
        self._now += 1


@pytest.mark.parametrize(
    ("costs", "share", "epochs"),
    [
        ([0.5], None, [*range(1, 11)]),
        ([0.01], 0.05, [*range(1, 11)]),
        ([0.1], 0.05, [1, 3, 5, 7, 9, 10]),
        ([9], 0.5, [1, 10]),
        ([0.1, 9, 0.1], 0.05, [1, 3, 5, 7, 9, 10]),  # a stalled disk
        ([1e9], 0.5, [1, 4, 7, 10]),  # and the longest pause, of three epochs
    ],
)
def test_checkpoints_take_their_share_of_the_time_and_the_last_is_written(costs, share, epochs, monkeypatch, tmp_path):
    if costs[0] > 100:
        monkeypatch.setattr(resuming, "_LONGEST_PAUSE", 3.0)
    resume, slow = Resume(tmp_path, keep=99, share=share), Slow(monkeypatch, costs)
    kv.training.fit(made(), (X, Y), epochs=10, verbose=0, callbacks=[slow], checkpoints=resume)
    assert [int(path.name[4:10]) for path in resume.checkpoints.files()] == epochs


def test_epochs_that_were_passed_over_are_trained_again_to_the_same_end(tmp_path, monkeypatch):
    def trained(*strike):
        model, resume = made(), Resume(tmp_path, share=1e-9)
        history = kv.training.fit(model, (X, Y), epochs=6, verbose=0, callbacks=[*strike], checkpoints=resume)
        return [read(v) for v in model.variables], history.history["loss"]

    with pytest.raises(Struck):
        trained(Strike(4, 0))
    assert kept(tmp_path)[0] == Position(0, 1, 0)
    again, losses = trained()
    model = made()
    whole = kv.training.fit(model, (X, Y), epochs=6, verbose=0).history["loss"]
    assert losses == whole
    for a, b in zip(again, model.variables, strict=True):
        np.testing.assert_array_equal(a, read(b))


def test_a_stopped_training_is_kept_as_stopped(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 2

    kv.training.fit(made(), (X, Y), epochs=9, verbose=0, callbacks=[Stop()], checkpoints=Resume(tmp_path, share=1e-9))
    position, record = kept(tmp_path)
    assert position.epoch == 3 and record["stopped"]


def test_another_models_checkpoint_is_refused(tmp_path):
    kv.training.fit(made(), (X, Y), epochs=1, verbose=0, checkpoints=tmp_path)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    other.compile("sgd", "mse")
    with pytest.raises(UserError, match=r"`checkpoints` hold the state of another training.*folder of its own"):
        kv.training.fit(other, (X, Y), epochs=2, verbose=0, checkpoints=tmp_path)


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    model = made()
    kv.training.fit(model, (X, Y), epochs=1, verbose=0, checkpoints=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.layers[0].kernel.assign(np.full((4, 8), np.nan))

    with pytest.raises(UserError, match=r"`checkpoints` were not written: a weight is not finite.*kernel"):
        fitted(tmp_path, 2, model=model, batch_size=32, callbacks=[Break()])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_bfloat16_comes_back(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        one, other = made(), made()
        kv.training.fit(one, (X, Y), epochs=1, verbose=0, checkpoints=tmp_path)
        kv.training.fit(other, (X, Y), epochs=1, verbose=0, checkpoints=tmp_path)
        for a, b in zip(one.variables, other.variables, strict=True):
            np.testing.assert_array_equal(read(a).astype("float32"), read(b).astype("float32"))
    finally:
        keras.config.set_dtype_policy(before)


def test_a_record_is_json_and_every_is_a_count(tmp_path):
    kv.training.fit(made(), (X, Y), epochs=1, verbose=0, callbacks=[kv.training.KeepBest("loss")], checkpoints=tmp_path)
    _, record = kept(tmp_path)
    assert json.loads(json.dumps(record)) == record
    (best,) = record["callbacks"]
    assert best["kind"] == ["KeepBest", "loss"] and best["values"]["epoch"] == 0 and best["lists"]["weights"] > 0
    with pytest.raises(UserError, match=r"`every` .*at least 1"):
        Resume(tmp_path, every=0)
    for share in (0, 1, 5.0):
        with pytest.raises(UserError, match=r"`share` .*between 0 and 1"):
            Resume(tmp_path, share=share)
    with pytest.raises(UserError, match=r"`share` .*None beside `every`"):
        Resume(tmp_path, every=2, share=0.5)
