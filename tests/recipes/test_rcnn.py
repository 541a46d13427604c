import dataclasses
import functools
import json

import boxed
import numpy as np
import pytest
import replicas
from matplotlib.figure import Figure
from PIL import Image
from processes import within

import kvision as kv
from kvision import cli, runs
from kvision.checks import UserError
from kvision.recipes import rcnn
from kvision.runs import proposers

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = dataclasses.replace(
    rcnn.SMOKE, backbone="Small", train_images=None, epochs=30, learning_rate=0.01, scale=("1", "1"), suppress=0.5
)


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Networks with few channels. The recall of selective search, which takes seconds, is not measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv.detection, "rcnn", functools.partial(kv.detection.rcnn, width=24, features=32))
        patch.setattr(proposers, "OTHERS", ("grid",))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return boxed.shapes(tmp_path_factory.mktemp("shapes") / "voc")


@pytest.fixture(scope="module")
def ended(folder, tmp_path_factory):
    """A finished run: the data, the settings, the place of its records and its result."""
    config = dataclasses.replace(SMALL, data=str(folder))
    place = tmp_path_factory.mktemp("run")
    data = rcnn.load(config)
    return data, config, place, rcnn.run(data, config, records=runs.Records(place))


def test_it_learns_to_find_dark_and_light(ended):
    data, config, _, result = ended
    assert data.class_names == boxed.SHAPES and "12 training, 4 test" in data.name
    assert result.best == "svm" and set(result.metrics) == {"svm", "softmax"}
    for row in result.metrics.values():
        assert row["map_50"] > 0.6 and row["interval"][0] <= row["map_50"] <= row["interval"][1]
        assert 0 < row["map"] < row["map_50"] and row["recall_2000"] > 0.9
        assert len(row["coco"]) == 12 and abs(row["coco"]["AP50"] - row["map_50"]) < 1e-6
        assert row["errors"]["right"] > 0 and len(row["gain_interval"]) == 2
    assert len(result.history["loss"]) == config.epochs
    found = runs.boxed.load_objects(ended[2] / "svm.npz")
    swapped = [one._replace(labels=1 - one.labels) for one in found]
    assert runs.boxed.score(swapped, data.test, seed=0)["map_50"] < 0.3, "the control"


def test_pictures_can_be_drawn(ended):
    *_, result = ended
    assert set(result.pictures) == {"examples.png", "precision_recall.png", "errors.png", "recall.png", "loss.png"}
    for draw in result.pictures.values():
        draw(Figure().subplots())


def test_a_finished_run_repeats_nothing(ended):
    data, config, place, result = ended
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((kv.schedules, "fit"), (kv.detection, "describe"), (kv.detection, "detect")):
            patch.setattr(module, name, None)
        again = rcnn.run(data, config, records=runs.Records(place))
    assert again.metrics == result.metrics
    image = data.test.original(0)[None].astype("float32")
    np.testing.assert_allclose(again.model.predict_on_batch(image), result.model.predict_on_batch(image), atol=1e-4)


def test_a_run_that_was_killed_between_parts_goes_on(ended, tmp_path):
    data, config, place, result = ended
    for name in ("roi.json", "roi.weights.h5"):  # only the training is finished
        (tmp_path / name).write_bytes((place / name).read_bytes())
    real = kv.detection.describe

    def strike(*arguments, **options):
        real(*arguments, **options)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kv.detection, "describe", strike)
        rcnn.run(data, config, records=runs.Records(tmp_path))
    assert len([*(tmp_path / "roi-regions").glob("*.npz")]) == len(data.train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv.schedules, "fit", None)
        again = rcnn.run(data, config, records=runs.Records(tmp_path))
    for name, row in result.metrics.items():
        assert again.metrics[name]["map"] == pytest.approx(row["map"], abs=1e-6)
    assert not (tmp_path / "roi-regions").exists()


def test_the_command_reports_draws_exports_and_predicts(folder, tmp_path):
    broken = folder / "JPEGImages/broken.png", folder / "Annotations/broken.xml"
    broken[0].write_bytes(b"no image")
    broken[1].write_bytes((folder / "Annotations/00.xml").read_bytes())
    listed = (folder / "ImageSets/Main/test.txt").read_text()
    (folder / "ImageSets/Main/test.txt").write_text(f"{listed.rstrip()}\nbroken\n")
    command = ["rcnn", "--smoke", "--data", folder, "--out", tmp_path, "--backbone", "Small", "--epochs", "8"]
    result = within(cli.main, *command, "--scale", "1,1", "--learning-rate", ".01", "--scorers", "softmax")
    (folder / "ImageSets/Main/test.txt").write_text(listed)
    for path in broken:
        path.unlink()
    assert result.returncode == 0, result.stderr
    assert "map 50" in result.stdout and "softmax" in result.stdout
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert report["score"] == "map_50" and "broken.png" in report["bad_images"][0]["path"]
    for picture in ("examples.png", "precision_recall.png", "errors.png", "recall.png", "loss.png"):
        assert (path.parent / picture).stat().st_size > 5000
    assert "detections" in (tmp_path / "1/assets.extra/model_card.md").read_text()
    answers = {}
    for engine in ("tflite", "tensorflow"):
        out = tmp_path / engine
        out.mkdir()
        image = report["next"].split()[-1]
        predicted = within(cli.main, "predict", tmp_path, image, "--engine", engine, "--json", "--out", out)
        assert predicted.returncode == 0, predicted.stderr
        answers[engine] = json.loads(predicted.stdout)[0]
        with Image.open(answers[engine].pop("boxes")) as picture:
            assert picture.size == (64, 64)
    lite, saved = (answers[engine]["objects"] for engine in ("tflite", "tensorflow"))
    assert [one["label"] for one in lite] == [one["label"] for one in saved]
    for one, other in zip(lite, saved, strict=True):
        np.testing.assert_allclose(one["box"], other["box"], atol=0.05)


def test_given_proposals_and_warped_regions(folder):
    """Regions cut out of the image, at the places of a grid."""
    config = dataclasses.replace(
        SMALL, data=str(folder), proposer="grid", proposals=60, crops=("warp",), crop_size=32, epochs=2, batch_size=2
    )
    data = rcnn.load(dataclasses.replace(config, train_images=4, test_images=2))
    result = rcnn.run(data, dataclasses.replace(config, scorers=("softmax",)))
    row = result.metrics["softmax"]
    assert "map_50_exported" not in row and 0 <= row["map_50"] <= 1
    detections = result.model.predict_on_batch(data.test.original(0)[None].astype("float32"))
    assert detections.shape == (1, 100, 6)


def test_wrong_calls_are_told_before_anything_is_read(folder):
    for options, text in [
        ({"proposer": "learnt"}, "Did you mean 'learned'"),
        ({"crops": ("rio",)}, "`crops`"),
        ({"scorers": ()}, "`scorers`"),
        ({"scale": ("2", "1")}, "`scale`"),
        ({"suppress": 1.5}, "`suppress`"),
        ({"proposals": 0}, "`proposals`"),
        ({"test_fraction": 0.0}, "`test_fraction`"),
        ({"proposer": "rotated_segments"}, "`proposer`"),
        ({"data": str(folder / "nowhere")}, "`data` names no folder"),
        ({"data": str(folder / "JPEGImages")}, "`data`"),
    ]:
        with pytest.raises(UserError, match=text):
            rcnn.load(dataclasses.replace(SMALL, **{"data": str(folder), **options}))


@pytest.mark.slow
def test_on_two_devices_the_recipe_is_the_same(folder):
    code = """
    import dataclasses
    from kvision.recipes import rcnn
    config = dataclasses.replace(
        rcnn.SMOKE, data=sys.argv[2], epochs=1, learning_rate=3e-3, scorers=("softmax",), strategy=sys.argv[1])
    data = rcnn.load(config)
    result = rcnn.run(data, config)
    answer(history=result.history)
    """
    (one,) = replicas.run(code, arguments=["single", str(folder)])
    (two,) = replicas.run(code, devices=2, arguments=["mirrored", str(folder)])
    losses = np.array([each["history"]["loss"] for each in (one, two)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
