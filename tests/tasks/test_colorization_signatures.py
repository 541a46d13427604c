import io

import keras
import numpy as np
from PIL import Image

from kvision.tasks import colorization_signatures
from kvision.tasks.parts import png


def model(*, hints: bool) -> keras.Model:
    image = keras.Input((None, None, 3), name="image")
    if not hints:
        return keras.Model(image, keras.layers.Rescaling(0.5)(image))
    given = keras.Input((None, None, 3), name="hints")
    return keras.Model({"image": image, "hints": given}, image * 0.5 + given)


def test_hints_are_optional_and_have_a_signature_of_their_own():
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 5, 7, 3)).astype("float32")
    for hints in (False, True):
        made = model(hints=hints)
        call = colorization_signatures.caller(made)
        np.testing.assert_allclose(np.asarray(call(pixels)), pixels / 2)
        functions = colorization_signatures.functions(made)
        served = colorization_signatures.served(made, functions, None, "bt601")
        assert ("predict_hints" in served) == hints and next(iter(served)) == "serving_default"
        np.testing.assert_allclose(served["predict"](image=pixels)["colored"].numpy(), pixels / 2)
        if hints:
            found = served["predict_hints"](image=pixels, hints=pixels)["colored"].numpy()
            np.testing.assert_allclose(found, 1.5 * pixels, rtol=1e-6)


def test_neighbors_are_an_input_and_stills_take_their_own_gray():
    image, beside = keras.Input((None, None, 3), name="image"), keras.Input((None, None, 2), name="neighbors")
    made = keras.Model({"image": image, "neighbors": beside}, image * 0 + keras.ops.max(beside, axis=3, keepdims=True))
    assert colorization_signatures.neighbors(made) == 2 and colorization_signatures.neighbors(model(hints=True)) == 0
    served = colorization_signatures.served(made, colorization_signatures.functions(made), None, "bt601")
    random = np.random.default_rng(0)
    pixels, planes = random.uniform(0, 255, (2, 5, 7, 3)), random.uniform(0, 255, (2, 5, 7, 2))
    found = served["predict"](image=pixels.astype("float32"), neighbors=planes.astype("float32"))["colored"].numpy()
    np.testing.assert_allclose(found, np.repeat(planes.max(axis=3, keepdims=True), 3, axis=3), rtol=1e-6)
    picture = random.integers(0, 256, (6, 9, 3)).astype("uint8")
    (content,) = served["serve_bytes"](image_bytes=[png(picture)])["image_bytes"].numpy()
    expected = np.round(picture @ [0.299, 0.587, 0.114])[..., None].repeat(3, axis=2)
    assert np.abs(np.asarray(Image.open(io.BytesIO(content))).astype(int) - expected).max() <= 1
