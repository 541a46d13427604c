"""Networks with exact classes and edges that are drawn by hand, so that the best fusion is known."""

import keras
import numpy as np
import pytest
import scenes

import kvision as kv
from kvision.checks import UserError
from kvision.segmentation import choose_fusion, edge_map, fuse_edges


@keras.saving.register_keras_serializable("tests")
class Drawn(keras.layers.Layer):
    """Logits of the classes from noisy grays, and an edge logit where a pixel and its neighbor differ much."""

    def call(self, image):
        gray = image[..., :1] - 40
        noise = 30 * keras.ops.sin(41.0 * image[..., 1:2])
        logits = [-keras.ops.abs(gray + noise - 80 * label) / 10 for label in range(3)]
        padded = keras.ops.pad(gray, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric")
        sides = [padded[:, 2:, 1:-1], padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 1:-1, :-2]]
        largest = keras.ops.max(keras.ops.concatenate([keras.ops.abs(s - gray) for s in sides], -1), -1, keepdims=True)
        return keras.ops.concatenate([*logits, (largest - 55) / 2], axis=-1)


def network(sign: float = 1.0) -> keras.Model:
    image = keras.Input((None, None, 3), name="image")
    weight = keras.initializers.Constant(sign)
    layer = keras.layers.Conv2D(1, 1, use_bias=False, name="edge_logit", kernel_initializer=weight)
    outputs = Drawn()(image)
    both = [outputs[..., :3], layer(outputs[..., 3:])]
    return keras.Model(image, keras.layers.Concatenate(name="logits_and_edge")(both))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> kv.data.MaskedImages:
    folder = scenes.split(tmp_path_factory.mktemp("scenes"), train=3, val=1)
    return kv.data.from_masks(folder, kv.data.label_map(folder / "classes.txt"))


def test_fusion_raises_the_boundary_f1_and_is_chosen(images):
    chosen = choose_fusion(network(), images, progress=False)
    plain, best = chosen.table[0, 1.0], chosen.table[chosen.steps, chosen.power]
    assert chosen.steps > 0 and best[1] > plain[1] + 0.1 and best[0] > plain[0]
    assert len(chosen.table) == 11 and sum(best) == max(map(sum, chosen.table.values()))
    for steps in (0, chosen.steps):  # the table holds what the network answers
        model = fuse_edges(network(), steps=steps, power=chosen.power)
        found = kv.segmentation.evaluate(model, images, progress=False)
        expected = chosen.table[steps, chosen.power if steps else 1.0]
        assert (found.confusion.mean_iou, found.mean_boundary_f1) == pytest.approx(expected, abs=1e-3)


def test_edges_in_wrong_places_are_not_used_as_much(images):
    """The control: with edges everywhere but at the boundaries, fusion scores less."""
    right, wrong = (choose_fusion(network(sign), images, steps=[10], progress=False) for sign in (1, -1))
    assert right.steps == wrong.steps == 10
    assert sum(right.table[10, right.power]) > sum(wrong.table[10, wrong.power]) + 0.2


def test_edges_of_an_image(images):
    image = images.original(0)
    found = edge_map(network(), image)
    true = np.asarray(kv.ops.edge_targets(images.mask(0)[None]))[0] == 1
    assert found.shape == image.shape[:2] and found[true].mean() > 0.8 > 0.2 > found[~true].mean()
    assert edge_map(network(), image, longest_side=28).shape == (20, 28)


def test_the_fused_network_is_a_network_of_probabilities():
    model = fuse_edges(network(), steps=2)
    image = np.random.default_rng(0).uniform(0, 255, (1, 9, 12, 3)).astype("float32")
    found = np.asarray(model(image))
    assert found.shape == (1, 9, 12, 3) and kv.tasks.Segmentation(scenes.CLASSES).check(model) is model
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


def test_refusals(images):
    image = keras.Input((None, None, 3), name="image")
    plain = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    for call in (fuse_edges, lambda model: edge_map(model, images.original(0)), lambda m: choose_fusion(m, images)):
        with pytest.raises(UserError, match=r"`model`.*with_edges"):
            call(plain)
    with pytest.raises(UserError, match="`steps`"):
        choose_fusion(network(), images, steps=())
    with pytest.raises(UserError, match="`powers`"):
        choose_fusion(network(), images, powers=())
