import dataclasses
import json
import sys

import forks
import numpy as np
import pytest
from PIL import Image
from processes import within

import kvision as kv
from kvision import cli, runs
from kvision.checks import UserError
from kvision.recipes import fewshot

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = fewshot.Config(backbones=("Small",), weights="none", image_size=32, ways=3, shots=3, episodes=4, queries=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six images of each of four digits, and one copy."""
    root = tmp_path_factory.mktemp("data") / "few"
    images, labels, _ = kv.data.digits()
    for digit in range(4):
        for number, index in enumerate(np.flatnonzero(labels == digit)[:6]):
            path = root / f"digit {digit}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).resize((40, 40)).save(path)
    (root / "digit 0/copy.png").write_bytes((root / "digit 0/1.png").read_bytes())
    return root


def test_a_folder_with_few_images_becomes_a_model(folder, tmp_path):
    arguments = ["--data", str(folder), "--out", str(tmp_path), "--backbones", "Small", "--weights", "none"]
    arguments += ["--image-size", "32", "--ways", "3", "--shots", "3", "--episodes", "4", "--views", "2"]
    result = within(cli.main, "fewshot", *arguments)
    assert result.returncode == 0, result.stderr
    assert "1 exact copies" in result.stdout + result.stderr
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert list(report["results"]) == list(kv.transfer.few_shot_methods(ways=3, shots=3))
    for name, row in report["results"].items():
        low, high = row["interval"]
        assert low <= row["accuracy"] <= high and ("above_baseline" in row) == (name != "1nn")
    model = tmp_path / "1/assets.extra/model.tflite"
    answer = forks.run(
        [sys.executable, "-m", "kvision", "predict", str(model), str(folder / "digit 2/0.png")],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0 and "digit 2" in answer.stdout, "an image that it was fitted on"
    again = within(cli.main, "fewshot", *arguments)
    assert "This run is finished" in again.stdout


def test_two_backbones_are_compared_on_the_same_episodes(folder):
    config = dataclasses.replace(SMALL, data=str(folder), backbones=("Small", "ResNet20"))
    found = fewshot.run(fewshot.load(config), config)
    assert set(found.metrics["Small-ridge"]) == {"accuracy", "interval", "above_baseline", "seconds", "chosen"}
    row = found.metrics["ResNet20-ridge"]
    mean = row["accuracy"] - found.metrics["Small-ridge"]["accuracy"]
    assert row["above_first_backbone"][0] == pytest.approx(mean)
    assert "above Small" in row["chosen"]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["ResNet20,EfficientNetLite0", "EfficientNetLite0,ResNet20"])
def test_the_best_backbone_is_exported_at_its_own_size(folder, tmp_path, order):
    """The test images have the size of the first backbone. In one of both orders, the best one is the second."""
    sizes = {name: kv.backbones.info(name).image_size for name in order.split(",")}
    assert len(set(sizes.values())) == 2
    arguments = ["--data", str(folder), "--out", str(tmp_path), "--backbones", order, "--weights", "none"]
    arguments += ["--ways", "3", "--shots", "3", "--episodes", "12", "--tflite", "float32,int8"]
    result = within(cli.main, "fewshot", *arguments)
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.glob("runs/*/report.json")
    best = json.loads(path.read_text())["best"].partition("-")[0]
    model = kv.load_model(path.parent / "model.keras")
    assert model.input_shape[1] == sizes[best]


def test_data_with_a_test_part_gives_its_test_images(tmp_path):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (60, 16, 16, 3), "uint8")
    y = np.arange(60) % 3
    np.savez(
        tmp_path / "a.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:], class_names=["a", "b", "c"]
    )
    split = fewshot.load(dataclasses.replace(SMALL, data=str(tmp_path / "a.npz")))
    np.testing.assert_array_equal(split.test.original(0), x[30])
    assert len(split.test) == 30


def test_wrong_settings_are_told():
    for options, text in (
        ({"ways": 11}, "`ways`"),
        ({"shots": 0}, "`shots`"),
        ({"backbones": ("Nothing",)}, "`backbones`"),
        ({"image_size": 2}, "`image_size`"),
    ):
        with pytest.raises(UserError, match=text):
            fewshot.load(dataclasses.replace(SMALL, **options))


def test_other_workers_wait_for_the_chief(folder, tmp_path):
    config = dataclasses.replace(SMALL, data=str(folder))
    split = fewshot.load(config)
    chief = fewshot.run(split, config, records=runs.Records(tmp_path))
    worker = fewshot.run(split, config, records=runs.Records(tmp_path, is_chief=False))
    assert worker.metrics == chief.metrics and worker.best == chief.best
