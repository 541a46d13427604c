import keras
import numpy as np
import pytest
from graphs import without_weights

import kvision as kv
from kvision.backbones.inception_v3 import LOSS_WEIGHTS, SMALLEST_AUXILIARY
from kvision.checks import UserError


def test_parameters_and_sizes_of_the_paper():
    """The network as Keras counts it; with the auxiliary head as torchvision does, whose BatchNorms have gammas."""
    with without_weights():
        model, plain = kv.backbones.inception_v3(), kv.backbones.inception_v3(auxiliary=False)
        official = keras.applications.InceptionV3(weights=None)
    assert plain.count_params() == official.count_params() == 23_851_784
    assert model.count_params() == 27_179_376
    gammas = sum(x.output.shape[-1] for x in model.layers if isinstance(x, keras.layers.BatchNormalization))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) + gammas == 27_161_264
    sizes = {name: model.get_layer(name).output.shape[1:] for name in ("mixed7", "aux_pool", "aux_conv1", "aux_conv2")}
    assert sizes == {
        "mixed7": (17, 17, 768),
        "aux_pool": (5, 5, 768),
        "aux_conv1": (5, 5, 128),
        "aux_conv2": (1, 1, 768),
    }


@pytest.mark.slow  # test_googlenet trains auxiliary heads
def test_trains_on_the_weighted_sum_and_starts_from_a_body(tmp_path):
    keras.utils.set_random_seed(0)
    body = kv.backbones.create("InceptionV3", image_size=SMALLEST_AUXILIARY)
    body.save_weights(tmp_path / "body.weights.h5")
    model = kv.backbones.inception_v3(classes=3, image_size=SMALLEST_AUXILIARY, weights=tmp_path / "body.weights.h5")
    images = np.random.default_rng(0).integers(0, 256, (4, SMALLEST_AUXILIARY, SMALLEST_AUXILIARY, 3), dtype="uint8")
    mixed10 = keras.Model(model.input, model.get_layer("mixed10").output)
    np.testing.assert_array_equal(mixed10(images, training=False), body(images, training=False))

    labels = np.arange(4) % 3
    losses = dict.fromkeys(LOSS_WEIGHTS, "sparse_categorical_crossentropy")
    model.compile("sgd", losses, loss_weights=LOSS_WEIGHTS, run_eagerly=True)
    outputs = model(images, training=False)
    each = {name: -np.log(np.asarray(out)[np.arange(4), labels]).mean() for name, out in outputs.items()}
    logs = model.evaluate(images, dict.fromkeys(LOSS_WEIGHTS, labels), verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], each["main"] + 0.4 * each["aux"], rtol=1e-4)
    stem = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    trained = [stem, *map(model.get_layer, ("aux_conv1", "aux", "main"))]
    before = [layer.kernel.numpy() for layer in trained]
    model.fit(images, dict.fromkeys(LOSS_WEIGHTS, labels), verbose=0)
    assert all(np.abs(layer.kernel - kernel).max() > 0 for layer, kernel in zip(trained, before, strict=True))


def test_errors():
    with pytest.raises(UserError, match=r"at least 107 .*auxiliary=False"):
        kv.backbones.inception_v3(image_size=SMALLEST_AUXILIARY - 1)
    with pytest.raises(UserError, match="`classes`"):
        kv.backbones.inception_v3(classes=1)
    with pytest.raises(UserError, match="at least 75"):
        kv.backbones.inception_v3(image_size=74, auxiliary=False)
