import importlib.util

import numpy as np
import pytest
from detections import CLASSES, scenes

from kvision import checks
from kvision.metrics import average_precision, coco_summary
from kvision.objects import Objects

PACKAGES = ["faster_coco_eval", "pycocotools"]


def only(monkeypatch, *installed: str) -> None:
    """Hides the packages that are not in `installed`."""
    for package in installed:
        pytest.importorskip(package)
    hidden, find = set(PACKAGES) - set(installed), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in hidden else find(name))


@pytest.mark.parametrize("package", PACKAGES)
def test_equals_the_average_precision(package, monkeypatch, capfd):
    only(monkeypatch, package)
    drawn, found = scenes(60)
    summary = coco_summary(found, drawn, CLASSES)
    ours = average_precision(found, drawn, CLASSES)
    assert abs(summary["AP"] - ours.mean) < 1e-6
    assert abs(summary["AP50"] - ours.at(0.5)) < 1e-6 and abs(summary["AP75"] - ours.at(0.75)) < 1e-6
    assert len(summary) == 12 and all(type(value) is float and 0 <= value <= 1 for value in summary.values())
    assert summary["ARmax1"] < summary["ARmax10"] <= summary["ARmax100"]
    assert not "".join(capfd.readouterr())


def test_both_packages_agree(monkeypatch):
    drawn, found = scenes(30, difficult=True)
    summaries = []
    for package in PACKAGES:
        with monkeypatch.context() as patch:
            only(patch, package)
            summaries.append(coco_summary(found, drawn, CLASSES))
    np.testing.assert_allclose(*(list(summary.values()) for summary in summaries), atol=1e-9)


@pytest.mark.parametrize("package", PACKAGES)
def test_sizes_of_objects_and_images_without_objects_or_detections(package, monkeypatch):
    only(monkeypatch, package)
    none = Objects(np.zeros((0, 4), "float32"), np.zeros(0, "int32"))
    small = Objects(np.array([[0, 0, 31, 32]], "float32"), np.zeros(1, "int32"))
    large = Objects(np.array([[0, 0, 97, 96]], "float32"), np.zeros(1, "int32"))
    drawn = [small, large, none]
    found = [none._replace(scores=np.zeros(0)), *(one._replace(scores=np.ones(len(one.labels))) for one in drawn[1:])]
    summary = coco_summary(found, drawn, 2)
    assert summary["APsmall"] == 0 and np.isclose(summary["APlarge"], 1) and np.isnan(summary["APmedium"])
    assert summary["ARmax1"] == 0.5
    nothing = coco_summary([found[0]] * 3, drawn, 2)
    assert nothing["AP"] == nothing["ARmax100"] == 0
    assert all(np.isnan(value) for value in coco_summary(found, [none] * 3, 2).values())


def test_wrong_arguments_and_a_missing_extra(monkeypatch):
    drawn, found = scenes(2)
    with pytest.raises(checks.UserError, match="`found`"):
        coco_summary(found[:1], drawn, CLASSES)
    rotated = Objects(np.ones((1, 5), "float32"), np.zeros(1, "int32"))
    with pytest.raises(checks.UserError, match="`drawn` has rotated boxes"):
        coco_summary(found[:1], [rotated], CLASSES)
    only(monkeypatch)
    with pytest.raises(checks.UserError, match=r"\[detection\]"):
        coco_summary(found, drawn, CLASSES)
