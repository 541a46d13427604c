import boxed
import numpy as np
import pytest

import kvision as kv
from kvision.checks import UserError
from kvision.detection import KeptObject, Objects, SingleObjects, largest_objects


@pytest.fixture
def images(tmp_path):
    rows = {
        "a": [("cat", 0, 1, 1, 10, 10), ("dog", 0, 11, 11, 40, 40), ("cat", 1, 1, 1, 60, 40)],
        "b": [("cat", 0, 1, 1, 30, 20)],
        "c": [],
        "d": [("dog", 1, 5, 5, 9, 9)],
    }
    return kv.data.from_boxes(boxed.voc(tmp_path / "set", rows), progress=False)


def test_the_largest_object_stays_and_images_without_one_go(images):
    found = largest_objects(images)
    assert [name[-5] for name in found.names] == ["a", "b"]
    assert [one.labels.tolist() for one in found.objects] == [[1], [0]], "the difficult cat is larger"
    assert found.objects[0].boxes.tolist() == [[10, 10, 40, 40]]
    assert any("1 images have several objects" in note for note in found.notes)
    assert any("2 images without an object" in note for note in found.notes)
    assert largest_objects(images.subset([1])).notes == images.notes


def test_data_without_one_upright_object_is_refused(images):
    import dataclasses

    with pytest.raises(UserError, match="`images` have no object"):
        largest_objects(images.subset([2, 3]))
    with pytest.raises(UserError, match="`images` have rotated boxes"):
        largest_objects(dataclasses.replace(images, rotated=True))


def test_examples_are_squares_with_their_boxes(images):
    data = SingleObjects(largest_objects(images), 20)
    image, objects = data.example(0)  # of 40 x 60 pixels
    assert image.shape == (20, 20, 3)
    np.testing.assert_allclose(objects.boxes, [[5, 10 / 3, 20, 40 / 3]], rtol=1e-6)
    pictures, targets = data.stack([data.example(0), data.example(1)])
    assert pictures.shape == (2, 20, 20, 3) and targets["class"].tolist() == [1, 0]
    np.testing.assert_allclose(targets["box"][1], [0, 0, 10, 10, 0], rtol=1e-6)
    inputs, kinds = data.spec(20, 20)
    assert inputs.shape == (None, 20, 20, 3) and kinds["box"].shape == (None, 5)


def test_the_object_stays_visible():
    augment = kv.augment.JointAugment(32, 32, scale=(2, 2), visible=0.9)
    image, objects = np.zeros((32, 32, 3), "uint8"), Objects(np.array([[12, 12, 20, 20.0]], "float32"), np.array([3]))
    lost = [len(augment(image, objects, np.random.default_rng(i))[1].labels) == 0 for i in range(40)]
    assert sum(lost) > 10, "the control"
    kept = KeptObject(augment, draws=3)
    assert (kept.height, kept.width) == (32, 32)
    found = [kept(image, objects, np.random.default_rng(i))[1] for i in range(40)]
    assert all(one.labels.tolist() == [3] for one in found)
    assert any((one.boxes == objects.boxes).all() for one in found), "the image as it was"
    assert sum(np.ptp(one.boxes[0, ::2]) > 12 for one in found) > 10, "larger objects"
