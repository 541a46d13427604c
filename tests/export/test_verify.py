import io
import shutil
import sys

import forks
import keras
import numpy as np
import pytest
from PIL import Image

from kvision.export import saved_model, signatures
from kvision.export.verify import verify


def png(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue().hex()


@pytest.fixture
def probe(model, images, expected) -> dict[str, np.ndarray]:
    feature = keras.Model(model.input, model.layers[-1].input).predict_on_batch(images.astype("float32"))
    pngs = np.array([png(image) for image in images])
    return {"image": images, "png": pngs, "probabilities": expected, "feature": feature, "slack": np.array(1e-7)}


def test_a_good_export_has_nothing_to_report(exported, probe):
    assert verify(exported, probe) == []


def test_each_kind_of_damage_is_reported(exported, probe, other, tmp_path):
    copy = tmp_path / "1"
    shutil.copytree(exported, copy)
    (copy / "assets.extra/model.tflite").unlink()
    path = copy / "assets.extra/model.tflite"
    shutil.copy(exported / "assets.extra/model.tflite", path)
    (copy / "assets.extra/labels.txt").write_text("a\nb\nc\n")
    assert verify(copy, probe) == ["model.tflite: other class names than labels.txt"]

    wrong = {**probe, "probabilities": other.predict_on_batch(probe["image"].astype("float32"))}
    problems = verify(exported, wrong)
    assert len(problems) == 5 and all("probabilities differs" in problem for problem in problems)
    wrong = {**probe, "feature": probe["feature"] * 1.01}
    assert [problem.split(":")[0] for problem in verify(exported, wrong)] == ["embed"]
    nothing = {**probe, "probabilities": np.full_like(probe["probabilities"], np.nan)}
    assert len(verify(exported, nothing)) == 5, "not a number is not near"
    broken = {**probe, "png": np.array([probe["png"][0][:60], *probe["png"][1:]])}
    assert any("not decoded" in problem for problem in verify(exported, broken))


def test_what_follows_rounding_is_compared_within_it_and_no_wider(exported, probe):
    chaotic = {**probe, "feature": probe["feature"] * 1.02, "slack": np.array(0.01)}
    assert verify(exported, chaotic) == []
    chaotic["feature"] = probe["feature"] * 1.05
    assert [problem.split(":")[0] for problem in verify(exported, chaotic)] == ["embed"]


def test_what_is_not_told_to_follow_rounding_is_compared_as_ever(exported, probe):
    steady = {**probe, "feature": probe["feature"] * 1.0002, "slack": np.array(9e-5)}
    assert [problem.split(":")[0] for problem in verify(exported, steady)] == ["embed"]


def test_the_command_exits_with_1_and_says_what_differs(exported, probe, tmp_path):
    np.savez(tmp_path / "probe.npz", **{**probe, "feature": probe["feature"] + 1})
    command = [sys.executable, "-m", "kvision.export.verify", str(exported), str(tmp_path / "probe.npz"), "--wait"]
    result = forks.run(command, capture_output=True, text=True, input="\n\n")
    assert (
        result.returncode == 1
        and "not written to its end" not in result.stdout
        and "embed: feature differs" in result.stdout
    )


def test_an_export_that_nobody_ended_is_not_a_good_one(exported, probe, tmp_path):
    """A line comes for each part that is written; whoever exports may be killed in between."""
    np.savez(tmp_path / "probe.npz", **probe)
    command = [sys.executable, "-m", "kvision.export.verify", str(exported), str(tmp_path / "probe.npz"), "--wait"]
    result = forks.run(command, capture_output=True, text=True, input="\n")
    assert result.returncode == 1 and "not written to its end" in result.stdout


def test_a_tflite_of_another_model_is_found(exported, probe, other, tmp_path):
    """Same signatures, other weights."""
    copy = tmp_path / "1"
    shutil.copytree(exported, copy)
    for kind in ("float32", "features"):
        saved_model.write_tflite(
            signatures.plain(other), copy / "assets.extra", kind, {"labels.txt": "Hund\n猫\no l w"}
        )
    assert [problem.split(":")[0] for problem in verify(copy, probe)] == ["model.tflite", "features.tflite"]
