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
    plain = kv.data.batches(images, fields=("image", "index"))  # in one order, so that views alone can differ
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
    with pytest.raises(UserError, match=r"`batch` .*'image'"):
        views.mapped(kv.data.batches(images), seed=0)


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
    with pytest.raises(UserError, match=r"`views` .*layers of kv.augment"):
        MultiView(views)


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        ({"images": IMAGES}, "`batch` .*'image'"),
        (IMAGES, "`batch` .*'image'. Received: '(ndarray|EagerTensor)'"),
        ({"image": IMAGES, "a": IMAGES}, r"`batch` .*names.*Received: \['a'\]"),
        ({"image": IMAGES[..., :1]}, r"`images` .*\(8, 20, 20, 1\)"),
    ],
)
def test_other_batches_are_refused(batch, text):
    with pytest.raises(UserError, match=text):
        MultiView({"a": RandomGray()})(batch, key=KEY)


def test_a_tensorflow_dataset_is_refused():
    """`fit` would begin it anew in each epoch, and see the same views again."""
    data = tf.data.Dataset.from_tensor_slices(BATCH).batch(4)
    with pytest.raises(UserError, match=r"`pipeline` .*kv.data.batches.*`views`"):
        MultiView({"a": RandomGray()}).mapped(data, seed=0)


def test_another_backend_maps_no_dataset(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match=r"`pipeline` .*KERAS_BACKEND=tensorflow.*Received: 'jax'"):
        MultiView({"a": RandomGray()}).mapped(tf.data.Dataset.range(1), seed=0)
