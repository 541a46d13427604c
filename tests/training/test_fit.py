import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import alone

import kvision as kv
from kvision.checks import UserError
from kvision.training.source import Position

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(22, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
SPEC = (keras.KerasTensor((None, 4)), keras.KerasTensor((None,), "int32"))


def made(**options) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(5, activation="tanh"), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Softmax()])
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"], **options
    )
    return model


def equal(one: keras.Model, other: keras.Model, within: float = 0) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=within)


def test_arrays_are_keras_own_fit_in_an_order_that_follows_from_the_seed(eager):
    ours, keras_own = made(), made()
    history = kv.training.fit(
        ours, (X, Y), epochs=2, batch_size=8, seed=3, verbose=0, validation_data=(X[:9], Y[:9])
    ).history
    for epoch in range(2):
        order = np.random.default_rng([3, epoch]).permutation(22)
        logs = keras_own.fit(
            X[order],
            Y[order],
            initial_epoch=epoch,
            epochs=epoch + 1,
            batch_size=8,
            shuffle=False,
            verbose=0,
            validation_data=(X[:9], Y[:9]),
            validation_batch_size=8,
        ).history
        for name, values in logs.items():
            assert history[name][epoch] == pytest.approx(values[0], abs=1e-6)
    equal(ours, keras_own, within=1e-6)  # graphs of two models: some CPUs round them differently, by 4e-8
    other = made()
    kv.training.fit(other, (X, Y), epochs=2, batch_size=8, seed=4, verbose=0)
    with pytest.raises(AssertionError):
        equal(ours, other, within=1e-3)


def test_epochs_counted_in_two_calls_are_those_of_one(eager):
    once, twice = made(), made()
    kv.training.fit(once, (X, Y), epochs=2, verbose=0)
    kv.training.fit(twice, (X, Y), epochs=1, verbose=0)
    history = kv.training.fit(twice, (X, Y), epochs=2, initial_epoch=1, verbose=0)
    equal(once, twice)
    assert history.epoch == [1] and len(history.history["loss"]) == 1


def test_a_structure_of_inputs_and_weights_of_samples():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    model = keras.Model(
        {"a": a, "b": b}, keras.layers.Dense(2, activation="softmax")(keras.layers.Concatenate()([a, b]))
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    parts = {"a": X[:, :2].astype("float64"), "b": X[:, 2:]}
    weight = np.zeros(22)
    before = model.get_weights()
    assert kv.training.fit(model, (parts, Y, weight), epochs=1, verbose=0).history["loss"] == [0]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert kv.training.predict(model, (parts,), batch_size=4, verbose=0).shape == (22, 2)


def test_evaluate_and_predict_are_keras_own():
    model = made()
    logs = kv.training.evaluate(model, (X, Y), batch_size=8, verbose=0)
    expected = model.evaluate(X, Y, batch_size=8, verbose=0, return_dict=True)
    assert logs == pytest.approx(expected)
    np.testing.assert_allclose(kv.training.predict(model, X, batch_size=8, verbose=0), model(X), atol=1e-6)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.top = keras.layers.Dense(2, activation="softmax")

    def call(self, x):
        return self.top(x)


def test_a_subclass_that_was_never_called_is_built(tmp_path):
    one, other = Own(), Own()
    for model in (one, other):
        model.compile("adam", "sparse_categorical_crossentropy")
    kv.training.fit(one, (X, Y), epochs=1, verbose=0, checkpoints=tmp_path)
    kv.training.fit(other, (X, Y), epochs=1, verbose=0, checkpoints=tmp_path)
    equal(one, other)


@pytest.mark.parametrize("where", ["fit", "validation", "evaluate", "predict"])
def test_what_reading_raises_comes_out_as_it_is(where):
    def read(rows):
        if 5 in rows:
            raise UserError("`data` has changed: 5.jpg is gone.")
        return X[rows], Y[rows]

    source = kv.training.Source(read, 22, 4, SPEC)
    call = {
        "fit": lambda: kv.training.fit(made(), source, epochs=1, verbose=0),
        "validation": lambda: kv.training.fit(made(), (X, Y), epochs=1, verbose=0, validation_data=source),
        "evaluate": lambda: kv.training.evaluate(made(), source, verbose=0),
        "predict": lambda: kv.training.predict(made(), source, verbose=0),
    }[where]
    with pytest.raises(UserError, match=r"^`data` has changed: 5.jpg is gone.$"):
        call()


def test_other_errors_pass():
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        kv.training.fit(made(), (X, Y), epochs=1, verbose=0, callbacks=[Fails()])


def test_checkpoints_want_data_that_can_be_entered(tmp_path):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, Y

    assert kv.training.fit(made(), Batches(), epochs=1, verbose=0).history["loss"]
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(UserError, match=r"`model` has no weights yet.*called on a batch"):
        kv.training.fit(unbuilt, Batches(), epochs=1, verbose=0)
    unbuilt(X)
    assert kv.training.fit(unbuilt, Batches(), epochs=1, verbose=0).history["loss"]
    with pytest.raises(UserError, match=r"`checkpoints` need data that can be entered.*Received: 'Batches'"):
        kv.training.fit(made(), Batches(), epochs=1, verbose=0, checkpoints=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_dataset_goes_on_from_the_middle_of_an_epoch(tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)

    class Struck(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    whole, again = made(), made()
    kv.training.fit(whole, dataset, epochs=2, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        kv.training.fit(
            made(),
            dataset,
            epochs=2,
            verbose=0,
            callbacks=[Struck()],
            checkpoints=kv.training.Resume(tmp_path, every=1),
        )
    kv.training.fit(again, dataset, epochs=2, verbose=0, checkpoints=tmp_path)
    equal(whole, again)


def sigterm_after_the_last_step_of_an_epoch(folder):
    class Ask(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                signal.raise_signal(signal.SIGTERM)

    options = {"epochs": 2, "batch_size": 8, "verbose": 0, "validation_data": (X[:9], Y[:9])}
    whole, struck, again = made(), made(), made()
    expected = kv.training.fit(whole, (X, Y), **options).history
    with pytest.raises(kv.training.Preempted):
        kv.training.fit(struck, (X, Y), callbacks=[Ask()], checkpoints=folder, **options)
    found = kv.training.Resume(folder).checkpoints.latest()
    assert found is not None and found[0] == Position(0, 0, 3)
    history = kv.training.fit(again, (X, Y), checkpoints=folder, **options).history
    equal(whole, again)
    assert history == expected


def test_sigterm_after_the_last_step_of_an_epoch_keeps_its_end(tmp_path):
    alone(sigterm_after_the_last_step_of_an_epoch, tmp_path)


def test_a_strategy_with_one_replica_is_like_none():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = made()
    plain = made()
    options = {"epochs": 1, "batch_size": 8, "verbose": 0, "validation_data": (X, Y), "non_finite": "skip"}
    history = kv.training.fit(model, (X, Y), **options).history
    for name, values in kv.training.fit(plain, (X, Y), **options).history.items():
        assert history[name] == pytest.approx(values)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_what_kerass_own_fit_takes(eager):
    """Arrays, weights of samples and of classes, and a part to validate on, by the same numbers."""
    classes, weight = {0: 3.0, 1: 0.5}, np.linspace(0, 2, 22).astype("float32")
    options = {"epochs": 2, "batch_size": 8, "verbose": 0}
    cases = [
        ({"sample_weight": weight}, {"sample_weight": weight}),
        ({"class_weight": classes}, {"class_weight": classes}),
        ({"validation_split": 0.25}, {"validation_split": 0.25}),
        ({"class_weight": classes, "sample_weight": weight}, {"sample_weight": weight * np.where(Y, 0.5, 3)}),
    ]
    for ours, its in cases:
        one, other = made(), made()
        found = kv.training.fit(one, X, Y, seed=None, **ours, **options).history
        expected = other.fit(X, Y, shuffle=False, **its, **options).history
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, abs=1e-6), (ours.keys(), name)
        equal(one, other, within=1e-6)
    assert kv.training.evaluate(one, X, Y, sample_weight=weight, verbose=0)["loss"] == pytest.approx(
        one.evaluate(X, Y, sample_weight=weight, verbose=0)[0]
    )


def test_class_weights_of_every_kind_of_data(eager):
    options = {"epochs": 1, "class_weight": {1: 4.0}, "verbose": 0}
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    losses = [
        kv.training.fit(made(), data, seed=None, batch_size=8, **options).history["loss"][0]
        for data in ((X, Y), (X.tolist(), Y.tolist()), kv.training.Source(lambda i: (X[i], Y[i]), 22, 8, SPEC), dataset)
    ]
    np.testing.assert_allclose(losses, losses[0], atol=1e-6)


@pytest.mark.parametrize("stop", [2, 4, 5])
def test_an_endless_dataset_goes_on_after_a_stop(eager, tmp_path, stop):
    """Epochs of 4 steps over 3 batches, stopped within one, at its end, and within the next."""
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat()

    class Struck(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == stop:
                raise KeyboardInterrupt

    options = {"epochs": 2, "steps_per_epoch": 4, "verbose": 0}
    whole, again = made(), made()
    expected = kv.training.fit(whole, dataset, **options).history
    assert int(whole.optimizer.iterations) == 8
    keep = kv.training.Resume(tmp_path, every=1)
    with pytest.raises(KeyboardInterrupt):
        kv.training.fit(made(), dataset, callbacks=[Struck()], checkpoints=keep, **options)
    history = kv.training.fit(again, dataset, checkpoints=tmp_path, **options).history
    equal(whole, again, within=1e-7)
    assert history["loss"] == pytest.approx(expected["loss"], abs=1e-6)


def test_what_does_not_suit_the_model_is_said_before_the_first_step(eager):
    model, raw = made(), keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for call in (kv.training.fit, kv.training.evaluate):
        options = {"epochs": 1} if call is kv.training.fit else {}
        for arguments, text in [
            ((raw, (X, Y)), "`model` is not compiled"),
            ((model, (X[:, :3], Y)), r"has another shape.*Expected \(N, 4\). Received: \(22, 3\)"),
            ((model, (X, Y + 1)), r"labels that are no class.*1 to 2.*subtract 1"),
            ((model, (X, np.array(["cat", "dog"])[Y])), r"np\.unique"),
            (
                (model, tf.data.Dataset.from_tensor_slices((X, Y + 1)).batch(8)),
                "no class numbers.*integers from 0 to 1",
            ),
        ]:
            with pytest.raises(UserError, match=text):
                call(*arguments, verbose=0, **options)
    with pytest.raises(UserError, match=r"`data` has another shape.*Received: \(22, 3\)"):
        kv.training.predict(model, X[:, :3])
    with pytest.raises(UserError, match=r"`validation_data` has another shape"):
        kv.training.fit(model, X, Y, epochs=1, validation_data=(X[:, :3], Y), verbose=0)
