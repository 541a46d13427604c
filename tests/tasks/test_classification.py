import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.tasks import Classification
from kvision.tasks.parts import png


def model(side: int = 8, name: str = "image") -> keras.Model:
    image = keras.Input((side, side, 3), name=name)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(image)))


def test_cases_hold_what_the_model_answers():
    made = model()
    predict, serve_bytes, embed = Classification().cases(made)
    image = predict.inputs["image"]
    assert image.shape == (4, 8, 8, 3) and image.dtype == np.float32
    np.testing.assert_allclose(predict.expected["probabilities"], made.predict(image, verbose=0), rtol=1e-5)
    assert embed.expected["feature"].shape == (4, 192) and embed.expected["slack"] < 1e-6
    assert serve_bytes.inputs["image_bytes"][0] == png(image[0].astype("uint8"))
    assert [case.signature for case in (predict, serve_bytes, embed)] == ["predict", "serve_bytes", "embed"]


@pytest.mark.parametrize(("power", "told"), [(1, False), (5e4, True)])
def test_a_network_that_multiplies_rounding_errors_is_reported(power, told, capsys):
    image = keras.Input((8, 8, 3), name="image")
    feature = keras.ops.sin(keras.layers.Flatten()(image) * power)  # 5e4: a radian for a pixel's last bit
    made = keras.Model(image, keras.layers.Dense(3, activation="softmax")(feature), name="deep")
    cases = Classification().cases(made)
    assert (cases[0].expected["slack"] > 0.5) == told
    assert ("'deep' multiplies rounding errors" in capsys.readouterr().err) == told


def test_other_models_and_labels_are_refused():
    Classification(["a", "b", "c"]).check(model())
    with pytest.raises(UserError, match=r"`model`.*one input `image`"):
        Classification().check(model(name="picture"))
    with pytest.raises(UserError, match=r"`labels`.*3 names"):
        Classification(["a", "b"]).check(model())


@pytest.mark.parametrize("labels", [["a", "b", "a"], ["a", "b", ""], ["a", "b", "c\n"], ["a", "b", "c\rd"]])
def test_names_that_no_answer_could_tell_apart_are_refused(labels):
    with pytest.raises(UserError, match="`labels` has"):
        Classification(labels).check(model())


def test_differences():
    expected = {"probabilities": np.array([[0.25, 0.75], [0.5, 0.5]]), "slack": np.array(1e-7)}
    near = expected["probabilities"] + 5e-5
    task = Classification()
    assert task.differences({"probabilities": near, "label": near.argmax(1)}, expected) == []
    far = expected["probabilities"] + [[0.2, -0.2], [0, 0]]
    assert "differs by 2.00e-01" in task.differences({"probabilities": far}, expected)[0]
    assert task.differences({"probabilities": far}, expected, kind="float16") == [], "one image of two turns"
    assert task.differences({"probabilities": far}, expected, kind="int8") == []
    nothing = np.full((2, 2), np.nan)
    for kind in ("saved_model", "float32", "float16", "int8"):
        assert task.differences({"probabilities": nothing}, expected, kind=kind), "not a number is not near"
    assert "label is not" in task.differences({"probabilities": near, "label": np.array([0, 0])}, expected)[0]
    assert "not decoded" in task.differences({"probabilities": near, "valid": np.array([True, False])}, expected)[0]
    assert "expected (2, 2)" in task.differences({"probabilities": near[:1]}, expected)[0]
    assert "is missing" in task.differences({"feature": near}, expected)[0]


def test_what_multiplies_rounding_errors_is_compared_within_them_and_no_wider():
    feature, task = np.array([[1.0, 2.0]]), Classification()
    chaotic = {"feature": feature, "slack": np.array(0.01)}
    assert task.differences({"feature": feature * 1.02}, chaotic) == []
    assert task.differences({"feature": feature * 1.05}, chaotic)
    assert task.differences({"feature": feature * 1.0002}, {"feature": feature, "slack": np.array(9e-5)})


def test_an_answer():
    answer = Classification(["a", "b"]).decode({"probabilities": np.array([0.25, 0.75])}, b"")
    assert answer.row == {"label": "b", "probabilities": {"a": 0.25, "b": 0.75}}
    assert answer.parts[0].text(1) == "b 0.750"
    with pytest.raises(UserError, match="a row of `probabilities`"):
        Classification().decode({"probabilities": np.zeros((2, 2))}, b"")


class Digits:
    """Images of one number, with labels of which every fourth is wrong."""

    labels = np.arange(8) % 2

    def __len__(self):
        return 8

    def __iter__(self):
        yield np.where(np.arange(8) % 4 == 3, 0, self.labels)[:, None, None, None], self.labels


def test_measure():
    def right(images):
        return {"probabilities": np.eye(2)[images[:, 0, 0, 0]]}

    def one(images):
        return {"probabilities": np.eye(2)[np.ones(len(images), int)]}

    table = Classification().measure({"float32": right, "int8": one}, Digits())
    assert table["float32"]["accuracy"] == 0.75 and table["int8"]["accuracy"] == 0.5
    assert table["float32"]["agreement"] == 1 and table["int8"]["agreement"] == 0.25
    low, high = table["float32"]["interval"]
    assert 0.3 < low < 0.75 < high < 1 and table["int8"]["images"] == 8
