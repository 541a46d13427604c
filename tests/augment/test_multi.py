import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.augment import MultiView, RandomGray, RandomResizedCrop, fold, simclr, swav
from kvision.checks import UserError
from kvision.training.feed import feed
from kvision.training.source import Position

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 20, 20, 3), dtype="uint8")
BATCH = {"image": IMAGES, "index": np.arange(2**40, 2**40 + 8)}
KEY = np.array([7, 3])


def test_two_views_differ_for_every_image_and_the_index_passes_through():
    one = simclr(16, blur=False)
    views = MultiView({"a": one, "b": one})
    found = views(BATCH, key=KEY)
    assert set(found) == {"a", "b", "index"}
    np.testing.assert_array_equal(found["index"], BATCH["index"])
    a, b = np.asarray(found["a"]), np.asarray(found["b"])
    assert np.abs(a - b).mean(axis=(1, 2, 3)).min() > 3
    np.testing.assert_allclose(a, one(IMAGES, key=fold(KEY, 0)), atol=1e-3)
    again = views(BATCH, key=KEY)
    np.testing.assert_array_equal(again["b"], b)
    turned = MultiView({"b": one, "a": one})(BATCH, key=KEY)
    np.testing.assert_array_equal(turned["b"], b)
    drawn = [np.asarray(MultiView({"a": one}, seed=1)(BATCH)["a"]) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)


def test_multi_crop():
    big, small = swav(16, blur=False), swav(8, area=(0.05, 0.14), blur=False)
    found = MultiView({"a": big, "b": big, **{f"small{i}": small for i in range(4)}})(BATCH, key=KEY)
    assert [tuple(found[name].shape[1:3]) for name in ("a", "b", "small0", "small3")] == [(16, 16)] * 2 + [(8, 8)] * 2
    crops = [np.asarray(found[f"small{i}"]) for i in range(4)]
    for i in range(4):
        for j in range(i):
            assert np.abs(crops[i] - crops[j]).mean(axis=(1, 2, 3)).min() > 3


def test_a_dataset_has_views_that_follow_from_seed_and_batch_number():
    views = MultiView({"a": RandomResizedCrop(8), "b": RandomGray(0.5)})
    data = tf.data.Dataset.from_tensor_slices(BATCH).batch(3)
    found = list(views.mapped(data, seed=11))
    assert len(found) == 3 and found[2]["a"].shape == (2, 8, 8, 3)
    for number, batch in enumerate(found):
        rows = {name: value[3 * number : 3 * number + 3] for name, value in BATCH.items()}
        expected = views(rows, key=np.array([11, number]))
        for name in ("a", "b", "index"):
            np.testing.assert_allclose(batch[name], expected[name], atol=0.05)


def test_a_dataset_goes_on_after_some_batches_and_another_seed_draws_others():
    views = MultiView({"a": RandomGray(0.5)})
    data = tf.data.Dataset.from_tensor_slices(BATCH).batch(3)
    whole = [np.asarray(batch["a"]) for batch in views.mapped(data, seed=11)]
    resumed = [np.asarray(batch["a"]) for batch in views.mapped(data.skip(1), seed=11, start=1)]
    for one, two in zip(resumed, whole[1:], strict=True):
        np.testing.assert_array_equal(one, two)
    others = [np.asarray(batch["a"]) for batch in views.mapped(data, seed=2**40 + 12)]
    assert any((one != two).any() for one, two in zip(others, whole, strict=True))


def epochs_of(pipeline, *epochs: int, step: int = 0) -> list[list[np.ndarray]]:
    """The views of each epoch from a step on, from one object that follows the position, as `fit` reads it."""
    position = Position(step=step)
    started, found = feed(pipeline, batch_size=1, seed=0).start(position), []
    for position.epoch in epochs:
        found.append([np.asarray(batch["a"]) for (batch,) in started])
    return found


def test_a_pipeline_has_other_views_in_each_epoch_that_replay_from_any_step():
    views = MultiView({"a": RandomResizedCrop(8)})
    images = kv.data.from_arrays(IMAGES, np.arange(8) % 2, image_size=20, batch_size=2)
    plain = kv.data.pipeline(images, fields=("image", "index"))  # in one order, so that views alone can differ
    made = views.mapped(plain, seed=11)
    first, second = epochs_of(made, 0, 1)
    assert len(first) == 4 and not any(np.allclose(one, two) for one, two in zip(first, second, strict=True))
    ((again,),) = epochs_of(views.mapped(plain.source, seed=11), 1, step=3)
    np.testing.assert_array_equal(again, second[3])
    ((other,),) = epochs_of(views.mapped(plain, seed=12), 1, step=3)
    assert not np.allclose(other, second[3]), "control: another seed"
    (seen,) = feed(made, batch_size=1, seed=0).batch_of(1, 3)
    np.testing.assert_allclose(seen["a"], second[3], atol=0.05)
    np.testing.assert_array_equal(seen["index"], [6, 7])
    with pytest.raises(UserError, match=r"`batch` is not valid. Expected a dict with 'image'"):
        views.mapped(kv.data.pipeline(images), seed=0)


def test_control_a_dataset_that_fit_begins_anew_has_the_same():
    data = MultiView({"a": RandomGray(0.5)}).mapped(tf.data.Dataset.from_tensor_slices(BATCH).batch(4), seed=11)
    one, two = ([np.asarray(batch["a"]) for batch in data] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_symbolic_batch_and_config_round_trip(tmp_path):
    views = MultiView({"b": simclr(16, blur=False), "a": RandomResizedCrop((8, 9))}, seed=4, name="views")
    batch = {"image": keras.Input((None, None, 3)), "index": keras.Input((), dtype="int64", name="index")}
    found = views(batch)
    assert [(tuple(found[k].shape), found[k].dtype) for k in ("a", "b", "index")] == [
        ((None, 8, 9, 3), "float32"),
        ((None, 16, 16, 3), "float32"),
        ((None,), "int64"),
    ]
    copy = keras.layers.deserialize(keras.layers.serialize(views))
    assert copy.get_config() == views.get_config()
    np.testing.assert_array_equal(copy(BATCH, key=KEY)["b"], views(BATCH, key=KEY)["b"])


@pytest.mark.parametrize("views", [{}, {"a": keras.layers.RandomFlip()}])
def test_other_views_are_refused(views):
    with pytest.raises(UserError, match=r"`views` is not valid. Expected names and layers of kvision.augment"):
        MultiView(views)


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        ({"images": IMAGES}, "`batch` is not valid. Expected a dict with 'image'"),
        (IMAGES, "Expected a dict with 'image'. Received: 'ndarray'|Received: 'EagerTensor'"),
        ({"image": IMAGES, "a": IMAGES}, r"`batch` has entries with names of views.*Received: \['a'\]"),
        ({"image": IMAGES[..., :1]}, "`images` have another shape"),
    ],
)
def test_other_batches_are_refused(batch, text):
    with pytest.raises(UserError, match=text):
        MultiView({"a": RandomGray()})(batch, key=KEY)


def test_another_backend_maps_no_dataset(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match=r"`dataset` is mapped by layers of TensorFlow.*Received: 'jax'"):
        MultiView({"a": RandomGray()}).mapped(tf.data.Dataset.range(1), seed=0)
