import keras
import numpy as np
import pytest
from trained_like import trained_like

import kvision as kv
from kvision.checks import UserError


def network(**options) -> keras.Model:
    channels = 3 + 3 * options.get("hints", False) + options.get("neighbors", 0)
    image = keras.Input((None, None, channels), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(image)
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same")(x)
    made = kv.colorization.network(keras.Model(image, x), widths=(8, 8), **options)
    trained_like(made)
    return made


def inputs(size: int = 32) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"image": 3, "neighbors": 2, "previous": 3, "previous_neighbors": 2}
    found = {name: random.uniform(0, 255, (2, size, size, n)).astype("float32") for name, n in shapes.items()}
    found["flow"] = random.uniform(-2, 2, (2, size, size, 2)).astype("float32")
    return {**found, "mask": (random.random((2, size, size)) < 0.7).astype("float32")}


@pytest.mark.parametrize("head", ["regression", "bins"])
def test_the_penalty_is_the_change_of_the_color_along_the_flow(head):
    made, given = network(neighbors=2, head=head), inputs()
    found = kv.colorization.paired(made, weight=0.5)
    predicted, change = found(given, training=False)
    own = {name: given[name] for name in ("image", "neighbors")}
    np.testing.assert_allclose(np.asarray(predicted), np.asarray(made(own, training=False)), atol=1e-5)
    colors = kv.colorization.chroma(made)
    before = {"image": given["previous"], "neighbors": given["previous_neighbors"]}
    now, last = (np.asarray(colors(each, training=False)) for each in (own, before))
    expected = np.asarray(kv.losses.temporal_error(now, last, given["flow"], given["mask"]))
    assert expected.min() > 1e-3
    np.testing.assert_allclose(np.asarray(change), expected, rtol=1e-4)
    _, change = found({**given, "mask": np.zeros_like(given["mask"])}, training=False)
    assert np.max(np.abs(np.asarray(change))) == 0, "the control: nothing counts where the flow is uncertain"


def test_the_penalty_is_added_to_the_loss_of_the_colors():
    losses, given, truth = [], inputs(), np.zeros((2, 32, 32, 3), "float32")
    truth[..., 2] = 1
    made = network(neighbors=2)
    for weight in (0.0, 0.5):
        found = kv.colorization.paired(made, weight=weight)
        found.compile("sgd", kv.losses.ChromaLoss(), jit_compile=False)
        losses.append(kv.training.evaluate(found, (given, truth), batch_size=2, verbose=0)["loss"])
    change = np.asarray(found(given, training=False)[1])
    np.testing.assert_allclose(losses[1] - losses[0], 0.5 * change.mean(), rtol=1e-4)


def test_a_training_with_the_penalty_gives_steadier_colors():
    """The target flickers from frame to frame. The penalty holds the colors still, its absence does not."""
    size, steps = 16, 15
    random = np.random.default_rng(1)
    gray = random.uniform(60, 190, (8, size, size, 1)).repeat(3, axis=3).astype("float32")
    given = {"image": gray, "neighbors": gray[..., :2], "previous": gray + 20, "previous_neighbors": gray[..., :2] + 20}
    given |= {"flow": np.zeros((8, size, size, 2), "float32"), "mask": np.ones((8, size, size), "float32")}
    truth = np.concatenate([(gray[..., :2] - 125) / 127.5, np.ones((8, size, size, 1))], axis=-1)
    changes = []
    for weight in (0.0, 10.0):
        keras.utils.set_random_seed(0)
        made = network(neighbors=2)
        found = kv.colorization.paired(made, weight=weight)
        found.compile(keras.optimizers.Adam(0.03), kv.losses.ChromaLoss(), jit_compile=False)
        kv.training.fit(found, (given, truth), epochs=steps, batch_size=8, verbose=0)
        colors = kv.colorization.chroma(made)
        now, last = (
            np.asarray(colors({"image": given[a], "neighbors": given[b]}, training=False))
            for a, b in (("image", "neighbors"), ("previous", "previous_neighbors"))
        )
        changes.append(np.abs(now - last).mean())
    assert changes[1] < 0.5 * changes[0]


def test_the_network_can_still_become_a_colorizer():
    made = network(neighbors=2)
    before = kv.colorization.colorizer(made)
    kv.colorization.paired(made, weight=1.0)
    given = {name: rows for name, rows in inputs().items() if name in ("image", "neighbors")}
    np.testing.assert_array_equal(np.asarray(kv.colorization.colorizer(made)(given)), np.asarray(before(given)))


def test_wrong_networks_are_refused():
    for options in ({}, {"neighbors": 2, "hints": True}, {"neighbors": 2, "points": True, "decoder": "hypercolumn"}):
        with pytest.raises(UserError, match="`network`"):
            kv.colorization.paired(network(**options), weight=1.0)
    with pytest.raises(UserError, match="`weight`"):
        kv.colorization.paired(network(neighbors=2), weight=-1.0)
