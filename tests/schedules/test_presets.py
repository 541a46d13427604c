import inspect

import keras
import numpy as np
import pytest
from trainings import Record, attached

import kvision as kv
from kvision.checks import UserError
from kvision.schedules import PRESETS, OneCycle, Steps, preset

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype("float32")
LABELS = np.arange(24) % 3


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("epochs", [1, 7])
def test_each_trains_through_its_phases_on_any_number_of_epochs(name, epochs):
    model, record = attached(), Record()
    p = preset(name, epochs=epochs, images=24, batch_size=8, stages=1)
    history = kv.schedules.fit(
        model,
        (IMAGES, LABELS),
        p.steps,
        epochs=p.epochs,
        optimizer=p.optimizer(),
        callbacks=[record],
        batch_size=8,
        verbose=0,
    )
    assert len(history["loss"]) == epochs and np.isfinite(history["loss"]).all()
    assert record.trainable == sorted(record.trainable), "nothing freezes again"
    assert max(record.rates) > 0


@pytest.mark.parametrize("name", PRESETS)
def test_each_opens_everything_in_the_end_and_cites_or_says_ours(name):
    assert preset(name, epochs=9, images=100).steps[-1].above == "all"
    assert preset(name, images=100).epochs >= 5
    text = inspect.getdoc(PRESETS[name]) or ""
    assert any(source in text for source in ("arXiv", "fastai", "keras.io", "Ours")), text


def test_augmented_is_two_phase_for_longer():
    assert preset("augmented", rate=1e-4).steps == preset("two_phase", epochs=12, rate=1e-4).steps
    assert preset("augmented").epochs == 12 and preset("augmented", epochs=3).epochs == 3


def test_fine_tune_is_fastais_rule():
    first, second = preset("fine_tune", rate=1e-3).steps
    assert (first.rate, second.rate) == (2e-3, 1e-3), "base_lr, then half of it"
    assert first.curve == OneCycle(rise=0.99) and second.curve == OneCycle(rise=0.3, div=5)
    assert second.layer_decay**5 == pytest.approx(1 / 100), "lr_mult, from the head to the first of five stages"
    optimizer = preset("fine_tune").optimizer()
    kernel, scale = keras.Variable([[1.0]], name="kernel"), keras.Variable([1.0], name="layer_scale")
    optimizer.build([kernel, scale])
    optimizer.apply([keras.ops.zeros((1, 1)), keras.ops.zeros((1,))], [kernel, scale])
    assert float(kernel[0, 0]) < 1 and float(scale[0]) == 1, "decay on kernels alone"


def test_bit_is_the_hyper_rule():
    small, medium, large = (preset("bit", images=n, batch_size=512) for n in (10_000, 50_000, 1_000_000))
    assert [p.epochs for p in (small, medium, large)] == [26, 103, 11]  # 500, 10,000 and 20,000 steps of 512
    assert small.steps[0].rate == pytest.approx(0.003) and small.head == "zeros"
    assert preset("bit", images=100, batch_size=128).steps[0].rate == pytest.approx(0.003 / 4)
    assert small.steps[0].curve == Steps()
    assert medium.steps[0].curve == Steps(at=(0.3, 0.6, 0.9), warmup=0.05)
    assert float(small.optimizer().momentum) == 0.9 and small.optimizer().weight_decay is None


def test_gradual_opens_a_stage_an_epoch_at_rates_that_fall_by_2_6():
    p = preset("gradual")
    assert [(s.epoch, s.above) for s in p.steps] == list(
        enumerate(["top", "stage5", "stage4", "stage3", "stage2", "all"])
    )
    assert [s.above for s in preset("gradual", stages=3).steps] == ["top", "stage3", "stage2", "all"]
    assert [s.above for s in preset("gradual", epochs=3).steps] == ["top", "stage5", "all"]
    assert {s.layer_decay for s in p.steps} == {1 / 2.6} and [s.rate for s in p.steps[1:]] == [None] * 5


@pytest.mark.parametrize("name", PRESETS)
def test_a_rate_that_is_asked_for_is_trained_at_on_any_number_of_epochs(name):
    for epochs in (1, 2, 9):
        steps = preset(name, epochs=epochs, images=100, rate=7e-5).steps
        assert next(step.rate for step in reversed(steps) if step.rate is not None) == 7e-5
    with pytest.raises(UserError, match="`rate`"):
        preset(name, images=100, rate=0.0)


def test_random_changes_are_made_from_a_seed():
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype("float32")
    for name in ("augmented", "keras_guide", "bit"):
        augment = preset(name, images=8).augment
        assert augment is not None
        one, same, other = (keras.ops.convert_to_numpy(augment(seed)(images, training=True)) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - other).max() > 0 and one.shape == images.shape
    assert preset("two_phase").augment is None


def test_errors():
    with pytest.raises(UserError, match="Did you mean 'fine_tune'"):
        preset("finetune")
    with pytest.raises(UserError, match="`epochs`"):
        preset("bit", epochs=0)
    with pytest.raises(UserError, match="`images`"):
        preset("bit")
