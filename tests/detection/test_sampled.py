import numpy as np
import pytest
from rcnns import drawn

import kvision as kv
from kvision.detection import DrawnProposals, TrainingImages
from kvision.objects import Objects

OBJECT = (20, 16, 40, 56, 1)
AUGMENT = kv.augment.JointAugment(48, 60, scale=(0.8, 1.2), fit=True, color=0)


def proposals(near: int, far: int) -> np.ndarray:
    """Boxes on the object, and boxes away from it."""
    random = np.random.default_rng(0)
    hits = np.array(OBJECT[:4]) + random.uniform(-1, 1, (near, 4))
    corner = random.uniform(0, 10, (far, 2))
    return np.concatenate([hits, np.concatenate([corner, corner + 8], 1)]).astype("float32")


def drawn_once(images: TrainingImages, augment, index: int = 0, seed: int = 0):
    image, objects = augment(*images.example(index), np.random.default_rng(seed))
    return image, objects, images.stack([(image, objects)])


@pytest.mark.parametrize("seed", range(4))
def test_proposals_move_with_the_image(seed):
    images = TrainingImages(drawn([OBJECT]), [np.array([OBJECT[:4]], "float32")], count=4)
    image, _, (inputs, targets) = drawn_once(images, DrawnProposals(AUGMENT, 4), seed=seed)
    box, bright = inputs["proposals"][0, 0], np.argwhere(image.mean(-1) > 110)
    np.testing.assert_allclose(box, [*bright.min(0), *(bright.max(0) + 1)], atol=1.01)
    np.testing.assert_allclose(targets["regions"][0, 0], [*box, 1], atol=1e-4)
    assert np.abs(box - OBJECT[:4]).max() > 1, "control: the image has moved"
    assert not inputs["proposals"][0, 1:].any() and targets["regions"][0, 1:, -1].tolist() == [-1, -1]


def test_a_quarter_of_the_proposals_overlaps_an_object_if_there_are_enough():
    still = kv.augment.JointAugment(64, 80, scale=(1, 1), flip=False, color=0)
    for near, far, expected in ((20, 50, (4, 12)), (2, 50, (2, 14)), (20, 3, (4, 3)), (0, 0, (0, 0))):
        images = TrainingImages(drawn([OBJECT]), [proposals(near, far)], count=16)
        _, _, (inputs, _) = drawn_once(images, DrawnProposals(still, 16))
        boxes = inputs["proposals"][0]
        assert boxes.shape == (16, 4)
        overlap = np.asarray(kv.detection.iou(boxes, np.array([OBJECT[:4]])))[:, 0]
        used = (boxes[:, 2:] > boxes[:, :2]).all(1)
        assert ((overlap >= 0.5).sum(), (used & (overlap < 0.5)).sum()) == expected


def test_proposals_of_difficult_objects_are_no_positives():
    still = kv.augment.JointAugment(64, 80, scale=(1, 1), flip=False, color=0)
    images = TrainingImages(drawn([OBJECT], difficult=True), [proposals(10, 40)], count=16)
    _, objects, (_, targets) = drawn_once(images, DrawnProposals(still, 16, share=0.25))
    assert (targets["regions"][..., -1] == -1).all() and (objects.labels < 0).sum() == 16


def test_images_without_objects_or_proposals():
    images = TrainingImages(drawn([], [OBJECT]), [proposals(0, 9), np.zeros((0, 4), "float32")], count=4)
    augment = DrawnProposals(AUGMENT, 4)
    examples = [augment(*images.example(i), np.random.default_rng(0)) for i in range(2)]
    inputs, targets = images.stack(examples)
    assert (inputs["proposals"][0, :, 2:] > 0).all() and not inputs["proposals"][1].any()
    assert targets["regions"][:, 0, -1].tolist() == [-1, 1] and inputs["image"].shape == (2, 48, 60, 3)


def test_the_generator_decides():
    images, augment = TrainingImages(drawn([OBJECT]), [proposals(20, 50)], count=8), DrawnProposals(AUGMENT, 8)
    first, same, other = (drawn_once(images, augment, seed=seed)[2][0]["proposals"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1
    assert (augment.height, augment.width) == (48, 60)


def test_with_a_learned_proposer_there_are_objects_only():
    images = TrainingImages(drawn([OBJECT]))
    assert len(images) == 1 and images.path(0) == "0.png"
    _, _, (inputs, targets) = drawn_once(images, AUGMENT)
    assert set(inputs) == {"image"} and set(targets) == {"candidates", "regions"}
    np.testing.assert_array_equal(targets["candidates"], targets["regions"])


@pytest.mark.parametrize("given", [None, [proposals(20, 50)]])
def test_batches_have_the_shapes_of_the_spec(given):
    images = TrainingImages(drawn([OBJECT]), given, count=8)
    augment = AUGMENT if given is None else DrawnProposals(AUGMENT, 8)
    source = kv.data.batches(images, augment=augment, seed=0, batch_size=1).source
    batch, spec = source.read(np.array([0])), source.spec
    for values, known in zip(batch, spec, strict=True):
        assert {name: (1, *one.shape[1:]) for name, one in known.items()} == {n: v.shape for n, v in values.items()}
        assert all(values[name].dtype == one.dtype for name, one in known.items())


def test_rotated_boxes():
    images, box = drawn([]), np.array([[30.0, 40.0, 10.0, 30.0, 0.4]], "float32")
    images.rotated, images.objects = True, [Objects(box, np.array([1], "int32"))]
    training = TrainingImages(images, [np.repeat(box, 5, 0)], count=8)
    _, _, (inputs, targets) = drawn_once(training, DrawnProposals(AUGMENT, 8))
    assert inputs["proposals"].shape == (1, 8, 5) and (inputs["proposals"][0, :2, 2] > 0).all()
    np.testing.assert_allclose(inputs["proposals"][0, 0], targets["regions"][0, 0, :5], atol=1e-4)
    assert not inputs["proposals"][0, 2:].any(), "two of eight are positive, and there are no others"
