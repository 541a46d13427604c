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


def test_openvino_is_never_chosen_unasked_and_its_absence_is_told_before_any_work(monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    assert {engines.choose("auto", count) for count in (1, 10**6, None)} == {"keras", "litert"}
    with pytest.raises(UserError, match=r"pip install 'kvision\[openvino\]'"):
        engines.choose("openvino", 1)


@pytest.mark.parametrize("threads", [1, None])
def test_openvino_computes_in_float32_on_as_many_threads_as_are_asked_for(model, images, expected, threads):
    openvino, seen = pytest.importorskip("openvino", reason="extra `openvino`"), []

    class Core(openvino.Core):
        def compile_model(self, *arguments):
            seen.append(super().compile_model(*arguments))
            return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino, "Core", Core)
        run = engines.start(model, "openvino", batch_size=4, threads=threads)
    np.testing.assert_allclose(run(images[:4]), expected[:4], atol=1e-4)
    assert seen[0].get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert seen[0].get_property("INFERENCE_NUM_THREADS") == (threads or engines.os.cpu_count())
