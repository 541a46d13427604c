"""What is not said of it in tests/commands/test_predict.py and tests/export/test_dense.py."""

import keras
import numpy as np
import pytest

import kvision as kv
from kvision import choices
from kvision.checks import UserError
from kvision.export import classifier
from kvision.export.answer import Opened, open_model


def test_both_files_answer_alike_and_say_why_not(exported, images):
    rows = [classifier.encoded(images[0]), b"", classifier.encoded(images[1]), b"\x89PNG\r\n\x1a\n"]
    lite, saved = (open_model(exported, engine=engine) for engine in choices.ENGINES)
    assert lite.colors is None and lite.labels == saved.labels == ["Hund", "猫", "o l w"] == list(lite.names(3))
    for opened in (lite, saved):
        first, empty, second, torn = opened.answer(rows)
        assert empty == "the file is empty" and isinstance(torn, str)
        assert np.shape(first) == np.shape(second) == (3,)
    np.testing.assert_allclose(lite.answer(rows)[0], saved.answer(rows)[0], atol=1e-5)
    assert lite.answer([]) == saved.answer([]) == []


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(UserError, match="`MODEL` does not exist"):
        open_model(tmp_path / "nowhere")
    with pytest.raises(UserError, match="`MODEL` names no model"):
        open_model(tmp_path)


def test_a_network_says_of_an_image_that_it_is_too_small_and_answers_the_next(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    fine = keras.layers.AveragePooling2D(8)(image)
    x = kv.layers.ResizeLike()(keras.layers.Conv2D(2, 3)(fine), image)
    model = keras.Model(image, keras.layers.Softmax(dtype="float32")(x))
    version = kv.export.write(model, tmp_path)
    random = np.random.default_rng(0)
    large, small = (
        classifier.encoded(random.integers(0, 256, (*size, 3)).astype("uint8")) for size in ((64, 72), (16, 9))
    )
    for opened in (open_model(version, engine=engine) for engine in choices.ENGINES):
        for content, fine in ((large, True), (small, False), (large, True)):
            (found,) = opened.answer([content])
            if fine:
                assert found.shape == (64, 72)
            else:
                assert found.startswith("of 16 x 9 pixels the model makes nothing"), found


def test_classes_of_one_name_are_kept_apart():
    opened = Opened(lambda contents: [], ["cat", "dog", "cat"])
    assert opened.names(3) == ["cat (0)", "dog", "cat (2)"]
