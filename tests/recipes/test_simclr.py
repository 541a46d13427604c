import json

import pretraining
import pytest
from processes import within

from kvision import cli
from kvision.recipes import simclr


@pytest.mark.slow
def test_a_smoke_run(tmp_path, monkeypatch):
    pretraining.recipe(simclr, tmp_path, monkeypatch, "simclr", image_size=16)


@pytest.mark.usefixtures("small_encoders")
def test_a_smoke_run_of_a_small_encoder(tmp_path, monkeypatch):
    pretraining.recipe(simclr, tmp_path, monkeypatch, "simclr", image_size=32)


@pytest.mark.usefixtures("in_the_zoo")
def test_the_command_reports_exports_and_answers(tmp_path):
    """With another encoder; then `kvision predict` on what it wrote."""
    command = ["simclr", "--smoke", "--out", tmp_path, "--encoder", "Small", "--image-size", "16", "--epochs", "1"]
    result = within(cli.main, *command)
    assert result.returncode == 0, result.stderr
    assert "simclr" in result.stdout and "untrained" in result.stdout and "<- exported" in result.stdout
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert report["best"] == "simclr" and len(report["history"]["knn"]) == 1
    wrong = report["wrong_images"]
    assert wrong["count"] == round((1 - report["results"]["simclr"]["accuracy"]) * wrong["of"])
    for picture in ("embedding.png", "loss.png", "accuracy.png"):
        assert (path.parent / picture).stat().st_size > 5000
    example = path.parent / "example.png"
    model = tmp_path / "1" / "assets.extra" / "model.tflite"
    predicted = within(cli.main, "predict", "--json", model, example)
    assert predicted.returncode == 0 and len(json.loads(predicted.stdout)) == 1, predicted.stderr
