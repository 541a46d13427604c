import inspect

import keras
import numpy as np
import pytest
import replicas
import tensorflow as tf
from rcnns import CLASSES, drawn, fresh, networks, noise

import kvision as kv
from kvision.checks import UserError

BOXES = np.array([[[4, 6, 40, 50], [0, 0, 65, 47], [60, 40, 65, 47], [30, 30, 31, 31]]], "float32")
TURNED = np.array([[[20, 30, 10, 30, 0.4], [30, 20, 60, 40, -3.0], [5, 5, 1, 1, 1.0]]], "float32")


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize(("crop", "learned"), [("roi", True), ("roi", False), ("warp", False)])
def test_outputs_of_odd_images(crop, learned, rotated):
    found = networks(crop, learned=learned, rotated=rotated)
    boxes = TURNED if rotated else BOXES
    images = noise(2, 65, 47)
    answer = found.describe({"image": images, "boxes": np.repeat(boxes, 2, 0)})
    count, columns = boxes.shape[1:]
    assert answer["feature"].shape == (2, count, 8) and answer["logits"].shape == (2, count, 1 + len(CLASSES))
    assert answer["map"].shape[:2] == (2, count) and found.describe.output["map"].shape[-1] == answer["map"].shape[-1]
    assert (found.candidates is not None) == learned and found.rotated == rotated and found.crop == crop
    inputs = {"image": images} if learned else {"image": images, "proposals": np.repeat(boxes, 2, 0)}
    outputs = found.training(inputs)
    regions = np.asarray(outputs["regions"])
    assert set(outputs) == ({"regions", "candidates"} if learned else {"regions"})
    assert regions.shape == (2, 128 if learned else count, columns + 1 + len(CLASSES))
    if learned:
        cells = -(-65 // found.stride) * -(-47 // found.stride)
        assert outputs["candidates"].shape == (2, cells, 3 + (6 if rotated else 4)) and found.side == 8 * found.stride
        proposed = np.asarray(found.proposals(128)(images))
        np.testing.assert_allclose(regions[..., :columns], proposed, atol=1e-3)
        assert regions[..., :columns].any()
        boxes = regions[..., :columns]
    again = found.describe({"image": images, "boxes": boxes if len(boxes) == 2 else np.repeat(boxes, 2, 0)})
    np.testing.assert_allclose(regions[..., columns:], again["logits"], atol=1e-4)


def test_all_models_share_their_weights():
    found = fresh()
    training = {id(variable) for variable in found.training.variables}
    for model in (found.describe, found.candidates, found.proposals(5)):
        assert {id(variable) for variable in model.variables} <= training
    before = np.asarray(found.describe({"image": noise(1, 64, 64), "boxes": BOXES})["logits"])
    layer = next(one for one in found.describe._flatten_layers() if one.name == "logits")
    layer.bias.assign(layer.bias + 1)
    after = np.asarray(found.describe({"image": noise(1, 64, 64), "boxes": BOXES})["logits"])
    np.testing.assert_allclose(after, before + 1, atol=1e-5)


def test_regions_of_one_map_are_cut_at_their_boxes():
    """The map of a small box is the same when the image far away from it changes."""
    found = networks("warp", learned=False)
    image, boxes = noise(1, 96, 96), np.array([[[8, 8, 24, 24], [60, 60, 90, 90]]], "float32")
    other = image.copy()
    other[:, 50:, 50:] = 0
    maps = [np.asarray(found.describe({"image": one, "boxes": boxes})["map"]) for one in (image, other)]
    np.testing.assert_allclose(maps[0][:, 0], maps[1][:, 0], atol=1e-5)
    assert np.abs(maps[0][:, 1] - maps[1][:, 1]).max() > 1e-2, "control"


def test_the_warp_of_the_whole_image_is_the_resized_image():
    found = networks("warp", learned=False)
    cut = found.describe.get_layer("cut")
    image, margin = noise(1, 60, 48), cut.context / (cut.size - 2 * cut.context)
    assert cut.context == round(32 * 16 / 227) > 0
    half = np.array([30, 24]) / (1 + 2 * margin)  # so that box and context are the whole image
    inner = np.concatenate([np.array([30, 24]) - half, np.array([30, 24]) + half])[None, None].astype("float32")
    resized = tf.image.resize(image, (32, 32), antialias=False)
    np.testing.assert_allclose(cut(image, inner)[0, 0], resized[0], atol=0.02)


def batch(learned: bool) -> tuple[dict, dict]:
    images = drawn([(10, 10, 40, 50, 1)], [(5, 30, 30, 60, 0), (40, 8, 60, 30, 1)])
    pixels, objects = images.stack([images.example(i) for i in range(2)])
    inputs, targets = {"image": pixels}, {"regions": objects}
    if learned:
        return inputs, {**targets, "candidates": objects}
    boxes = np.concatenate([objects[..., :4], BOXES.repeat(2, 0)], 1)
    return {**inputs, "proposals": boxes}, targets


def losses(found: kv.detection.RCNN) -> dict:
    loss: dict = {"regions": kv.losses.RegionLoss()}
    if found.candidates is not None:
        loss["candidates"] = kv.losses.CandidateLoss(side=found.side, stride=found.stride)
    return loss


@pytest.mark.parametrize(("crop", "learned"), [("roi", True), ("warp", False)])
def test_training_lowers_the_loss_and_leaves_the_statistics_of_the_frozen_body(crop, learned):
    found = fresh(crop, learned=learned)
    body = found.training.get_layer("body")
    before = [np.array(value) for value in body.get_weights()]
    options = {"loss": losses(found), "metrics": (), "verbose": 0, "batch_size": 2}
    phases = [kv.schedules.Phase(0, "top", 1e-2), kv.schedules.Phase(5, "all", 1e-3, norm="frozen")]
    first = kv.schedules.fit(found.training, batch(learned), phases[:1], epochs=5, **options).history["loss"]
    assert np.isfinite(first).all() and first[-1] < first[0]
    for old, new in zip(before, body.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    kv.schedules.fit(found.training, batch(learned), [kv.schedules.Phase(0, "all", 1e-3)], epochs=1, **options)
    moved = {v.path: np.abs(v - old).max() for v, old in zip(body.weights, before, strict=True)}
    still = [path for path, step in moved.items() if step == 0]
    assert any("moving" in path for path in moved) and all("bn2" in path for path in still)
    assert all(path in still for path in moved if "moving" in path) and len(still) < len(moved)


def test_half_precision_is_near():
    expected = networks().training({"image": noise(1, 64, 64)})
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = fresh()
    finally:
        keras.config.set_dtype_policy("float32")
    found.training.set_weights(networks().training.get_weights())
    answer = found.training({"image": noise(1, 64, 64)})
    assert {output.dtype for output in answer.values()} == {tf.float32}
    np.testing.assert_allclose(answer["candidates"], expected["candidates"], atol=0.1, rtol=0.05)
    boxes = np.array([[[3.3, 4.4, 50.1, 60.2]]], "float32")
    near, exact = (one.describe({"image": noise(1, 64, 64), "boxes": boxes})["map"] for one in (found, networks()))
    np.testing.assert_allclose(np.asarray(near).astype("float32"), exact, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("crop", ["roi", "warp"])
def test_backbones_with_few_strides(crop):
    """A residual network has the strides 1, 2 and 4; a ViT has only one stride."""
    options = {"crop": crop, "learned": crop == "roi", "width": 8, "features": 8, "crop_size": 32}
    found = kv.detection.rcnn(kv.backbones.plain_residual(8, classes=None), 2, **options)
    assert found.describe({"image": noise(1, 33, 47), "boxes": BOXES})["logits"].shape == (1, 4, 3)
    image = keras.Input((32, 32, 3), name="image")
    one = keras.Model(image, keras.layers.Conv2D(4, 4, strides=4, name="only")(image), name="one")
    found = kv.detection.rcnn(one, 2, **options)
    assert found.describe({"image": noise(1, 33, 47), "boxes": BOXES})["logits"].shape == (1, 4, 3)
    found = kv.detection.rcnn(kv.backbones.vit(depth=1, width=16, heads=2, image_size=32), 2, **options)
    assert found.describe({"image": noise(1, 33, 47), "boxes": BOXES})["logits"].shape == (1, 4, 3)


def test_what_is_refused():
    backbone = kv.backbones.plain_residual(8, classes=None)
    with pytest.raises(UserError, match=r"`crop`.*roi"):
        kv.detection.rcnn(backbone, 2, crop="rio")
    with pytest.raises(UserError, match=r"`learned`.*warped images"):
        kv.detection.rcnn(backbone, 2, crop="warp")
    with pytest.raises(UserError, match="`classes`"):
        kv.detection.rcnn(backbone, 0)
    with pytest.raises(UserError, match=r"there is no learned proposer"):
        networks("roi", learned=False).proposals(5)


def trained(strategy) -> list[list[float]]:
    """Weights after two steps with 4 images, one of which has no objects."""
    with strategy.scope():
        found, sgd = fresh(), kv.training.SGD(momentum=0.9)
    images = drawn(*[[(8 + 4 * i, 10, 40, 50, i % 2)][: i != 2] for i in range(4)], size=(32, 64))
    pixels, objects = images.stack([images.example(i) for i in range(4)])
    targets, phases = {"regions": objects, "candidates": objects}, [kv.schedules.Phase(0, "all", 1e-2)]
    options = {"loss": losses(found), "metrics": (), "verbose": 0, "batch_size": 4, "optimizer": sgd}
    kv.schedules.fit(found.training, ({"image": pixels}, targets), phases, epochs=2, **options)
    return [np.asarray(kv.distribute.values.read(v)).ravel()[:50].tolist() for v in found.training.variables]


def test_two_devices_end_where_one_does(eager):
    parts = [
        "from rcnns import drawn, fresh",
        *map(inspect.getsource, (losses, trained)),
        "answer(w=trained(strategy))",
    ]
    (found,) = replicas.run("\n".join(parts), devices=2)
    one, first = trained(tf.distribute.get_strategy()), [np.ravel(w)[:50] for w in fresh().training.get_weights()]
    apart = max(np.abs(np.array(a) - b).max() for a, b in zip(one, found["w"], strict=True))
    moved = max(np.abs(np.array(a) - b).max() for a, b in zip(one, first, strict=True))
    assert apart < 1e-5 and moved > 1e-2, (apart, moved)
