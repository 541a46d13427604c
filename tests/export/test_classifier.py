import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.export import classifier


def model(side: int = 8, name: str = "image") -> keras.Model:
    image = keras.Input((side, side, 3), name=name)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(image)))


def test_what_is_compared_is_kept_beside_what_the_model_says(tmp_path):
    images = classifier.probe(model())
    assert images.shape == (4, 8, 8, 3) and images.dtype == np.uint8
    made = model()
    classifier.write_probe(made, images, tmp_path / "probe.npz")
    found = dict(np.load(tmp_path / "probe.npz"))
    np.testing.assert_allclose(found["probabilities"], made.predict(images.astype("float32"), verbose=0), rtol=1e-5)
    assert found["feature"].shape == (4, 192) and found["slack"] < 1e-6
    assert bytes.fromhex(str(found["png"][0])) == classifier.encoded(images[0])
    assert set(classifier.warmup(images)) == {"predict", "serve_bytes", "embed"}


@pytest.mark.parametrize(("power", "told"), [(1, False), (5e4, True)])
def test_a_network_that_follows_rounding_is_told(power, told, tmp_path, capsys):
    image = keras.Input((8, 8, 3), name="image")
    feature = keras.ops.sin(keras.layers.Flatten()(image) * power)  # 5e4: a radian for a pixel's last bit
    made = keras.Model(image, keras.layers.Dense(3, activation="softmax")(feature), name="deep")
    classifier.write_probe(made, classifier.probe(made), tmp_path / "probe.npz")
    assert (np.load(tmp_path / "probe.npz")["slack"] > 0.5) == told
    assert ("'deep' follows rounding" in capsys.readouterr().err) == told


def test_other_models_and_labels_are_refused():
    classifier.check(model(), ["a", "b", "c"])
    with pytest.raises(UserError, match=r"`model`.*one input `image`"):
        classifier.check(model(name="picture"), None)
    with pytest.raises(UserError, match=r"`labels`.*3 names"):
        classifier.check(model(), ["a", "b"])


@pytest.mark.parametrize("labels", [["a", "b", "a"], ["a", "b", ""], ["a", "b", "c\n"], ["a", "b", "c\rd"]])
def test_names_that_no_answer_could_tell_apart_are_refused(labels):
    with pytest.raises(UserError, match="`labels` has"):
        classifier.check(model(), labels)
