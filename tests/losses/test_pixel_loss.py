import keras
import numpy as np
import pytest

from kvision import losses
from kvision.checks import UserError

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(3, 5, 7, 4)).astype("float32")
LABELS = RANDOM.integers(0, 4, (3, 5, 7))
LABELS[0, :2] = 255


def number(value) -> float:
    return float(np.asarray(keras.ops.convert_to_numpy(value)))


def test_it_is_the_mean_over_images_of_the_sum_of_its_terms():
    weights = (1.0, 2.0, 0.5, 3.0)
    expected = (
        losses.pixel_cross_entropy(LABELS, LOGITS, class_weights=weights)
        + losses.dice(LABELS, LOGITS)
        + losses.lovasz_softmax(LABELS, LOGITS)
        + losses.focal(LABELS, LOGITS, class_weights=weights)
    )
    found = losses.PixelLoss(("cross_entropy", "dice", "lovasz", "focal"), class_weights=weights)(LABELS, LOGITS)
    assert number(found) == pytest.approx(number(keras.ops.mean(expected)), rel=1e-6)
    assert number(losses.PixelLoss()(LABELS, LOGITS)) == pytest.approx(
        number(keras.ops.mean(losses.pixel_cross_entropy(LABELS, LOGITS))), rel=1e-6
    )


def test_it_trains_and_comes_back_with_a_compiled_model(tmp_path):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 1)])
    model.compile("sgd", losses.PixelLoss(("cross_entropy", "dice"), class_weights=[1, 2, 3, 4]))
    images = RANDOM.normal(size=(3, 5, 7, 3)).astype("float32")
    first = model.evaluate(images, LABELS, verbose=0)
    model.fit(images, LABELS, epochs=5, verbose=0)
    assert model.evaluate(images, LABELS, verbose=0) < first
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(images, LABELS, verbose=0) == pytest.approx(model.evaluate(images, LABELS, verbose=0))
    assert again.loss.terms == ("cross_entropy", "dice") and again.loss.class_weights == (1.0, 2.0, 3.0, 4.0)


def test_refusals():
    with pytest.raises(UserError, match=r"`terms` is not known.*Did you mean 'dice'"):
        losses.PixelLoss(["dyce"])
    with pytest.raises(UserError, match=r"`terms`.*one or more"):
        losses.PixelLoss([])
    with pytest.raises(UserError, match=r"`terms`.*cross_entropy or focal beside class weights"):
        losses.PixelLoss(["dice", "lovasz"], class_weights=[1, 2, 3, 4])
