"""What tests/commands/test_predict.py and tests/tasks/test_segmentation.py do not cover."""

import keras
import numpy as np
import pytest

import kvision as kv
from kvision import choices
from kvision.checks import UserError
from kvision.tasks.opened import open_model
from kvision.tasks.parts import png


def test_both_files_answer_alike_and_say_why_not(exported, images):
    rows = [png(images[0]), b"", png(images[1]), b"\x89PNG\r\n\x1a\n"]
    lite, saved = (open_model(exported, engine=engine) for engine in choices.ENGINES)
    assert lite.task == saved.task == kv.tasks.Classification(["Hund", "猫", "o l w"])
    for opened in (lite, saved):
        first, empty, second, torn = opened.answers(rows)
        assert empty == "the file is empty" and isinstance(torn, str)
        assert list(first.row["probabilities"]) == list(second.row["probabilities"]) == ["Hund", "猫", "o l w"]
    ours, theirs = (list(next(opened.answers(rows)).row["probabilities"].values()) for opened in (lite, saved))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert list(lite.answers([])) == list(saved.answers([])) == []


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(UserError, match="`path` does not exist"):
        open_model(tmp_path / "nowhere")
    with pytest.raises(UserError, match="`path` holds no model"):
        open_model(tmp_path)


def test_an_image_that_is_too_small_is_named_and_the_next_is_answered(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    fine = keras.layers.AveragePooling2D(8)(image)
    x = kv.layers.ResizeLike()(keras.layers.Conv2D(2, 3)(fine), image)
    model = keras.Model(image, keras.layers.Softmax(dtype="float32")(x))
    version = kv.export.write(model, tmp_path, task=kv.tasks.Segmentation())
    random = np.random.default_rng(0)
    large, small = (png(random.integers(0, 256, (*size, 3)).astype("uint8")) for size in ((64, 72), (16, 9)))
    for engine in choices.ENGINES:
        first, refused, last = open_model(version, engine=engine).answers([large, small, large])
        assert list(first.row["shares"]) == ["0", "1"] and first.row == last.row
        assert refused.startswith("the image is too small for this model: 16 x 9 pixels"), refused


def test_pixels_are_given_to_both_files_directly(exported, images):
    lite, saved = (open_model(exported, engine=engine) for engine in choices.ENGINES)
    batch = images[:2].astype("float32")
    assert lite.inputs["image"][1:] == saved.inputs["image"][1:] == batch.shape[1:]
    found, expected = (opened.call(image=batch)["probabilities"] for opened in (lite, saved))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for opened in (lite, saved):
        for wrong in ({}, {"image": batch, "neighbors": batch}, {"image": batch[:, 1:]}, {"image": batch[0]}):
            with pytest.raises(UserError, match="inputs"):
                opened.call(**wrong)
