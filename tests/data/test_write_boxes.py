import dataclasses

import pytest
from boxed import plain_set

from kvision import checks
from kvision.data import write_boxes


def test_wrong_arguments(tmp_path):
    dataset = plain_set(tmp_path / "first")
    with pytest.raises(checks.UserError, match="`folder`"):
        write_boxes(dataset, tmp_path, layout="voc")
    with pytest.raises(checks.UserError, match="`layout` is not known"):
        write_boxes(dataset, tmp_path / "new", layout="vok")
    with pytest.raises(checks.UserError, match="`layout` cannot store rotated"):
        write_boxes(dataclasses.replace(dataset, rotated=True), tmp_path / "new", layout="voc")
    with pytest.raises(checks.UserError, match="`dataset`"):
        write_boxes(dataclasses.replace(dataset, class_names=("a cat", "dog")), tmp_path / "new", layout="dota")
    with pytest.raises(checks.UserError, match="`dataset`"):
        write_boxes(dataclasses.replace(dataset, names=("a.png", "a.jpg", "b.png")), tmp_path / "new", layout="voc")
