import dataclasses
import functools
import json

import graphs
import numpy as np
import pytest
import replicas
import scenes
from PIL import Image
from processes import within

import kvision as kv
from kvision import cli, runs
from kvision.checks import UserError
from kvision.recipes import segment
from kvision.training import resume

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = dataclasses.replace(segment.SMOKE, backbone="Small", epochs=8, learning_rate=0.01, crop="32x48", batch_size=4)


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Decoders with few channels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs.decoders, "_WIDTHS", (16, 12, 8, 8))
        patch.setattr(kv.decoders, "fcn", functools.partial(kv.decoders.fcn, hidden=16))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return scenes.split(tmp_path_factory.mktemp("scenes"), train=16, val=4)


def test_it_learns_what_grays_mean(folder):
    config = dataclasses.replace(SMALL, data=str(folder), epochs=10, class_weights="median")
    data = segment.load(config)
    assert data.class_names == scenes.CLASSES and "16 training, 4 test" in data.name
    result = segment.run(data, config)
    row = result.metrics["unet"]
    assert result.task.score == "mean_iou" and row["mean_iou"] > 0.6 and row["interval"][0] <= row["mean_iou"]
    assert len(row["ious"]) == 3 and len(result.history["loss"]) == 10
    assert result.history["loss"][-1] < result.history["loss"][0] / 2
    image = data.test.original(0)
    probabilities = np.asarray(result.model(image[None].astype("float32"), training=False))
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    untrained = dataclasses.replace(config, epochs=1, learning_rate=1e-9)
    assert segment.run(data, untrained).metrics["unet"]["mean_iou"] < 0.5, "the control"


def test_a_killed_run_goes_on_to_the_same_weights(folder, tmp_path, eager):
    config = dataclasses.replace(SMALL, data=str(folder), epochs=3, train_images=4)
    data = segment.load(config)
    expected = segment.run(data, config)
    records = runs.Records(tmp_path)
    struck = []
    real = kv.training.Clock.on_train_batch_end

    class Strike(Exception):
        pass

    def strike(self, batch, logs=None):
        struck.append(batch)
        if len(struck) == 3:
            raise Strike

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Strike):
        patch.setattr(kv.training.Clock, "on_train_batch_end", strike)
        patch.setattr(resume, "_LONGEST_PAUSE", 0.0)  # a checkpoint after each of these short epochs
        segment.run(data, config, records=records)
    assert (tmp_path / "checkpoints/unet").is_dir()
    assert kv.training.Clock.on_train_batch_end is real
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv.training.Clock, "on_train_batch_end", lambda self, batch, logs=None: steps.append(batch))
        again = segment.run(data, config, records=runs.Records(tmp_path))
    assert len(steps) == 3 - 2, "the epochs that were finished are not trained again"
    for ours, theirs in zip(again.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    finished = segment.run(data, config, records=runs.Records(tmp_path))
    assert finished.metrics == again.metrics, "found finished"


def test_the_command_reports_draws_exports_and_predicts(folder, tmp_path):
    """Decoders in one table; what is exported answers with the picture of an image's labels."""
    (folder / "val/images/broken.png").write_bytes(b"no image")
    command = ["segment", "--smoke", "--data", folder, "--out", tmp_path]
    command += ["--decoders", "unet,fcn32", "--epochs", "1", "--backbone", "Small"]
    result = within(cli.main, *command)
    assert result.returncode == 0, result.stderr
    assert "mean iou" in result.stdout and "unet" in result.stdout and "fcn32" in result.stdout
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert report["best"] == "unet" and set(report["results"]) == {"unet", "fcn32"}
    assert report["score"] == "mean_iou" and report["bad_images"][0]["path"] == "val/images/broken.png"
    for picture in ("examples.png", "ious.png", "loss.png"):
        assert (path.parent / picture).stat().st_size > 5000
    card = (tmp_path / "1/assets.extra/model_card.md").read_text()
    assert "label for each pixel" in card and "mask_bytes" in card and "mean iou" in card
    predicted = within(cli.main, *report["next"].split()[1:], "--out", tmp_path / "pictures")
    assert predicted.returncode == 0, predicted.stderr
    (mask,) = (tmp_path / "pictures").glob("*.mask.png")
    with Image.open(mask) as image:
        assert image.size == (56, 40)
    (folder / "val/images/broken.png").unlink()


def test_a_crf_is_fitted_measured_and_exported_inside(folder, tmp_path):
    command = ["segment", "--smoke", "--data", folder, "--out", tmp_path, "--epochs", "1", "--backbone", "Small"]
    result = within(cli.main, *command, "--crf")
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert list(report["results"]) == ["unet", "unet-crf", "unet-crf-window"] and report["best"] == "unet-crf-window"
    for row in report["results"].values():
        assert {"mean_iou", "boundary_f1", "interval"} <= set(row)
    facts = json.loads((tmp_path / "1/assets.extra/task.json").read_text())
    assert facts["crf"] == report["results"]["unet-crf"]["crf"] and facts["crf_inside"] is True
    predict = report["next"].split()[1:]
    assert within(cli.main, *predict, "--out", tmp_path / "pictures").returncode == 0
    refused = within(cli.main, *predict, "--crf", "--out", tmp_path / "pictures")
    assert refused.returncode == 2 and "`--crf` is part of this model already" in refused.stderr


def test_other_tflite_files_are_refused_before_the_training(folder, tmp_path):
    command = ["segment", "--smoke", "--data", folder, "--out", tmp_path]
    result = within(cli.main, *command, "--tflite", "float16")
    assert result.returncode == 2 and "`--tflite`" in result.stderr
    assert not [*tmp_path.glob("runs/*")]


def test_a_backbone_with_more_strides_and_one_with_fewer(folder):
    data = segment.load(dataclasses.replace(SMALL, data=str(folder)))
    for name, strides in {"VGG16": (2, 4, 8, 16, 32), "Small": (2, 4, 8, 16, 32)}.items():
        config = dataclasses.replace(SMALL, backbone=name)
        with graphs.without_weights():
            model = segment._model("unet", len(data.class_names), config)
        assert model.get_layer("body").backbone.strides == strides
    with pytest.raises(UserError, match="`strides`"):  # said before the first one trains
        segment.run(data, dataclasses.replace(SMALL, decoders=("unet", "fcn8"), backbone="ResNet20"))


def test_wrong_calls_are_told_before_anything_is_read(folder):
    for options, text in [
        ({"decoders": ("unnet",)}, "Did you mean 'unet'"),
        ({"loss": ("dyce",)}, "`loss`"),
        ({"merge": "sum"}, "`merge`"),
        ({"up": "big"}, "`up`"),
        ({"class_weights": "mean"}, "`class_weights`"),
        ({"class_weights": "median", "loss": ("dice",)}, "`class_weights`.*cross_entropy or focal"),
        ({"crop": "64"}, "`crop`.*180x240"),
        ({"crop": "16x64"}, "`crop`"),
        ({"scale": ("1",)}, "`scale`"),
        ({"scale": ("2", "1")}, "`scale`"),
        ({"epochs": 0}, "`epochs`"),
        ({"longest_side": -5}, "`longest_side`"),
        ({"data": str(folder / "train")}, "`classes` is needed"),
        ({"data": str(folder), "classes": "camvit"}, "`classes` names no file"),
        ({"data": str(folder / "nowhere")}, "`data` names no folder"),
    ]:
        with pytest.raises(UserError, match=text):
            segment.load(dataclasses.replace(SMALL, **{"data": str(folder), **options}))


def test_copies_are_not_both_in_training_and_test(tmp_path):
    folder = scenes.split(tmp_path)
    for kind in ("images", "masks"):
        (folder / f"train/{kind}/copy.png").write_bytes((folder / f"val/{kind}/09.png").read_bytes())
    data = segment.load(dataclasses.replace(SMALL, data=str(folder)))
    assert len(data.train) == 8 and "1 train images equal a test image" in data.notes[0]


def test_a_flat_folder_is_split(tmp_path):
    scenes.write(tmp_path, 10)
    (tmp_path / "names.txt").write_text("\n".join(scenes.CLASSES))
    config = dataclasses.replace(SMALL, data=str(tmp_path), classes=str(tmp_path / "names.txt"))
    data = segment.load(dataclasses.replace(config, test_images=None, train_images=None))
    assert len(data.train) == 8 and len(data.test) == 2 and not {*data.train.names} & {*data.test.names}


@pytest.mark.slow
def test_on_two_devices_the_recipe_is_the_same(folder):
    code = """
    import dataclasses
    from kvision.recipes import segment
    config = dataclasses.replace(
        segment.SMOKE, data=sys.argv[2], backbone="ResNet20", epochs=1, learning_rate=3e-3, crop="32x48", batch_size=4,
        loss=("cross_entropy", "dice"), class_weights="median", strategy=sys.argv[1])
    data = segment.load(config)
    result = segment.run(data, config)
    answer(metrics=result.metrics["unet"]["mean_iou"], history=result.history)
    """
    (one,) = replicas.run(code, arguments=["single", str(folder)])
    (two,) = replicas.run(code, devices=2, arguments=["mirrored", str(folder)])
    losses = np.array([each["history"]["loss"] for each in (one, two)])
    np.testing.assert_allclose(losses[0, 0], losses[1, 0], rtol=1e-4)
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-3)  # Adam makes more of rounding, see README
    np.testing.assert_allclose(one["history"]["mean_iou"], two["history"]["mean_iou"], atol=5e-3)
