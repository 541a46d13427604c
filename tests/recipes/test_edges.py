import dataclasses
import json

import numpy as np
import pytest
import replicas
import scenes
from processes import within

import kvision as kv
from kvision import cli, runs
from kvision.checks import UserError
from kvision.recipes import edges

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = dataclasses.replace(edges.SMOKE, backbone="Small", epochs=9, learning_rate=0.01, crop="32x48", batch_size=4)
NAMES = {"unet-edges", "edges-fused"}


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Decoders with few channels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs.decoders, "_WIDTHS", (16, 12, 8, 8))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return scenes.split(tmp_path_factory.mktemp("scenes"), train=16, val=4)


@pytest.fixture(scope="module")
def ended(folder, tmp_path_factory):
    """A finished run: the data, the settings, the place of its records and its result."""
    config = dataclasses.replace(SMALL, data=str(folder))
    place = tmp_path_factory.mktemp("run")
    data = edges.load(config)
    return data, config, place, edges.run(data, config, records=runs.Records(place))


def test_it_learns_classes_and_edges(ended):
    data, _, _, result = ended
    assert "14 training, 4 test" in data.name
    assert len(data.train) == 14 and len(data.validation) == 2 and any("validation" in note for note in data.notes)
    assert not {*data.train.names} & {*data.validation.names}
    assert set(result.metrics) == NAMES and result.best == "edges-fused"
    for row in result.metrics.values():
        assert row["mean_iou"] > 0.6 and row["interval"][0] <= row["mean_iou"] and row["boundary_f1"] > 0
    assert len(result.history["loss"]) == 9 and result.history["loss"][-1] < result.history["loss"][0] / 1.5
    image = data.test.original(0)[None].astype("float32")
    np.testing.assert_allclose(np.asarray(result.model(image)).sum(axis=-1), 1, atol=1e-5)


def test_a_finished_run_repeats_nothing(ended):
    data, config, place, result = ended
    fusion = json.loads((place / "fusion.json").read_text())
    assert len(fusion["steps_power_miou_boundary_f1"]) == 11
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((kv.schedules, "fit"), (kv.segmentation, "choose_fusion"), (kv.segmentation, "evaluate")):
            patch.setattr(module, name, None)
        again = edges.run(data, config, records=runs.Records(place))
    assert again.metrics == result.metrics
    image = data.test.original(0)[None].astype("float32")
    np.testing.assert_allclose(again.model.predict_on_batch(image), result.model.predict_on_batch(image), atol=1e-4)
    assert again.model.get_layer("probabilities").steps == fusion["steps"]


def test_given_steps_need_no_validation_images(folder, eager):
    options = {"steps": 3, "epochs": 1, "train_images": 4, "thickness": 2, "compare": True}
    config = dataclasses.replace(SMALL, data=str(folder), **options)
    data = edges.load(config)
    assert data.validation is None and len(data.train) == 4
    result = edges.run(data, config)
    assert result.model.get_layer("probabilities").steps == 3 and set(result.metrics) == {"unet", *NAMES}


def test_the_command_reports_draws_exports_and_predicts(folder, tmp_path):
    command = ["edges", "--smoke", "--data", folder, "--out", tmp_path]
    result = within(cli.main, *command, "--epochs", "1", "--backbone", "Small")
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert report["best"] == "edges-fused" and set(report["results"]) == NAMES
    for row in report["results"].values():
        assert {"mean_iou", "boundary_f1", "interval"} <= {*row}
    for picture in ("examples.png", "ious.png", "loss.png"):
        assert (path.parent / picture).stat().st_size > 5000
    assert (tmp_path / "1/assets.extra/model.tflite").is_file()
    predicted = within(cli.main, *report["next"].split()[1:], "--out", tmp_path / "pictures")
    assert predicted.returncode == 0, predicted.stderr
    assert len([*(tmp_path / "pictures").glob("*.mask.png")]) == 1


def test_wrong_calls_are_told_before_anything_is_read(folder):
    for options, text in [
        ({"steps": -1}, "`steps`"),
        ({"thickness": 0}, "`thickness`"),
        ({"edge_weight": -1.0}, "`edge_weight`"),
        ({"loss": ("dyce",)}, "`loss`"),
        ({"train_images": 1}, "`data` has too few images"),
    ]:
        with pytest.raises(UserError, match=text):
            edges.load(dataclasses.replace(SMALL, **{"data": str(folder), **options}))


@pytest.mark.slow
def test_on_two_devices_the_recipe_is_the_same(folder):
    code = """
    import dataclasses
    from kvision.recipes import edges
    config = dataclasses.replace(
        edges.SMOKE, data=sys.argv[2], backbone="ResNet20", epochs=1, learning_rate=3e-3, crop="32x48", batch_size=4,
        class_weights="median", strategy=sys.argv[1])
    data = edges.load(config)
    result = edges.run(data, config)
    answer(metrics=result.metrics["edges-fused"]["mean_iou"], history=result.history)
    """
    (one,) = replicas.run(code, arguments=["single", str(folder)])
    (two,) = replicas.run(code, devices=2, arguments=["mirrored", str(folder)])
    losses = np.array([each["history"]["loss"] for each in (one, two)])
    np.testing.assert_allclose(losses[0, 0], losses[1, 0], rtol=1e-4)
    np.testing.assert_allclose(one["history"]["mean_iou"], two["history"]["mean_iou"], atol=5e-3)
