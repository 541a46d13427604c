"""What every upscaling layer must do: answer at sizes that are unknown until it runs, saved, exported, in TFLite."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvision.export import litert

SIZES = ((33, 47), (18, 21), (65, 20))


def at_any_size(make, tmp_path, *, channels: int = 3) -> None:
    """make: image (symbolic, unknown sizes) -> the output of a small network that holds the layer."""
    image = keras.Input((None, None, channels), name="image")
    model: Any = keras.Model(image, make(image))
    model.save(tmp_path / "model.keras")
    again: Any = keras.models.load_model(tmp_path / "model.keras")
    assert again.output_shape == model.output_shape
    serve = tf.function(
        lambda image: {"y": model(image, training=False)},
        input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32, name="image")],
    )
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"predict": serve})
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["predict"]
    (tmp_path / "x.tflite").write_bytes(litert.run_converter(litert.converter(serve)))
    lite = litert.interpreter(str(tmp_path / "x.tflite"))
    (given,), (answer,) = lite.get_input_details(), lite.get_output_details()
    random = np.random.default_rng(0)
    for height, width in SIZES:
        x = random.normal(size=(2, height, width, channels)).astype("float32")
        expected = np.asarray(model(x, training=False))
        lite.resize_tensor_input(given["index"], x.shape)
        lite.allocate_tensors()
        lite.set_tensor(given["index"], x)
        lite.invoke()
        for found in (again(x, training=False), served(image=tf.constant(x))["y"], lite.get_tensor(answer["index"])):
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-4)


def adjoint(forward, backward, x: np.ndarray, y: np.ndarray) -> None:
    """<forward(x), y> = <x, backward(y)>, which is what transposed means."""
    left = np.sum(np.asarray(forward(x), "float64") * y)
    right = np.sum(x * np.asarray(backward(y), "float64"))
    np.testing.assert_allclose(left, right, rtol=1e-4)
