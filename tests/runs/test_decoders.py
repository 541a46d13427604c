"""What tests/recipes/test_segment.py and test_edges.py do not say of it."""

import dataclasses

import pytest
import scenes

import kvision as kv
from kvision import runs
from kvision.runs import decoders

pytestmark = pytest.mark.usefixtures("in_the_zoo")


def settings(folder, **options) -> decoders.DecoderSettings:
    return dataclasses.replace(
        decoders.DecoderSettings(), data=str(folder), backbone="Small", weights="none", **options
    )


def test_validation_images_are_taken_where_something_is_chosen(tmp_path):
    config = settings(scenes.split(tmp_path, train=20))
    plain, chosen = (decoders.load(config, chooses=chooses) for chooses in (False, True))
    assert plain.validation is None and len(plain.train) == 20 and plain.notes == ()
    assert len(chosen.train) == 18 and len(chosen.validation) == 2 and "2 training images" in chosen.notes[0]
    assert (
        plain.fingerprint != chosen.fingerprint != decoders.load(settings(tmp_path, seed=1), chooses=True).fingerprint
    )


def test_given_validation_images_are_used_or_told(tmp_path):
    folder = scenes.split(tmp_path)
    scenes.write(folder / "test", 3, first=20)
    plain, chosen = (decoders.load(settings(folder), chooses=chooses) for chooses in (False, True))
    assert "4 validation images are not used" in plain.notes[0] and chosen.notes == ()
    assert len(chosen.validation) == 4 and len(chosen.train) == 8 and plain.fingerprint != chosen.fingerprint


def test_the_same_seed_gives_the_same_network(tmp_path):
    config = settings(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoders, "_WIDTHS", (8, 8, 4, 4))
        one, two, other = (
            decoders.unet(dataclasses.replace(config, seed=seed), 3).get_layer("logits").get_weights()[0]
            for seed in (0, 0, 1)
        )
    assert (one == two).all() and (one != other).any()


def test_a_network_of_probabilities_is_measured_as_it_is(tmp_path):
    import keras

    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(3, 1, activation="softmax", name="probabilities")(image))
    assert runs.masked.exportable(model) is model
    logits = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    assert runs.masked.exportable(logits) is not logits
    assert kv.tasks.Segmentation(scenes.CLASSES).check(runs.masked.exportable(logits)).output_shape[-1] == 3
