import dataclasses
import json

import boxed
import numpy as np
import pytest
import replicas
from processes import within

import kvision as kv
from kvision import cli, runs
from kvision.checks import UserError
from kvision.data import rendered
from kvision.detection import Objects
from kvision.recipes import locate
from kvision.training import resume

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = locate.Config(
    backbone="Small", weights="none", image_size=64, epochs=12, learning_rate=0.01, batch_size=8, rotate=0.0
)


def scenes(train: int, val: int):
    """A red or a green rectangle on a gray ground with noise, 48 x 64 pixels."""
    random = np.random.default_rng(0)
    for number in range(train + val):
        picture = random.normal(90, 20, (48, 64, 3))
        height, width = random.integers(16, 28, 2)
        top, left = int(random.integers(48 - height)), int(random.integers(64 - width))
        picture[top : top + height, left : left + width, number % 2] += 120
        found = Objects(np.array([[top, left, top + height, left + width]], "float32"), np.array([number % 2]))
        yield "train" if number < train else "val", picture.clip(0, 255).astype("uint8"), found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("rectangles") / "data"
    rendered.write(place, "coco", ("red", "green"), scenes(80, 20))
    return place


def test_it_learns_classes_and_boxes(folder):
    config = dataclasses.replace(SMALL, data=str(folder))
    data = locate.load(config)
    assert data.class_names == ("red", "green") and "80 training, 20 test" in data.name
    result = locate.run(data, config)
    row, mean = result.metrics["soft_argmax"], result.metrics["mean box"]
    assert result.task.score == "both_right" and list(result.metrics) == ["soft_argmax", "mean box", "center box"]
    assert row["accuracy"] > 0.8 and row["mean_iou"] > mean["mean_iou"] + 0.15, (row, mean)
    assert row["interval"][0] <= row["both_right"] <= row["interval"][1]
    assert set(result.history) == {"loss", "class_loss", "box_loss"} and len(result.history["loss"]) == config.epochs
    assert result.model.output_shape == (None, 1, 6)


def test_a_killed_run_goes_on_to_the_same_weights(folder, tmp_path, eager):
    changes = {"data": str(folder), "epochs": 3, "train_images": 16, "test_images": 4, "head": "flatten"}
    config = dataclasses.replace(SMALL, per_class=True, **changes)
    data = locate.load(config)
    expected = locate.run(data, config)
    struck = []

    class Strike(Exception):
        pass

    def strike(self, batch, logs=None):
        struck.append(batch)
        if len(struck) == 5:
            raise Strike

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Strike):
        patch.setattr(kv.training.Clock, "on_train_batch_end", strike)
        patch.setattr(resume, "_LONGEST_PAUSE", 0.0)
        locate.run(data, config, records=runs.Records(tmp_path))
    again = locate.run(data, config, records=runs.Records(tmp_path))
    for ours, theirs in zip(again.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert locate.run(data, config, records=runs.Records(tmp_path)).metrics == again.metrics, "found finished"


def test_the_command_reports_draws_exports_and_predicts(folder, tmp_path):
    command = ["locate", "--data", folder, "--out", tmp_path, "--backbone", "Small", "--weights", "none"]
    command += ["--epochs", "1", "--image-size", "64", "--train-images", "16", "--test-images", "8"]
    result = within(cli.main, *command)
    assert result.returncode == 0, result.stderr
    assert "both right" in result.stdout and "mean box" in result.stdout and "center box" in result.stdout
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert {"accuracy", "mean_iou", "both_right", "interval"} <= set(report["results"]["soft_argmax"])
    for picture in ("examples.png", "loss.png"):
        assert (path.parent / picture).stat().st_size > 5000
    card = (tmp_path / "1/assets.extra/model_card.md").read_text()
    assert "one object in an image of 2 classes" in card and "right class" in card and "both right" in card
    predicted = within(cli.main, *report["next"].split()[1:], "--out", tmp_path / "pictures")
    assert predicted.returncode == 0, predicted.stderr
    assert [*(tmp_path / "pictures").glob("*.png")], "one object is drawn, also if no class is likely"


def test_several_objects_and_background_images_are_told(tmp_path):
    rows = {"a": [("cat", 0, 1, 1, 10, 20), ("dog", 0, 11, 21, 60, 40)], "b": [("cat", 0, 5, 6, 30, 31)], "c": []}
    config = dataclasses.replace(SMALL, data=str(boxed.voc(tmp_path / "set", rows)))
    data = locate.load(config)
    assert len(data.train) == len(data.test) == 1
    assert any("only the largest" in note for note in data.notes)
    assert any("1 images without an object" in note for note in data.notes)
    empty = dataclasses.replace(SMALL, data=str(boxed.voc(tmp_path / "none", {"a": [], "b": []})))
    with pytest.raises(UserError, match="`data` have no object"):
        locate.load(empty)


def test_wrong_calls_are_told_before_anything_is_read(folder):
    for options, text in [
        ({"head": "soft_argmx"}, "Did you mean 'soft_argmax'"),
        ({"image_size": 8}, "`image_size`.*16 pixels or more for Small"),
        ({"zoom": 0.5}, "`zoom`"),
        ({"rotate": -1}, "`rotate`"),
        ({"color": 1}, "`color`"),
        ({"epochs": 0}, "`epochs`"),
        ({"data": str(folder / "nowhere")}, "`data` names no folder"),
    ]:
        with pytest.raises(UserError, match=text):
            locate.load(dataclasses.replace(SMALL, **{"data": str(folder), **options}))
    assert kv.detection.HEADS == locate.HEADS


def test_rotated_boxes_are_refused(tmp_path):
    config = dataclasses.replace(SMALL, data=str(kv.data.rotated_scenes(tmp_path / "rotated", train=2, val=1)))
    with pytest.raises(UserError, match=r"`data`.*rotated boxes"):
        locate.load(config)


def test_rendered_images_are_as_many_as_wanted(tmp_path):
    data = locate.load(dataclasses.replace(SMALL, train_images=3, test_images=2), cache=tmp_path)
    assert len(data.train) == 3 and len(data.test) == 2 and len(data.class_names) == 100
    assert (tmp_path / "shape-objects-3-2").is_dir()


@pytest.mark.slow
def test_on_two_devices_the_recipe_is_the_same(folder):
    code = """
    import dataclasses
    from kvision.recipes import locate
    config = locate.Config(
        data=sys.argv[2], backbone="ResNet20", weights="none", image_size=32, epochs=1, batch_size=8, train_images=24,
        test_images=8, strategy=sys.argv[1])
    data = locate.load(config)
    result = locate.run(data, config)
    answer(history=result.history)
    """
    (one,) = replicas.run(code, arguments=["single", str(folder)])
    (two,) = replicas.run(code, devices=2, arguments=["mirrored", str(folder)])
    np.testing.assert_allclose(one["history"]["loss"], two["history"]["loss"], rtol=2e-3)
