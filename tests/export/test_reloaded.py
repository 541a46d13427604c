import shutil
import subprocess
import sys

import forks
import numpy as np
import pytest

import kvision as kv
from kvision import npz
from kvision.export import reloaded, rerun, saved_model
from kvision.tasks import signatures

TASK = kv.tasks.Classification()


@pytest.fixture(scope="module")
def cases(model, images):
    return TASK.cases(model, images)


def outputs(folder, cases, tmp_path, *, lines: str = "\n\n") -> subprocess.CompletedProcess:
    np.savez(tmp_path / "inputs.npz", **rerun.pack(reloaded.calls(cases)))
    files = [str(folder), str(tmp_path / "inputs.npz"), str(tmp_path / "outputs.npz")]
    command = [sys.executable, "-m", "kvision.export.rerun", *files]
    return forks.run(command, capture_output=True, text=True, input=lines)


def differences(folder, cases, tmp_path) -> list[str]:
    result = outputs(folder, cases, tmp_path)
    assert result.returncode == 0, result.stderr
    return reloaded.differences(TASK, cases, npz.read(tmp_path / "outputs.npz", stored=True))


def test_a_good_export_has_nothing_to_report(exported, cases, tmp_path):
    assert differences(exported, cases, tmp_path) == []
    calls = rerun.unpack(npz.read(tmp_path / "outputs.npz"))
    names = {call.split("|")[3] for call in calls}
    signatures = {"predict", "predict, once more", "serving_default", "serve_bytes", "embed"}
    assert names == {*signatures, "model.tflite"}, "every file and signature was run"


def test_other_answers_are_reported_for_each_file(exported, cases, other, images, tmp_path):
    wrong = TASK.cases(other, images)
    problems = differences(exported, wrong, tmp_path)
    assert len(problems) == 6 and all("differs by" in problem for problem in problems)
    assert sum("probabilities" in problem for problem in problems) == 5


def test_an_export_that_was_not_finished_is_not_a_good_one(exported, cases, tmp_path):
    """A line comes for each part that is written; the exporting process may be killed in between."""
    result = outputs(exported, cases, tmp_path, lines="\n")
    assert result.returncode == 1 and "not finished" in result.stderr


def test_a_tflite_of_another_model_is_found(exported, cases, other, tmp_path):
    """Same signatures, other weights."""
    copy = tmp_path / "1"
    shutil.copytree(exported, copy)
    for kind in ("float32", "features"):
        saved_model.write_tflite(signatures.functions(other), copy / "assets.extra", kind, {"labels.txt": "a\nb\nc"})
    problems = differences(copy, cases, tmp_path)
    assert [problem.split(":")[0] for problem in problems] == ["model.tflite", "features.tflite"]
