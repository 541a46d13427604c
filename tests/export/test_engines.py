import numpy as np
import pytest

from kvision.checks import UserError
from kvision.export import engines


def test_auto_converts_only_where_it_pays():
    assert engines.choose("auto", 100) == "keras"
    assert engines.choose("auto", 100_000) == "litert"
    assert engines.choose("auto", None) == "litert"
    assert engines.choose("keras", 100_000) == "keras"
    with pytest.raises(UserError, match="Did you mean 'litert'"):
        engines.choose("tflite", 1)


@pytest.mark.parametrize("engine", ["keras", "litert"])
def test_short_batches_after_long_ones_leave_nothing_behind(model, images, expected, engine):
    run = engines.start(model, engine, batch_size=5)
    np.testing.assert_allclose(run(images), expected, atol=1e-5)
    np.testing.assert_allclose(run(images[:2]), expected[:2], atol=1e-5)
    np.testing.assert_allclose(run(images[1:]), expected[1:], atol=1e-5)
    kept = run(images)
    run(images[::-1])
    np.testing.assert_allclose(kept, expected, atol=1e-5, err_msg="a later call overwrote an earlier answer")
