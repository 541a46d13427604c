import dataclasses
import json
import sys

import forks
import keras
import numpy as np
import pytest
import scenes
from processes import within

from kvision import cli, runs
from kvision.checks import UserError
from kvision.recipes import convolutionalize


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return scenes.split(tmp_path_factory.mktemp("scenes"), train=12, val=3, size=(96, 120))


@pytest.fixture(scope="module")
def config(folder):
    return dataclasses.replace(convolutionalize.SMOKE, data=str(folder), windows=900, epochs=4, longest_side=120)


def test_windows_are_cut_where_the_network_will_look(config):
    """Cell (i, j) of the dense network says of pixels 4 i ... what the classifier says of the window around them."""
    images = convolutionalize.load(config).train
    windows, labels = convolutionalize._windows(images, 200, 0)
    assert windows.shape == (len(labels), 46, 46, 3) and set(labels) == {0, 1, 2}
    grays = windows[:, 21:25, 21:25].mean(axis=(1, 2, 3))
    middle = np.abs(grays - (40 + 80 * labels)) < 45
    assert middle.mean() > 0.95, "a window's middle shows its label"
    classifier = convolutionalize._classifier(3, 0)
    image = images.original(0)[:40, :48]
    padded = np.pad(image, [(21, 21)] * 2 + [(0, 0)]).astype("float32")
    expected = np.array(
        [
            [np.asarray(classifier(padded[None, y : y + 46, x : x + 46]))[0] for x in range(0, 48, 4)]
            for y in range(0, 40, 4)
        ]
    )
    dense = convolutionalize._dense(classifier)
    cells = keras.Model(dense.input, dense.get_layer("resize").input[0])
    np.testing.assert_allclose(np.asarray(cells(image[None].astype("float32")))[0], expected, atol=1e-4)
    assert dense(image[None].astype("float32")).shape == (1, 40, 48, 3)
    odd = image[:37, :45].copy()  # of which 40 and 48 pixels are the grid
    whole = np.pad(odd, [(0, 3), (0, 3), (0, 0)])
    found, expected = (np.asarray(dense(x[None].astype("float32")))[0] for x in (odd, whole))
    assert found.shape == (37, 45, 3)
    np.testing.assert_allclose(found, expected[:37, :45], atol=1e-4)


def test_it_learns_equals_its_sliding_window_and_is_faster(config, tmp_path):
    data = convolutionalize.load(config)
    result = convolutionalize.run(data, config, records=runs.Records(tmp_path))
    (row,) = result.metrics.values()
    assert row["mean_iou"] > 0.6 and row["equivalence"]["exact"] and row["equivalence"]["cells"] > 100
    assert row["speed"]["ratio"] > 3
    again = convolutionalize.run(data, config, records=runs.Records(tmp_path))
    assert again.metrics == result.metrics, "found finished"
    for ours, theirs in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_command_exports_what_predict_draws(folder, tmp_path):
    command = [sys.executable, "-m", "kvision", "convolutionalize", "--smoke", "--data", str(folder)]
    result = forks.run([*command, "--out", str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "times as fast" in result.stdout and "one pass" in result.stdout and ", equal;" in result.stdout
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert report["score"] == "mean_iou" and (path.parent / "examples.png").stat().st_size > 5000
    predicted = within(cli.main, *report["next"].split()[1:], "--out", tmp_path)
    assert predicted.returncode == 0 and "overlay.png" in predicted.stdout, predicted.stderr


def test_wrong_calls(config):
    for name in ("windows", "longest_side", "epochs", "learning_rate", "batch_size", "test_images"):
        with pytest.raises(UserError, match=f"`{name}`.*positive"):
            convolutionalize.load(dataclasses.replace(config, **{name: -1}))
