import dataclasses
import importlib

import keras
import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision import runs
from kvision.checks import UserError
from kvision.distribute.values import read
from kvision.recipes import simclr
from kvision.runs import pretraining

SMALL = dataclasses.replace(simclr.SMOKE, image_size=16)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"preset": "large"}, "`preset` is not known"),
        ({"encoder": "ResNet51"}, "`encoder` is not known.*Did you mean 'ResNet56'"),
        ({"precision": "half"}, "`precision` is not known"),
        ({"minutes": -1.0}, "`minutes` is not valid"),
        ({"minutes": float("nan")}, "`minutes` is not valid"),
        ({"minutes": 1.0, "epochs": 2}, "`minutes` is not valid. Expected no `epochs` beside it"),
        ({"epochs": 0}, "`epochs` is not valid"),
        ({"learning_rate": 0.0}, "`learning_rate` is not valid"),
        ({"width": 0}, "`width` is not valid"),
        ({"width": 30}, "`width` is not valid. Expected a multiple of 4, at least 8"),
        (
            {"width": 8, "encoder": "ResNet20"},
            "`width` is not valid. Expected neither `encoder` nor the preset imagenet beside it",
        ),
        ({"width": 8, "preset": "imagenet"}, "`width` is not valid"),
    ],
)
def test_settings_are_checked_before_the_data(change, text):
    with pytest.raises(UserError, match=text):
        pretraining.load(dataclasses.replace(SMALL, data="/no/such/file.npz", **change))


def test_steps_of_an_epoch_are_whole_where_the_tail_is_left_out():
    config = dataclasses.replace(SMALL, preset="small", width=8, batch_size=32)
    data = pretraining.load(config)
    assert len(data.train) == 120
    preset = pretraining._preset("swav", config)
    method = pretraining._method("swav", preset, data.train, config)
    assert read(method.prototypes.frozen.left) == 3, "one epoch"
    steps = [pretraining._steps(preset, data.train, drops_tail=drops) for drops in (True, False)]
    assert steps == [3, 3.75]


def test_more_images_a_step_than_there_are(tmp_path):
    config = dataclasses.replace(SMALL, batch_size=500)
    data = pretraining.load(config)
    with pytest.raises(UserError, match=r"`batch_size` is not valid. Expected at most the 120 training images"):
        pretraining.pretrain("simclr", data.train, config, runs.Records())


def test_a_budget_is_timed_without_tracing_and_kept(small_encoders, tmp_path, capsys):
    config = dataclasses.replace(SMALL, minutes=0.05, learning_rate=1e-4)  # its own is too high for it
    data = pretraining.load(config)
    records = runs.Records(tmp_path)
    _, record = pretraining.pretrain("npid", data.train, config, records)
    assert "epochs in 0.05 minutes" in capsys.readouterr().out
    timed = records.done("budget-npid", epochs=int, seconds_per_step=float)
    assert timed["epochs"] == record["epochs"] == len(record["history"]["loss"]) >= 3
    assert timed["epochs"] == int(60 * 0.05 / (timed["seconds_per_step"] * 3.75)), "a tail counts by its share"
    assert timed["seconds_per_step"] < 0.5, "a trace takes seconds, a step milliseconds"
    preset = pretraining._preset("npid", config)
    assert pretraining._epochs("npid", preset, data.train, config, records) == record["epochs"]
    assert "minutes" not in capsys.readouterr().out


def test_seconds_of_an_interrupted_training_count(small_encoders, tmp_path, monkeypatch, eager):
    config = dataclasses.replace(SMALL, epochs=3)
    data = pretraining.load(config)
    fit, stopped = kv.training.fit, []

    def stopping(*args, callbacks, **options):
        class Stop(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 2:
                    stopped.append(next(c.seconds for c in callbacks if isinstance(c, kv.training.Clock)))
                    raise KeyboardInterrupt

        return fit(*args, callbacks=[*callbacks, Stop()], **options)

    monkeypatch.setattr(kv.training, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        pretraining.pretrain("npid", data.train, config, runs.Records(tmp_path))
    monkeypatch.undo()
    _, record = pretraining.pretrain("npid", data.train, config, runs.Records(tmp_path))
    assert record["seconds"] >= round(stopped[0], 1) > 0


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        (
            "moco",
            {"batch_size": 6},
            "batch_size` do not suit moco.*batches of 6.*a divisor of 64",
        ),
        ("mae", {"encoder": "ResNet20"}, "do not suit mae.*ResNet20, 16 pixels.*a model of kv.backbones.vit"),
        ("simmim", {"encoder": "ResNet20"}, "do not suit simmim.*ResNet20, 16 pixels.*a model of kv.backbones.vit"),
    ],
)
def test_what_does_not_suit_a_method_names_the_settings(name, change, text):
    config = dataclasses.replace(SMALL, **change)
    data = pretraining.load(config)
    with pytest.raises(UserError, match=text):
        pretraining.pretrain(name, data.train, config, runs.Records())


def test_one_image_a_step_has_no_spread_to_watch():
    config = dataclasses.replace(SMALL, batch_size=1)
    data = pretraining.load(config)
    with pytest.raises(UserError, match=r"`batch_size` is not valid. Expected at least 2: .*whose spread"):
        pretraining.pretrain("mae", data.train, config, runs.Records())


def test_one_test_image_is_told_before_the_training(tmp_path):
    images, labels, names = kv.data.digits()
    test = {"x_test": images[300:301], "y_test": labels[300:301], "class_names": np.array(names)}
    np.savez(tmp_path / "one.npz", x_train=images[:300], y_train=labels[:300], **test)
    with pytest.raises(UserError, match=r"`data` cannot judge an encoder.*, 1 test images"):
        pretraining.load(dataclasses.replace(SMALL, data=str(tmp_path / "one.npz")))


def test_too_few_labels_are_said_before_the_training(tmp_path):
    x, y, names = kv.data.digits()
    few = {"x_train": x[:10], "y_train": y[:10], "x_test": x[10:30], "y_test": y[10:30], "class_names": np.array(names)}
    np.savez(tmp_path / "few.npz", **few)
    with pytest.raises(UserError, match=r"`data` cannot judge an encoder.*two classes or more with two training"):
        pretraining.load(dataclasses.replace(SMALL, data=str(tmp_path / "few.npz"), train_per_class=None))


def test_the_papers_presets_have_their_size():
    assert pretraining._size(SMALL) == 16
    assert pretraining._size(simclr.Config()) == 32
    assert pretraining._size(simclr.Config(preset="imagenet")) == 224


def test_width_is_that_of_the_presets_own_encoder():
    def features(name, **change):
        return pretraining.encoder_of(name, dataclasses.replace(SMALL, **change)).output_shape[-1]

    assert features("simclr") == 8 * 8, "of smoke"
    assert features("simclr", width=12) == features("npid", width=12) == 8 * 12
    assert features("mae") == 128
    assert features("mae", width=64) == 64


def test_untrained_is_the_encoder_before_its_training(small_encoders, eager):
    data = pretraining.load(SMALL)
    still = dataclasses.replace(SMALL, learning_rate=1e-12, epochs=1)
    encoder, record = pretraining.pretrain("simclr", data.train, still, runs.Records())
    assert record["images_per_second"] * record["seconds"] == pytest.approx(96, rel=0.05), "of 120, in batches of 32"
    before = pretraining.encoder_of("simclr", SMALL)
    for a, b in zip(encoder.trainable_weights, before.trainable_weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


WORKERS = """
import dataclasses
from pathlib import Path
from kvision import distribute, runs
from kvision.recipes import npid

config = dataclasses.replace(npid.SMOKE, image_size=16, epochs=1)
data = npid.load(config)
records = runs.Records(Path(sys.argv[1]), is_chief=distribute.is_chief())
result = npid.run(data, config, records=records)
found = [float(abs(w).sum()) for w in result.model.get_weights()[:3]]
answer(found=found)
"""


@pytest.mark.slow  # the parts: banks on two devices in tests/selfsup, recipes of two workers in tests/test_survival.py
@pytest.mark.multiworker
def test_two_workers_train_a_recipe(tmp_path):
    """With an index to gather; then the first judges alone."""
    import replicas

    first, second = replicas.run(WORKERS, workers=2, arguments=[str(tmp_path)])
    assert first["found"] == second["found"]


@pytest.mark.slow  # of each method: tests/selfsup/test_methods.py
def test_labels_do_not_reach_the_training():
    data = pretraining.load(SMALL)
    other = data.train.subset(np.arange(len(data.train)))
    other.labels = other.labels[::-1].copy()
    one, two = (pretraining.pretrain("simclr", images, SMALL, runs.Records())[0] for images in (data.train, other))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_half_precision_scales_its_loss(small_encoders, eager):
    config = dataclasses.replace(SMALL, precision="mixed_float16", epochs=1)
    data = pretraining.load(config)
    encoder, record = pretraining.pretrain("simclr", data.train, config, runs.Records())
    assert encoder.compute_dtype == "float32", "the product is a plain network"
    assert np.isfinite(record["history"]["loss"]).all() and kv.features.embed(encoder, data.test, progress=False).any()


@pytest.fixture
def photographs(tmp_path):
    """No class folders; one is a copy of a test image, one is torn."""
    random = np.random.default_rng(0)
    copy = pretraining.load(SMALL).test.original(0)
    for number, image in enumerate([copy, *random.integers(0, 256, (40, 12, 12, 3), "uint8")]):
        path = tmp_path / "photographs" / str(number % 3) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "photographs" / "torn.png").write_bytes(b"")
    return tmp_path / "photographs"


def test_images_without_labels_are_trained_on_instead(photographs, tmp_path, monkeypatch):
    config = dataclasses.replace(SMALL, unlabeled=str(photographs), batch_size=16)
    data = pretraining.load(config, cache=tmp_path / "cache")
    assert len(data.unlabeled) == 40 and data.name.endswith("; 40 without labels")
    assert data.notes == ("1 images without labels equal a test image and are left out",)
    (bad,) = data.bad_images
    assert (bad.folder, bad.path) == (str(photographs), "torn.png")
    assert data.fingerprint != pretraining.load(SMALL).fingerprint

    class Seen(Exception):
        pass

    def pretrain(_, images, *__, watch):
        assert images is data.unlabeled and watch == (data.train, data.test)
        raise Seen

    monkeypatch.setattr(pretraining, "pretrain", pretrain)
    with pytest.raises(Seen):
        simclr.run(data, config)


@pytest.mark.parametrize("recipe", ["mae", "moco", "npid", "simclr", "simmim", "swav"])
def test_every_recipe_trains_on_the_images_without_labels(recipe, tmp_path, capsys):
    """Told by three of them, which make no batch; the 120 with labels do."""
    module = importlib.import_module(f"kvision.recipes.{recipe}")
    for number in range(3):
        Image.new("RGB", (9, 9), (80 * number, 0, 0)).save(tmp_path / f"{number}.png")
    options = ["--smoke", "--image-size", "16", "--unlabeled", str(tmp_path), "--out", str(tmp_path / "out")]
    assert runs.main(module, options) == 2
    assert "`--batch-size` is not valid. Expected at most the 3 training images" in capsys.readouterr().err
