import keras
import numpy as np
import pytest
from graphs import without_weights

import kvision as kv
from kvision.training import unsafe_gradients
from kvision.training.unsafe_gradients import unsafe_convolutions


def network(channels: int = 8, layer=keras.layers.Conv2D, **options) -> keras.Model:
    layer = layer(**{"filters": 4, "kernel_size": 1, "strides": 2, "name": "shortcut", **options})
    return keras.Sequential([keras.Input((8, 8, channels)), layer, keras.layers.GlobalAveragePooling2D()])


@pytest.mark.parametrize(
    ("options", "unsafe"),
    [
        ({}, True),
        ({"channels": 15, "strides": (1, 2)}, True),
        ({"channels": 16}, False),
        ({"strides": 1}, False),
        ({"kernel_size": (1, 2)}, False),
        ({"groups": 2}, False),
        ({"trainable": False}, False),
        # of a transposed convolution the filters count
        ({"layer": keras.layers.Conv2DTranspose, "channels": 32}, True),
        ({"layer": keras.layers.Conv2DTranspose, "filters": 16}, False),
    ],
)
def test_finds_strided_convolutions_of_one_pixel_on_few_channels(options, unsafe):
    assert unsafe_convolutions(network(**options)) == (["shortcut"] if unsafe else [])


def test_fit_names_the_layer_and_the_remedy_is_the_same_function(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    inner = network()
    outer = keras.Sequential([keras.Input((8, 8, 8)), inner])
    outer.compile("sgd", "mse", run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 8)).astype("float32")
    with pytest.warns(UserWarning, match=r"SIGSEGV.*Layers: shortcut\. .*AveragePooling2D\(1, strides\)"):
        kv.training.fit(outer, (x, np.zeros((2, 4))), epochs=0, verbose=0)
    safe = keras.Sequential([keras.Input((8, 8, 8)), keras.layers.AveragePooling2D(1, 2), *network(strides=1).layers])
    safe.set_weights(inner.get_weights())
    np.testing.assert_allclose(safe(x), inner(x), rtol=1e-6)
    assert unsafe_convolutions(safe) == []
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    unsafe_gradients.warn(outer)  # a warning would be an error


@pytest.mark.parametrize("small_stem", [True, False])
def test_no_network_of_ours_has_one_at_small_widths(small_stem):
    """Those of the zoo: `tests/backbones/test_zoo.py`, where they are built anyway."""
    with without_weights():
        body = kv.backbones.resnet18(width=1, image_size=32, small_stem=small_stem)
        up = "transposed" if small_stem else "subpixel"
        decoded = kv.decoders.unet(body, 2, widths=(2,) * 5, merge="add", up=up, strides=None)
    assert unsafe_convolutions(body) == [] and unsafe_convolutions(decoded) == []
    assert any("shortcut" in layer.name for layer in body.layers), "control: shortcuts of other widths are there"
