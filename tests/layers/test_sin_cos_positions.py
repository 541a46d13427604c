import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.layers import SinCosPositions


def published(height: int, width: int, channels: int, endpoint: bool = True) -> np.ndarray:
    """big_vision's `posemb_sincos_2d` with NumPy, or MAE's, which never reaches the lowest frequency."""
    y, x = np.mgrid[:height, :width]
    omega = np.linspace(0, 1, channels // 4, endpoint=endpoint)
    omega = 1.0 / (10_000.0**omega)
    y = np.einsum("m,d->md", y.flatten(), omega)
    x = np.einsum("m,d->md", x.flatten(), omega)
    code = np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)
    return code.reshape(height, width, channels)


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("shape", [(14, 14, 192), (3, 7, 8), (1, 1, 16)])
def test_equals_the_published_code(shape, endpoint):
    zeros, layer = np.zeros((2, *shape), "float32"), SinCosPositions(endpoint=endpoint)
    np.testing.assert_allclose(layer(zeros), [published(*shape, endpoint)] * 2, atol=1e-5)
    np.testing.assert_allclose(layer(zeros + 3), [published(*shape, endpoint) + 3] * 2, atol=1e-5)


def test_unknown_sizes_and_half_precision(tmp_path):
    x = keras.Input((None, None, 8))
    model = keras.Model(x, SinCosPositions(endpoint=False, dtype="mixed_float16", name="positions")(x))
    model.save(tmp_path / "model.keras")
    answer = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(np.zeros((1, 5, 30, 8)))
    assert answer.dtype == np.float16
    np.testing.assert_allclose(answer[0], published(5, 30, 8, endpoint=False), atol=1e-3)


@pytest.mark.parametrize("channels", [4, 18])
def test_another_number_of_channels(channels):
    with pytest.raises(UserError, match=r"`tokens`.*multiple of 4, at least 8"):
        SinCosPositions()(np.zeros((1, 2, 2, channels), "float32"))
