import io

import crf_by_hand as by_hand
import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.checks import UserError
from kvision.export import Refinable
from kvision.tasks import refined
from kvision.tasks.opened import Opened

CRFParameters = kv.segmentation.CRFParameters


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def opened(task, probabilities) -> Opened:
    """A model that always gives the same outputs."""
    return Opened(
        task,
        lambda content: task.read(content, None),
        lambda images: {"probabilities": np.stack([probabilities] * len(images))},
        one_size=False,
    )


def test_the_answer_has_the_labels_of_the_full_range_form():
    image, _, probabilities = by_hand.two_regions(30, 44, noise=2)
    stored = CRFParameters(4, 0.2, 20, 2, 0.06, iterations=5)
    for parameters in (None, stored):
        task = kv.tasks.Segmentation(["left", "right"], crf=parameters)
        assert isinstance(task, Refinable)
        answer, broken = refined.answers(opened(task, probabilities), [png(image), b"no image"])
        expected = kv.segmentation.dense_crf(probabilities, image, parameters).argmax(axis=2)
        assert answer.row["shares"]["right"] == pytest.approx(expected.mean())
        assert isinstance(broken, str)
        (plain,) = opened(task, probabilities).answers([png(image)])
        assert plain.row["shares"] != answer.row["shares"]


def test_the_image_is_as_large_as_the_probabilities():
    image, _, probabilities = by_hand.two_regions(30, 44, noise=2)
    task = kv.tasks.Segmentation(longest_side=44)
    large = np.asarray(Image.fromarray(image).resize((88, 60)))
    (answer,) = refined.answers(opened(task, probabilities), [png(large)])
    assert not isinstance(answer, str) and answer.parts[1].labels.shape == (60, 88)


def test_what_cannot_be_refined_is_told():
    image, _, probabilities = by_hand.two_regions(8, 9, noise=1)
    cases = [
        (kv.tasks.Classification(["a", "b"]), "`crf` is not supported by classification"),
        (kv.tasks.Segmentation(crf_inside=True), "`crf` is part of this model already"),
    ]
    for task, text in cases:
        with pytest.raises(UserError, match=text):
            list(refined.answers(opened(task, probabilities), [png(image)]))
    with pytest.raises(UserError, match="engine tflite"):
        kv.tasks.Segmentation().refine({"mask_bytes": b""}, png(image))


def test_facts_hold_the_parameters():
    import keras

    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same", activation="softmax")(image))
    task = kv.tasks.Segmentation(crf=CRFParameters(iterations=3), crf_inside=True)
    facts = task.facts(model)
    again = kv.tasks.Segmentation.from_facts(facts, None)
    assert again.crf == task.crf and again.crf_inside
    assert "crf" not in kv.tasks.Segmentation().facts(model)
    for wrong in ({"crf": {}}, {"crf_inside": 1}, {"crf": {**facts["crf"], "bilateral_color": -1}}):
        with pytest.raises(ValueError):
            kv.tasks.Segmentation.from_facts({**facts, **wrong}, None)
