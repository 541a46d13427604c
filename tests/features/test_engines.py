import numpy as np
import pytest

from kvision.checks import UserError
from kvision.features import engines


def test_unknown_engines_are_named():
    assert engines.check("auto") == "auto"
    with pytest.raises(UserError, match="Did you mean 'litert'"):
        engines.check("tflite")


@pytest.mark.parametrize("engine", ["keras", "litert", "openvino"])
def test_short_batches_after_long_ones_leave_nothing_behind(model, images, expected, engine):
    if engine == "openvino":
        pytest.importorskip("openvino", reason="extra `openvino`")
    run = engines.start(model, engine, batch_size=5)
    np.testing.assert_allclose(run(images), expected, atol=1e-5)
    np.testing.assert_allclose(run(images[:2]), expected[:2], atol=1e-5)
    np.testing.assert_allclose(run(images[1:]), expected[1:], atol=1e-5)
    kept = run(images)
    run(images[::-1])
    np.testing.assert_allclose(kept, expected, atol=1e-5, err_msg="a later call overwrote an earlier answer")


def test_openvino_is_a_candidate_where_it_is_installed_and_its_absence_is_told_before_any_work(monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: name)
    assert engines.candidates() == ("keras", "litert", "openvino")
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    assert engines.candidates() == ("keras", "litert")
    with pytest.raises(UserError, match=r"pip install .*\[openvino\]"):
        engines.check("openvino")


def test_keras_is_the_only_candidate_on_a_gpu_and_on_other_backends(monkeypatch):
    import tensorflow as tf

    with monkeypatch.context() as patch:
        patch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
        assert engines.candidates() == ("keras",)
    monkeypatch.setattr(engines.keras.backend, "backend", lambda: "jax")
    assert engines.candidates() == ("keras",)
    with pytest.raises(UserError, match="litert on jax"):
        engines.check("litert")


def test_openvino_computes_in_float32_on_every_core(model, images, expected):
    openvino, seen = pytest.importorskip("openvino", reason="extra `openvino`"), []

    class Core(openvino.Core):
        def compile_model(self, *arguments):
            seen.append(super().compile_model(*arguments))
            return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino, "Core", Core)
        run = engines.start(model, "openvino", batch_size=4)
    np.testing.assert_allclose(run(images[:4]), expected[:4], atol=1e-4)
    assert seen[0].get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert seen[0].get_property("INFERENCE_NUM_THREADS") == engines.os.cpu_count()
