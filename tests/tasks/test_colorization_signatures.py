import keras
import numpy as np

from kvision.tasks import colorization_signatures


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
        call = colorization_signatures.with_hints(made)
        np.testing.assert_allclose(np.asarray(call(pixels)), pixels / 2)
        functions = colorization_signatures.functions(made)
        served = colorization_signatures.served(made, functions, None, "bt601")
        assert ("predict_hints" in served) == hints and next(iter(served)) == "serving_default"
        np.testing.assert_allclose(served["predict"](image=pixels)["colored"].numpy(), pixels / 2)
        if hints:
            found = served["predict_hints"](image=pixels, hints=pixels)["colored"].numpy()
            np.testing.assert_allclose(found, 1.5 * pixels, rtol=1e-6)
