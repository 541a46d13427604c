import keras
import numpy as np
import pytest

from kvision.checks import UserError
from kvision.layers import SinCosPositions


def published(height: int, width: int, channels: int) -> np.ndarray:
    """big_vision's `posemb_sincos_2d`, as it stands there, with NumPy."""
    y, x = np.mgrid[:height, :width]
    omega = np.arange(channels // 4) / (channels // 4 - 1)
    omega = 1.0 / (10_000.0**omega)
    y = np.einsum("m,d->md", y.flatten(), omega)
    x = np.einsum("m,d->md", x.flatten(), omega)
    code = np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)
    return code.reshape(height, width, channels)


@pytest.mark.parametrize("shape", [(14, 14, 192), (3, 7, 8), (1, 1, 16)])
def test_equals_the_published_code(shape):
    zeros = np.zeros((2, *shape), "float32")
    np.testing.assert_allclose(SinCosPositions()(zeros), [published(*shape)] * 2, atol=1e-5)
    np.testing.assert_allclose(SinCosPositions()(zeros + 3), [published(*shape) + 3] * 2, atol=1e-5)


def test_unknown_sizes_and_half_precision(tmp_path):
    x = keras.Input((None, None, 8))
    model = keras.Model(x, SinCosPositions(dtype="mixed_float16", name="positions")(x))
    model.save(tmp_path / "model.keras")
    answer = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(np.zeros((1, 5, 30, 8)))
    assert answer.dtype == np.float16
    np.testing.assert_allclose(answer[0], published(5, 30, 8), atol=1e-3)


@pytest.mark.parametrize("channels", [4, 18])
def test_another_number_of_channels(channels):
    with pytest.raises(UserError, match=r"`width`.*multiple of 4, at least 8"):
        SinCosPositions()(np.zeros((1, 2, 2, channels), "float32"))
