"""Contracts as functions: every implementation of a kind passes through the same one."""

import keras
import numpy as np

import kvision as kv
from kvision.export import litert


def backbone(name: str, image_size: int, tmp_path, *, strides: tuple[int, ...] = (2, 4, 8, 16, 32)) -> None:
    """What every entry of the zoo keeps: a named input, raw pixels in, stages of `strides`, the same after reload."""
    model = kv.backbones.create(name, image_size=image_size, pooling="avg")
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert model.name == name
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, image_size, image_size, 3), dtype="uint8")
    features = run(model, images)
    assert features.shape == (2, model.output_shape[1]) and np.isfinite(features).all()
    np.testing.assert_allclose(features, run(model, images.astype("float32")), atol=1e-5)
    assert np.abs(features[0] - features[1]).max() > 1e-3 * np.abs(features).max(), (
        "the features do not depend on the image"
    )

    stages = kv.backbones.stages(model)
    assert list(stages) == [f"stage{n}" for n in range(1, len(strides) + 1)]
    measured = _strides(model, kv.backbones.create(name, image_size=image_size + 32))
    names = [layer.name for layer in model.layers]
    starts = [names.index(start) for start in stages.values()]
    assert starts[0] == 0 and starts == sorted(set(starts))
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(names)], strict=True)):
        if number:
            assert measured[names[start]][0] in strides[number - 1 : number + 1], names[start]
        last = next(layer for layer in model.layers[start:end][::-1] if layer.weights)
        assert measured[last.name][1] == strides[number], last.name

    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(features, run(reloaded, images))
    assert kv.backbones.stages(reloaded) == stages


def run(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))  # once: compiling would take longer


def _strides(model: keras.Model, larger: keras.Model) -> dict[str, tuple[float, float]]:
    """{layer: strides of its input and output}: by their growth with 32 pixels more, whatever the padding."""
    found = {}
    for small, large in zip(model.layers, larger.layers, strict=False):
        ends = [(layer.input, layer.output) for layer in (small, large)]
        if not isinstance(small.input, list) and len(small.output.shape) == 4:
            growth = [b.shape[1] - a.shape[1] for a, b in zip(*ends, strict=True)]
            found[small.name] = tuple(32 / pixels if pixels else float("inf") for pixels in growth)
    return found


def same_in_tflite(model: keras.Model) -> None:
    """Exports with built-in operations only, and answers in LiteRT as in Keras."""
    images = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:])).astype("float32")
    images[1] /= 4  # to a random network one noise looks like the other
    lite = litert.interpreter(litert.convert(model), threads=1)  # any batch, as an export has it
    lite.resize_tensor_input(lite.get_input_details()[0]["index"], images.shape)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], images)
    lite.invoke()
    found, expected = lite.get_tensor(lite.get_output_details()[0]["index"]), run(model, images)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 1e-3 * np.abs(expected).max(), "control: the image shows"


def frozen_body(model: keras.Model, fit) -> float:
    """The largest change of any weight in the body of an attached model while `fit(model)` runs."""
    body = model.get_layer("body").backbone
    before = [weight.copy() for weight in body.get_weights()]  # what Keras gives may move with the variable
    fit(model)
    return max(float(np.abs(a - b).max()) for a, b in zip(before, body.get_weights(), strict=True))
