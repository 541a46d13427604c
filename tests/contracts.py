"""Contracts as functions: every implementation of a kind passes through the same one."""

import keras
import numpy as np

import kvision as kv


def backbone(name: str, image_size: int, tmp_path) -> None:
    """What every entry of the zoo keeps: a named input, raw pixels in, five named stages, the same after reload."""
    model = kv.backbones.create(name, image_size=image_size, pooling="avg")
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert model.name == name
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, image_size, image_size, 3), dtype="uint8")
    features = model.predict_on_batch(images)
    assert features.shape == (2, model.output_shape[1]) and np.isfinite(features).all()
    np.testing.assert_allclose(features, model.predict_on_batch(images.astype("float32")), atol=1e-5)
    assert np.abs(features[0] - features[1]).max() > 1e-3 * np.abs(features).max(), (
        "the features do not depend on the image"
    )

    stages = kv.backbones.stages(model)
    assert list(stages) == ["stage1", "stage2", "stage3", "stage4", "stage5"]
    for number, layer in zip(range(2, 6), list(stages.values())[1:], strict=True):
        before = model.get_layer(layer).input.shape[1]
        assert before in (image_size / 2**number, image_size / 2 ** (number - 1)), layer

    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(features, reloaded.predict_on_batch(images))
    assert kv.backbones.stages(reloaded) == stages


def frozen_body(model: keras.Model, fit) -> float:
    """The largest change of any weight in the body of an attached model while `fit(model)` runs."""
    body = model.get_layer("body").backbone
    before = body.get_weights()
    fit(model)
    return max(float(np.abs(a - b).max()) for a, b in zip(before, body.get_weights(), strict=True))
