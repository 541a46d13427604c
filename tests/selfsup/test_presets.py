import dataclasses
import itertools

import keras
import numpy as np
import pytest

import kvision as kv
from kvision import selfsup
from kvision.checks import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3)).astype("uint8")


def made(preset: selfsup.Preset, size: int, images: int, **options) -> kv.training.Objective:
    facts = {"images": images, "classes": 2, "steps": 1, "image_size": size, "seed": 0}
    method = preset.method(preset.encoder(size), preset.views(size), **facts)
    method.compile(preset.optimizer(), **options)
    return method


def batch(preset: selfsup.Preset, images: np.ndarray) -> dict:
    fields = {"image": images, "index": np.arange(len(images)), "label": np.arange(len(images)) % 2}
    return {name: fields[name] for name in preset.fields}


@pytest.mark.parametrize("name", selfsup.METHODS)
def test_each_takes_a_step(name):
    preset = selfsup.preset(name)
    method = made(preset, 32, len(IMAGES), run_eagerly=True)  # a trace for one step would take longer
    logs = method.train_on_batch(batch(preset, IMAGES), return_dict=True)
    assert np.isfinite(logs["loss"]) and logs["trivial"] > 0


@pytest.mark.parametrize("size", ["small", "imagenet"])
@pytest.mark.parametrize("name", selfsup.METHODS)
def test_no_two_views_of_an_image_are_alike_nor_is_one_the_image(name, size):
    keras.utils.set_random_seed(0)  # by chance a crop can be the image
    preset, pixels = selfsup.preset(name, size), 64
    images = np.random.default_rng(0).integers(0, 256, (8, pixels, pixels, 3)).astype("uint8")
    look = preset.views(pixels)
    first, second = ({k: np.asarray(v) for k, v in look({"image": images}).items()} for _ in range(2))
    views = [v for made in (first, second) for v in made.values() if v.shape == images.shape]
    assert len(views) >= 2
    for one, other in itertools.combinations([images.astype("float32"), *views], 2):
        assert (np.abs(one - other).mean(axis=(1, 2, 3)) > 2).all(), "of 255"


IN_CI = ("npid", "swav")  # of others: tests/commands/test_ssl_table.py, tests/recipes/test_simclr.py


@pytest.mark.parametrize(
    "name", [name if name in IN_CI else pytest.param(name, marks=pytest.mark.slow) for name in selfsup.METHODS]
)
def test_each_smoke_preset_trains_an_epoch(name):
    preset = selfsup.preset(name, "smoke")
    images = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3)).astype("uint8")
    method = made(preset, 16, len(images), run_eagerly=True)
    before = [variable.numpy() for variable in method.encoder.trainable_variables]
    views = batch(preset, images)
    logs = kv.training.fit(method, views, batch_size=preset.batch_size, epochs=1, verbose=0).history
    assert np.isfinite([*logs.values()]).all() and int(method.optimizer.iterations) == 2
    for variable, old in zip(method.encoder.trainable_variables, before, strict=True):
        assert not np.array_equal(variable.numpy(), old), variable.path


@pytest.mark.slow
@pytest.mark.parametrize("name", selfsup.METHODS)
def test_the_papers_own_take_a_step(name):
    preset = selfsup.preset(name, "imagenet")
    images = np.random.default_rng(0).integers(0, 256, (8, 224, 224, 3)).astype("uint8")
    method = made(preset, 224, 1000)
    assert np.isfinite(method.train_on_batch(batch(preset, images), return_dict=True)["loss"])


def test_version_2_of_moco_is_version_1_with_another_head_temperature_views_and_curve():
    one, two = (selfsup.preset(name, "imagenet") for name in ("moco", "moco_v2"))
    for field in ("learning_rate", "batch_size", "epochs", "fields"):
        assert getattr(one, field) == getattr(two, field)
    assert one.curve != two.curve
    small = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
    facts = {"images": 1_281_167, "classes": 2, "steps": 1, "image_size": 32, "seed": 0}
    v1, v2 = (preset.method(small, preset.views(32), **facts) for preset in (one, two))
    assert (v1.temperature, v2.temperature) == (0.07, 0.2)
    assert [len(v.projector.layers) for v in (v1, v2)] == [1, 3]
    assert v1.queue.size == v2.queue.size == 65536 and v1.twin.groups == v2.twin.groups == 8
    assert float(v1.twin.momentum) == float(v2.twin.momentum) == pytest.approx(0.999)
    assert (v1.views.views["a"].name, v2.views.views["a"].name) == ("moco1", "moco2")


def test_mocos_queue_is_no_longer_than_the_data():
    preset = selfsup.preset("moco_v2")
    small = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
    facts = {"classes": 2, "steps": 1, "image_size": 32, "seed": 0}
    sizes = {n: preset.method(small, None, images=n, **facts).queue.size for n in (10_000, 4096, 4095, 1437)}
    assert sizes == {10_000: 4096, 4096: 4096, 4095: 2048, 1437: 1024}


@pytest.mark.parametrize(("size", "patch"), [(16, 2), (28, 4), (32, 4), (44, 4), (64, 8), (84, 12), (90, 10), (96, 12)])
def test_the_small_vits_patches_fill_images_of_any_even_size(size, patch):
    encoder = selfsup.preset("mae").encoder(size, width=16)
    assert encoder.get_layer("patches").kernel_size == (patch, patch)


def test_npid_plus_plus_is_npid_longer_with_more_negatives():
    one, two = (selfsup.preset(name, "imagenet") for name in ("npid", "npid_plus_plus"))
    small = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
    facts = {"images": 9, "classes": 2, "steps": 1, "image_size": 32, "seed": 0}
    made = [preset.method(small, None, **facts) for preset in (one, two)]
    assert [method.negatives for method in made] == [4096, 32_000] and two.epochs == 4 * one.epochs
    assert made[0].temperature == made[1].temperature == 0.07


def test_multi_crop_has_two_big_and_six_small_views():
    views = selfsup.preset("swav", "imagenet").views(224)({"image": IMAGES[:2]})
    assert {name: view.shape[1] for name, view in views.items()} == dict.fromkeys("ab", 224) | dict.fromkeys(
        "cdefgh", 96
    )


def test_decay_leaves_biases_gains_and_prototypes_alone():
    for name, size, kept in (("mae", "small", "hidden"), ("swav", "small", "prototypes")):
        method = made(selfsup.preset(name, size), 32, 16)
        method.optimizer.build(method.trainable_variables)
        free = [v.path for v in method.trainable_variables if not method.optimizer._use_weight_decay(v)]
        assert any(kept in path for path in free), free
        assert all(len(v.shape) > 1 or not method.optimizer._use_weight_decay(v) for v in method.trainable_variables)


def test_another_batch_scales_the_rate_and_nothing_else():
    preset = selfsup.preset("simclr")
    double = preset.at_batch(2 * preset.batch_size)
    assert double.learning_rate == 2 * preset.learning_rate
    assert dataclasses.replace(double, learning_rate=preset.learning_rate, batch_size=preset.batch_size) == preset


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match=r"`method` is not known.*Did you mean 'simclr'"):
        selfsup.preset("simcrl")
    with pytest.raises(UserError, match="`size` is not known"):
        selfsup.preset("simclr", "tiny")


def test_npid_plus_plus_alone_of_sgds_presets_leaves_normalization_undecayed():
    """VISSL's `regularize_bn: False`; biases decay there."""
    names = ("kernel", "bias", "gamma", "beta")
    variables = [keras.Variable(np.ones(3, "float32"), name=name) for name in names]
    sgd = ("supervised", "npid", "npid_plus_plus", "moco", "moco_v2")
    for method, size in itertools.product(sgd, ("small", "imagenet")):
        optimizer = selfsup.preset(method, size).optimizer()
        decayed = [v.name for v in variables if optimizer._use_weight_decay(v)]
        assert decayed == list(names[:2] if method == "npid_plus_plus" else names), method


def test_simmims_curve_begins_and_ends_where_the_published_one_does():
    """Swin-B's 100 epochs: 1e-6, 2e-4 and 1e-5 for 512 images."""
    curve = selfsup.preset("simmim", "imagenet").curve
    assert [curve.factor(at) for at in (0.0, 0.1, 1.0)] == pytest.approx([1e-6 / 2e-4, 1.0, 1e-5 / 2e-4])
    assert selfsup.preset("simmim").curve.factor(1.0) == pytest.approx(0.05)


@pytest.mark.parametrize(("method", "beta"), [("mae", 0.95), ("simmim", 0.999)])
def test_adamw_has_the_published_constants(method, beta):
    optimizer = selfsup.preset(method, "imagenet").optimizer()
    found = (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, optimizer.weight_decay)
    assert found == (0.9, beta, 1e-8, 0.05)
