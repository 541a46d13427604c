import keras
import numpy as np

import kvision as kv
from kvision.export import checksum, model_card

TASK = kv.tasks.Classification(["a", "b", "c"])


def test_checksum_covers_values_shapes_and_order(model):
    before = checksum(model)
    assert before == checksum(model) and len(before) == 64
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert checksum(clone) == before, "the same weights under other automatic names"
    weights = model.get_weights()
    weights[0] = weights[0].copy()
    weights[0].flat[0] = np.nextafter(weights[0].flat[0], 1)
    clone.set_weights(weights)
    assert checksum(clone) != before


def test_card_tells_numbers_signatures_and_origin(model):
    results = {"knn": {"accuracy": 0.5, "interval": [0.4, 0.6]}, "forest": {"accuracy": 0.75, "interval": [0.7, 0.8]}}
    card = model_card(
        model,
        TASK,
        data="photographs: 3 classes",
        command="kvision x --y",
        results=results,
        best="knn",
    )
    assert "TFLite models" not in card
    for text in (
        "| knn (this model) | 0.5000 | 0.4000 - 0.6000 |",
        "| forest | 0.7500 |",
        "photographs: 3 classes",
        "`kvision x --y`",
        checksum(model),
        "(batch, 32, 32, 3)",
        "serve_bytes",
        f"keras {keras.__version__}",
    ):
        assert text in card


def test_card_tells_what_smaller_files_lose(model):
    results = {"knn": {"accuracy": 0.5, "interval": [0.4, 0.6]}}
    row = {"accuracy": 0.5, "interval": [0.4, 0.6], "agreement": 0.875, "megabytes": 1.234, "milliseconds": 0.5}
    card = model_card(
        model, TASK, data="", command="", results=results, best="knn", tflite={"int8": {**row, "images": 300}}
    )
    assert "300 test images" in card
    assert "| model_int8.tflite | 0.5000 | 0.4000 - 0.6000 | 0.8750 | 1.23 | 0.50 |" in card


def test_card_tells_what_the_head_notes(model):
    head = kv.layers.Chain([keras.layers.Dense(3), kv.layers.Decision("softmax")], note="These are not calibrated.")
    noted = keras.Model(model.input, head(model.layers[-1].input))
    results = {"knn": {"accuracy": 0.5, "interval": [0.4, 0.6]}}
    card = model_card(noted, TASK, data="d", command="c", results=results, best="knn")
    assert "These are not calibrated." in card
