import keras
import numpy as np
import pytest
from detectors import detector, scene

import kvision as kv
from kvision import detection
from kvision.checks import UserError
from kvision.tasks import tiles
from kvision.tasks.opened import Opened
from kvision.tasks.parts import png

SIZE = (68, 200)


def opened(threshold: float = 0.3, **options) -> Opened:
    """A detector that is not exported: the Keras model itself answers."""
    model, task = detector(), kv.tasks.Detection(longest_side=64, threshold=threshold)

    def predict(images: list[np.ndarray]):
        return {"detections": keras.ops.convert_to_numpy(model(np.stack(images).astype("float32"), training=False))}

    return Opened(task, lambda content: task.read(content, None), predict, one_size=False, **options)


def boxes(answer) -> list[list[float]]:
    return sorted(one["box"] for one in answer.row["objects"])


@pytest.mark.parametrize("left", [0, 4, 40, 48, 52, 56, 60, 64, 100, 104, 108, 112, 192])
def test_an_object_at_the_border_of_tiles_appears_once(left):
    """Tiles of 64 pixels start at 0, 52, 104 and 136; each object is whole in one of them."""
    image = scene(SIZE, [(8, left, "red")])
    (answer,) = tiles.answers(opened(), [png(image)], tile=64)
    assert boxes(answer) == [[8, left, 16, left + 8]]
    assert answer.parts[0].image.shape == image.shape


def test_the_rule_for_parts_is_needed(monkeypatch):
    image = png(scene(SIZE, [(8, 60, "red")]))
    assert len(boxes(next(tiles.answers(opened(), [image], tile=64)))) == 1
    monkeypatch.setattr(detection.tiles, "_SHARE", 2.0)
    assert len(boxes(next(tiles.answers(opened(), [image], tile=64)))) == 2


def test_small_objects_that_the_whole_image_misses():
    image = png(scene((260, 260), [(8, 8, "red"), (252, 252, "blue")]))
    (whole,) = opened().answers([image])
    (answer,) = tiles.answers(opened(), [image], tile=64)
    assert boxes(whole) == [] and boxes(answer) == [[8, 8, 16, 16], [252, 252, 260, 260]]


def test_one_tile_is_the_whole_image():
    image = png(scene((40, 50), [(8, 8, "red")]))
    (whole,), (answer,) = opened().answers([image]), tiles.answers(opened(), [image], tile=64)
    assert whole.row == answer.row and boxes(answer)


def test_no_objects():
    (answer,) = tiles.answers(opened(), [png(scene(SIZE, []))], tile=64)
    assert answer.row == {"objects": []}


def test_bad_images_are_named_and_the_next_is_answered():
    image = png(scene(SIZE, [(8, 8, "red")]))
    torn, answer = tiles.answers(opened(), [image[:80], image], tile=64)
    assert isinstance(torn, str) and boxes(answer)


def test_a_task_that_cannot_merge_is_refused():
    other = Opened(kv.tasks.Classification(), lambda content: content, lambda images: {}, one_size=True)
    with pytest.raises(UserError, match=r"`tile` is not supported by classification.*Leave it out"):
        next(tiles.answers(other, [b""], tile=64))
    assert isinstance(kv.tasks.Detection(), kv.export.Tiled)
    with pytest.raises(UserError, match="`tile`"):
        next(tiles.answers(opened(), [b""], tile=0))
