import keras
import numpy as np
import pytest
from trainings import Record, attached

import kvision as kv
from kvision.checks import UserError
from kvision.schedules import Phase

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (24, 16, 16, 3)).astype("float32")
LABELS = np.arange(24) % 3


def test_phases_follow_the_data_with_one_optimizer():
    record, optimizer = Record(), kv.training.Adam()
    steps = [Phase(0, "top", 1e-2), Phase(2, "all", 1e-3, norm="train", curve=kv.schedules.Constant())]
    history = kv.schedules.fit(
        attached(), (IMAGES, LABELS), steps, epochs=4, optimizer=optimizer, callbacks=[record], verbose=0
    ).history
    assert len(history["loss"]) == 4
    assert record.trainable == [2] * 2 + [6] * 2  # 24 images are one step an epoch
    assert record.iterations == [1, 2, 3, 4]
    np.testing.assert_allclose(record.rates, [1e-2, 1e-2 * (1 + np.cos(np.pi / 2)) / 2, 1e-3, 1e-3], rtol=1e-6)
    births = keras.ops.convert_to_numpy(optimizer.birth)
    assert sorted(births) == [0, 0, 2, 2, 2, 2]


def test_one_phase_is_kerass_own_fit(eager):
    """The same data, rate and order through plain Keras end at the same weights."""
    ours, plain = attached(), attached()
    steps = [Phase(0, "all", 1e-2, norm="train", curve=kv.schedules.Constant())]
    data = [(IMAGES[i : i + 8], LABELS[i : i + 8]) for i in (0, 8, 16)]
    # a bias before a normalization has rounding alone for a gradient, of which a small epsilon makes steps
    options = {"epsilon": 1e-3}
    kv.schedules.fit(ours, _Batches(data), steps, epochs=2, optimizer=kv.training.Adam(**options), verbose=0)
    kv.schedules.freeze(plain, above="all", norm="train")
    plain.compile(keras.optimizers.Adam(1e-2, **options), "sparse_categorical_crossentropy")
    plain.fit(_Batches(data), epochs=2, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


class _Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize(
    ("steps", "epochs"),
    [
        ([], 2),
        ([Phase(1, "top", 1e-3)], 2),
        ([Phase(0, "top", 1e-3), Phase(2, "all", 1e-3)], 2),
        ([Phase(0, "top", 1e-3), Phase(0, "all", 1e-3)], 2),
    ],
)
def test_steps_out_of_order(steps, epochs):
    with pytest.raises(UserError, match="rising epochs"):
        kv.schedules.fit(attached(), (IMAGES, LABELS), steps, epochs=epochs)


def test_values_are_checked_where_they_are_written():
    for arguments, text in [
        ((-1, "top", 1e-3), "`epoch`"),
        ((0, "top", 0), "`learning_rate`"),
        ((0, "top", np.nan), "`learning_rate`"),
    ]:
        with pytest.raises(UserError, match=text):
            Phase(*arguments)
    with pytest.raises(UserError, match=r"`curve`.*kv\.schedules\.Cosine"):
        Phase(0, "top", 1e-3, curve="cosine")
    with pytest.raises(UserError, match="`layer_decay`"):
        Phase(0, "top", 1e-3, layer_decay=2.6)
    with pytest.raises(UserError, match="Did you mean 'block'"):
        Phase(0, "top", 1e-3, layers="blocks")
    with pytest.raises(UserError, match="learning rate in the first"):
        kv.schedules.fit(attached(), (IMAGES, LABELS), [Phase(0, "top")], epochs=1)
    with pytest.raises(UserError, match=r"kv\.training\.Adam"):
        kv.schedules.fit(
            attached(), (IMAGES, LABELS), [Phase(0, "top", 1e-3)], epochs=1, optimizer=keras.optimizers.Adam()
        )


def test_a_phase_without_a_rate_goes_on_with_the_curve_before(eager):
    """One cosine over the first three epochs, though the second opens the body; then another for the last."""
    record = Record()
    steps = [Phase(0, "top", 1e-2), Phase(1, "all", norm="stats"), Phase(3, "all", 1e-3, norm="stats")]
    kv.schedules.fit(attached(), (IMAGES, LABELS), steps, epochs=4, callbacks=[record], verbose=0)
    expected = [1e-2 * (1 + np.cos(np.pi * p)) / 2 for p in (0, 1 / 3, 2 / 3)]
    np.testing.assert_allclose(record.rates, [*expected, 1e-3], rtol=1e-5)
    assert record.trainable == [2, 6, 6, 6]


class Deltas(keras.callbacks.Callback):
    """How far each variable moved in the last step."""

    def on_train_batch_begin(self, batch, logs=None):
        self.before = {v.path: keras.ops.convert_to_numpy(v).copy() for v in self.model.trainable_variables}

    def on_train_batch_end(self, batch, logs=None):
        now = {v.path: keras.ops.convert_to_numpy(v) for v in self.model.trainable_variables}
        self.moved = {path: float(np.abs(now[path] - value).max()) for path, value in self.before.items()}


def test_layer_decay_slows_layers_by_their_depth_in_one_optimizer(eager):
    """Adam's first step is the rate itself, whatever the gradient: a stage below moves by a half of it."""
    deltas = Deltas()
    steps = [Phase(0, "all", 1e-3, norm="stats", curve=kv.schedules.Constant(), layer_decay=0.5)]
    kv.schedules.fit(attached(), (IMAGES, LABELS), steps, epochs=1, callbacks=[deltas], verbose=0)
    assert deltas.moved["probabilities/kernel"] == pytest.approx(1e-3, rel=1e-2)
    assert deltas.moved["conv/kernel"] == pytest.approx(0.5e-3, rel=1e-2)


def test_float16_scales_the_loss_through_all_phases(eager):
    """One LossScaleOptimizer around one optimizer: its counter goes on across the unfreezing, and all steps count."""
    model, optimizer = attached(), kv.training.Adam()
    kv.training.mixed(model.get_layer("body"), "mixed_float16")
    scales = []

    class Scale(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            scales.append((type(self.model.optimizer).__name__, int(self.model.optimizer.step_counter)))

    steps = [Phase(0, "top", 1e-2), Phase(2, "all", 1e-3, norm="train")]
    kv.schedules.fit(model, (IMAGES, LABELS), steps, epochs=4, optimizer=optimizer, callbacks=[Scale()], verbose=0)
    assert scales == [("LossScaleOptimizer", n) for n in (1, 2, 3, 4)]
    assert int(optimizer.iterations) == 4
    assert sorted(keras.ops.convert_to_numpy(optimizer.birth)) == [0, 0, 2, 2, 2, 2]


def test_half_precision_learns_what_float32_learns(eager):
    histories = {}
    for precision in ("float32", "mixed_bfloat16", "mixed_float16"):
        model = attached()
        kv.training.mixed(model.get_layer("body"), precision)
        steps = [Phase(0, "all", 1e-2, norm="train")]
        histories[precision] = kv.schedules.fit(model, (IMAGES, LABELS), steps, epochs=6, verbose=0).history["loss"]
    for precision in ("mixed_bfloat16", "mixed_float16"):
        np.testing.assert_allclose(histories[precision], histories["float32"], atol=5e-3)
        assert histories[precision] != histories["float32"], "control: it computes in another precision"
    assert histories["float32"][-1] < histories["float32"][0] - 0.01


def test_a_training_killed_at_the_unfreezing_ends_bit_identical(tmp_path, eager):
    """With averages, rates by layer and moving statistics: stopped in the first epoch after the unfreezing."""

    class Killed(Exception):
        pass

    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 7:
                raise Killed

    def train(*callbacks, **options):
        optimizer = kv.training.Adam(use_ema=True, ema_momentum=0.5, weight_decay=0.01)
        steps = [
            Phase(0, "top", 1e-2),
            Phase(2, "all", norm="train", layer_decay=0.5),
            Phase(3, "all", 1e-3, norm="train", curve=kv.schedules.OneCycle()),
        ]
        model = attached()
        history = kv.schedules.fit(
            model,
            (IMAGES, LABELS),
            steps,
            epochs=4,
            batch_size=8,
            optimizer=optimizer,
            verbose=0,
            validation_data=(IMAGES, LABELS),
            callbacks=callbacks,
            **options,
        ).history
        return history, [keras.ops.convert_to_numpy(v) for v in [*model.variables, *optimizer.variables]]

    whole = train()
    with pytest.raises(Killed):
        train(Kill(), checkpoints=kv.training.Resume(tmp_path, every=1))
    resumed = train(checkpoints=kv.training.Resume(tmp_path, every=1))
    assert resumed[0] == whole[0]
    for ours, theirs in zip(resumed[1], whole[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_resume_whose_first_call_failed_looks_again(tmp_path, eager):
    """What was read is not taken for what was put back."""
    data, steps = (IMAGES, LABELS), [Phase(0, "top", 1e-2)]
    options = {"epochs": 2, "batch_size": 8, "verbose": 0}
    kv.schedules.fit(attached(), data, steps, checkpoints=tmp_path, **options)
    resume, model = kv.training.Resume(tmp_path), attached()
    with pytest.raises(UserError, match="no stage or layer"):
        kv.schedules.fit(model, data, [Phase(0, "typo", 1e-2)], checkpoints=resume, **options)
    other, again = attached(), attached()
    kv.schedules.fit(other, data, steps, checkpoints=resume, **options)
    kv.schedules.fit(again, data, steps, checkpoints=tmp_path, **options)
    for ours, theirs in zip(other.variables, again.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs))


def test_weights_of_classes_a_part_to_validate_on_and_steps_of_an_epoch(eager):
    optimizer, phases = kv.training.Adam(), [Phase(0, "top", 1e-3), Phase(1, "all")]
    options = {"class_weight": {0: 0.0, 1: 0.0, 2: 0.0}, "validation_split": 0.25, "steps_per_epoch": 4, "verbose": 0}
    history = kv.schedules.fit(
        attached(), (IMAGES, LABELS.tolist()), phases, epochs=2, batch_size=8, optimizer=optimizer, **options
    ).history
    assert history["loss"] == [0, 0] and min(history["val_loss"]) > 0
    assert int(optimizer.iterations) == 8
