import keras
import numpy as np
import pytest

from kvision import losses
from kvision.checks import UserError
from kvision.ops import diffuse

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, (2, 3, 3)).repeat(6, axis=1).repeat(6, axis=2)
LABELS[0, :2] = 255
OUTPUTS = RANDOM.normal(0, 2, (*LABELS.shape, 4)).astype("float32")


def number(value) -> float:
    return float(np.asarray(keras.ops.convert_to_numpy(value)))


def test_it_is_the_sum_of_its_three_terms():
    logits, edges = OUTPUTS[..., :3], OUTPUTS[..., 3]
    weights = (1.0, 2.0, 0.5)
    classes = losses.PixelLoss(("cross_entropy", "dice"), class_weights=weights)(LABELS, logits)
    of_edges = keras.ops.mean(losses.edge_cross_entropy(LABELS, edges, neighbors=8, thickness=2))
    at_edges = keras.ops.mean(losses.edge_attention(LABELS, logits, edges, class_weights=weights))
    fused = diffuse(keras.ops.softmax(logits), keras.ops.sigmoid(OUTPUTS[..., 3:]), steps=2)
    after = losses.PixelLoss(class_weights=weights)(LABELS, keras.ops.log(fused))
    terms = [number(term) for term in (classes, of_edges, at_edges, after)]
    assert min(terms) > 0.01
    options = {"neighbors": 8, "thickness": 2, "class_weights": weights}
    options |= {"fusion_steps": 2, "terms": ("cross_entropy", "dice")}
    for factors in ((3, 0.5, 2), (20, 1, 0)):
        names = ("edge_weight", "attention_weight", "fused_weight")
        found = losses.EdgedLoss(**options, **dict(zip(names, factors, strict=True)))
        assert number(found(LABELS, OUTPUTS)) == pytest.approx(np.dot((1, *factors), terms), rel=1e-4)
    usual = number(losses.EdgedLoss(**options)(LABELS, OUTPUTS))
    assert usual == pytest.approx(np.dot((1, 20, 1, 1), terms), rel=1e-4)


def test_it_trains_both_and_comes_back_with_a_compiled_model(tmp_path, eager):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    model = keras.Model(image, keras.layers.Conv2D(4, 3, padding="same")(x))
    model.compile(keras.optimizers.Adam(0.01), losses.EdgedLoss(("cross_entropy", "dice"), thickness=2))
    images = np.where(LABELS == 255, 0, LABELS)[..., None].repeat(3, axis=-1).astype("float32")
    first = model.evaluate(images, LABELS, verbose=0)
    model.fit(images, LABELS, epochs=30, verbose=0)
    assert model.evaluate(images, LABELS, verbose=0) < 0.8 * first
    outputs = model.predict_on_batch(images)
    random = RANDOM.normal(size=LABELS.shape).astype("float32")
    trained, untrained = (losses.edge_cross_entropy(LABELS, edges, thickness=2) for edges in (outputs[..., 3], random))
    assert number(keras.ops.mean(trained)) < 0.8 * number(keras.ops.mean(untrained))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(images, LABELS, verbose=0) == pytest.approx(model.evaluate(images, LABELS, verbose=0))
    assert again.loss.thickness == 2 and again.loss.pixels.terms == ("cross_entropy", "dice")


def test_the_fusion_teaches_the_edges_alone():
    """Right classes on both sides of a boundary: without an edge, the diffusion would mix them."""
    labels = np.repeat([[[0, 0, 0, 1, 1, 1]]], 4, axis=1)
    outputs = np.concatenate([8.0 * np.eye(2)[labels], np.zeros((1, 4, 6, 1))], axis=-1).astype("float32")
    loss = losses.EdgedLoss(edge_weight=0, attention_weight=0)
    values = []
    for column in range(6):
        one = outputs.copy()
        one[..., column, 2] = 4
        values.append(number(loss(labels, one)))
    assert max(values[2:4]) < number(loss(labels, outputs)) < min(values[0], values[5])


def test_refusals():
    for options, text in [
        ({"edge_weight": -1}, "`edge_weight`"),
        ({"attention_weight": float("nan")}, "`attention_weight`"),
        ({"fused_weight": -0.1}, "`fused_weight`"),
        ({"fusion_steps": 0}, "`fusion_steps`"),
        ({"thickness": 0}, "`thickness`"),
        ({"neighbors": 5}, "`neighbors`"),
        ({"terms": ["dyce"]}, "`terms`"),
    ]:
        with pytest.raises(UserError, match=text):
            losses.EdgedLoss(**options)
