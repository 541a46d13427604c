import inspect

import keras
import numpy as np
import pytest
from trainings import Record, attached

import kvision as kv
from kvision.checks import UserError
from kvision.schedules import SCHEDULES, OneCycle, Steps, schedule

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype("float32")
LABELS = np.arange(24) % 3


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("epochs", [1, 7])
def test_each_trains_through_its_phases_on_any_number_of_epochs(name, epochs):
    model, record = attached(), Record()
    p = schedule(name, epochs=epochs, images=24, batch_size=8, stages=1)
    history = kv.schedules.fit(
        model,
        (IMAGES, LABELS),
        p.phases,
        epochs=p.epochs,
        optimizer=p.optimizer(),
        callbacks=[record],
        batch_size=8,
        verbose=0,
    ).history
    assert len(history["loss"]) == epochs and np.isfinite(history["loss"]).all()
    assert record.trainable == sorted(record.trainable), "nothing freezes again"
    assert max(record.rates) > 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_opens_everything_in_the_end_and_cites_or_says_ours(name):
    assert schedule(name, epochs=9, images=100).phases[-1].above == "all"
    assert schedule(name, images=100).epochs >= 5
    text = inspect.getdoc(SCHEDULES[name]) or ""
    assert any(source in text for source in ("arXiv", "fastai", "keras.io", "Ours")), text


def test_augmented_is_two_phase_for_longer():
    assert (
        schedule("augmented", learning_rate=1e-4).phases == schedule("two_phase", epochs=12, learning_rate=1e-4).phases
    )
    assert schedule("augmented").epochs == 12 and schedule("augmented", epochs=3).epochs == 3


def test_fine_tune_is_fastais_rule():
    first, second = schedule("fine_tune", learning_rate=1e-3).phases
    assert (first.learning_rate, second.learning_rate) == (2e-3, 1e-3), "base_lr, then half of it"
    assert first.curve == OneCycle(rise=0.99) and second.curve == OneCycle(rise=0.3, div=5)
    assert second.layer_decay**5 == pytest.approx(1 / 100), "lr_mult, from the head to the first of five stages"
    optimizer = schedule("fine_tune").optimizer()
    kernel, scale = keras.Variable([[1.0]], name="kernel"), keras.Variable([1.0], name="layer_scale")
    optimizer.build([kernel, scale])
    optimizer.apply([keras.ops.zeros((1, 1)), keras.ops.zeros((1,))], [kernel, scale])
    assert float(kernel[0, 0]) < 1 and float(scale[0]) == 1, "decay on kernels alone"


def test_bit_is_the_hyper_rule():
    small, medium, large = (schedule("bit", images=n, batch_size=512) for n in (10_000, 50_000, 1_000_000))
    assert [p.epochs for p in (small, medium, large)] == [26, 103, 11]  # 500, 10,000 and 20,000 steps of 512
    assert small.phases[0].learning_rate == pytest.approx(0.003) and small.head == "zeros"
    assert schedule("bit", images=100, batch_size=128).phases[0].learning_rate == pytest.approx(0.003 / 4)
    assert small.phases[0].curve == Steps()
    assert medium.phases[0].curve == Steps(at=(0.3, 0.6, 0.9), warmup=0.05)
    assert float(small.optimizer().momentum) == 0.9 and small.optimizer().weight_decay is None


def test_gradual_opens_a_stage_an_epoch_at_rates_that_fall_by_2_6():
    p = schedule("gradual")
    assert [(s.epoch, s.above) for s in p.phases] == list(
        enumerate(["top", "stage5", "stage4", "stage3", "stage2", "all"])
    )
    assert [s.above for s in schedule("gradual", stages=3).phases] == ["top", "stage3", "stage2", "all"]
    assert [s.above for s in schedule("gradual", epochs=3).phases] == ["top", "stage5", "all"]
    assert {s.layer_decay for s in p.phases} == {1 / 2.6} and [s.learning_rate for s in p.phases[1:]] == [None] * 5


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_rate_that_is_asked_for_is_trained_at_on_any_number_of_epochs(name):
    for epochs in (1, 2, 9):
        steps = schedule(name, epochs=epochs, images=100, learning_rate=7e-5).phases
        assert next(step.learning_rate for step in reversed(steps) if step.learning_rate is not None) == 7e-5
    with pytest.raises(UserError, match="`learning_rate`"):
        schedule(name, images=100, learning_rate=0.0)


def test_random_changes_are_made_from_a_seed():
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype("float32")
    for name in ("augmented", "keras_guide", "bit"):
        augment = schedule(name, images=8).augment
        assert augment is not None
        one, same, other = (keras.ops.convert_to_numpy(augment(seed)(images, training=True)) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - other).max() > 0 and one.shape == images.shape
    assert schedule("two_phase").augment is None


def test_errors():
    with pytest.raises(UserError, match="Did you mean 'fine_tune'"):
        schedule("finetune")
    with pytest.raises(UserError, match="`epochs`"):
        schedule("bit", epochs=0)
    with pytest.raises(UserError, match="`images`"):
        schedule("bit")
