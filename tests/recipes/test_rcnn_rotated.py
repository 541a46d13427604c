import dataclasses
import functools

import boxed
import numpy as np
import pytest

import kvision as kv
from kvision import runs
from kvision.checks import UserError
from kvision.recipes import rcnn_rotated
from kvision.runs import proposers

pytestmark = pytest.mark.usefixtures("in_the_zoo")


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Networks with few channels, and no proposals of OpenCV."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv.detection, "rcnn", functools.partial(kv.detection.rcnn, width=24, features=32))
        patch.setattr(proposers, "OTHERS", ("grid",))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = boxed.shapes(tmp_path_factory.mktemp("shapes") / "dota", train=6, test=2, rotated=True)
    return dataclasses.replace(
        rcnn_rotated.SMOKE, data=str(folder), backbone="Small", epochs=2, scorers=("softmax",), proposals=10
    )


def test_rotated_and_upright_boxes_are_measured_on_the_same_objects(config, tmp_path):
    data = rcnn_rotated.load(config)
    assert data.train.rotated and data.class_names == boxed.SHAPES
    both = dataclasses.replace(config, boxes=("rotated", "upright"))
    result = rcnn_rotated.run(data, both, records=runs.Records(tmp_path))
    assert set(result.metrics) == {"rotated-softmax", "upright-softmax"} and result.best == "rotated-softmax"
    image = data.test.original(0)[None].astype("float32")
    assert result.model.predict_on_batch(image).shape == (1, 100, 7)
    found = runs.boxed.load_objects(tmp_path / "rotated-softmax.npz")
    assert all(one.boxes.shape[1] == 5 for one in found)
    for row in result.metrics.values():
        assert "coco" not in row and 0 <= row["map_50"] <= 1


def test_drawn_boxes_are_right_and_upright_boxes_are_less_so(config):
    data = rcnn_rotated.load(config)
    exact = [one._replace(scores=np.ones(len(one.labels), "float32")) for one in data.test.objects]
    assert runs.boxed.score(exact, data.test, seed=0)["map_50"] == 1
    around = [one._replace(scores=np.ones(len(one.labels), "float32")) for one in runs.boxed.upright(data.test).objects]
    assert runs.boxed.score(around, data.test, seed=0)["map"] < 0.8


def test_wrong_calls_are_told(config, tmp_path):
    for options, text in [
        ({"boxes": ("straight",)}, "`boxes`"),
        ({"proposer": "selective_search"}, "`proposer`.*rotated_segments"),
        ({"rotate": 9.0}, "`rotate`"),
        ({"data": str(boxed.shapes(tmp_path / "voc", train=2, test=2))}, "`data` has no rotated boxes.*DOTA"),
    ]:
        with pytest.raises(UserError, match=text):
            rcnn_rotated.load(dataclasses.replace(config, **options))
