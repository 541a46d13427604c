"""What tests/recipes/test_segment.py does not say of it."""

import json

import numpy as np
import pytest
import scenes
from PIL import Image

from kvision import runs
from kvision.checks import UserError
from kvision.runs import masked


def load(path=None, *, cache=None, weights=None, smallest=1, **settings) -> runs.Split:
    config = masked.MaskSettings(data=path and str(path), **{"longest_side": None, **settings})
    config.check()
    return masked.load(config, cache=cache, weights=weights, smallest=smallest)


def test_digit_scenes_where_nothing_is_given(tmp_path):
    data = load(longest_side=64, train_images=5, test_images=3, cache=tmp_path)
    assert len(data.train) == 5 and len(data.test) == 3 and data.class_names[-1] == "ground"
    assert data.train.example(0)[0].shape == (64, 64, 3) and (tmp_path / "digit-scenes/classes.txt").is_file()
    again = load(longest_side=64, train_images=5, test_images=3, cache=tmp_path)
    other = load(longest_side=64, seed=1, train_images=5, test_images=3, cache=tmp_path)
    assert again.fingerprint == data.fingerprint != other.fingerprint


def test_weights_belong_to_the_fingerprint(tmp_path):
    folder = scenes.split(tmp_path / "scenes")
    (tmp_path / "w.weights.h5").write_bytes(b"1")
    plain = load(folder).fingerprint
    first = load(folder, weights=str(tmp_path / "w.weights.h5")).fingerprint
    (tmp_path / "w.weights.h5").write_bytes(b"2")
    second = load(folder, weights=str(tmp_path / "w.weights.h5")).fingerprint
    assert len({plain, first, second}) == 3
    assert load(folder, weights="imagenet").fingerprint == plain


def test_a_score_is_json_even_of_classes_that_do_not_occur(tmp_path):
    import keras

    folder = scenes.split(tmp_path)
    (folder / "classes.txt").write_text("dark\nmiddle\nlight\nnever")
    val = load(folder).test
    image = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(4, 1)
    model = keras.Model(image, layer(image))
    layer.set_weights([np.zeros((1, 1, 3, 4)), np.array([1.0, 0, 0, 0])])
    found = json.loads(json.dumps(masked.score(model, val, seed=0), allow_nan=False))
    assert found["ious"][3] is None and found["ious"][1] == 0 and 0 < found["mean_iou"] < 0.4
    exported = masked.exportable(model)
    np.testing.assert_allclose(np.asarray(exported(np.zeros((1, 2, 2, 3))))[0, 0, 0].sum(), 1, rtol=1e-6)


def test_a_class_that_cannot_be_learned_is_told(tmp_path):
    folder = scenes.split(tmp_path)
    (folder / "classes.txt").write_text("dark\nmiddle\nlight\nnever")
    data = load(folder)
    assert any("occur in no training mask" in note and "never" in note for note in data.notes)


def test_masks_of_0_and_255_have_one_class(tmp_path):
    """And would be answered with a perfect score."""
    scenes.write(tmp_path, 4)
    (tmp_path / "classes.txt").write_text("background\nobject")
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(np.where(scenes.scene((40, 56), int(path.stem))[1] > 0, 255, 0).astype("uint8")).save(path)
    with pytest.raises(UserError, match=r"one class.*without object.*0 and 255 must be saved as 0 and 1"):
        load(tmp_path)


def test_one_image_cannot_be_split(tmp_path):
    scenes.write(tmp_path, 1)
    (tmp_path / "classes.txt").write_text("\n".join(scenes.CLASSES))
    with pytest.raises(UserError, match="`data` has too few images"):
        load(tmp_path)


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="`data` names no folder"):
        load(tmp_path / "nowhere")
    scenes.write(tmp_path, 4)
    with pytest.raises(UserError, match="`classes` is needed"):
        load(tmp_path)


def test_images_too_small_for_the_network_are_listed_and_turned_ones_told(tmp_path):
    folder = scenes.split(tmp_path)
    image, labels = scenes.scene((40, 20), 0)
    Image.fromarray(image).save(folder / "val/images/narrow.png")
    Image.fromarray(labels).save(folder / "val/masks/narrow.png")
    exif = Image.Exif()
    exif[0x0112] = 2
    Image.fromarray(scenes.scene((40, 56), 0)[0][:, ::-1]).save(folder / "train/images/00.png", exif=exif)
    data = load(folder, smallest=32)
    assert [bad.path for bad in data.bad_images] == ["val/images/narrow.png"] and len(data.test) == 4
    assert "20 pixels; the network needs 32" in data.bad_images[0].reason
    assert any("turn or mirror 1 images" in note for note in data.notes)
    assert not load(folder).bad_images
    with pytest.raises(UserError, match=r"no image that is large enough.*a side of 29 pixels"):
        load(folder, longest_side=40, smallest=32)


def test_a_picture_of_photographs_holds_no_photograph(tmp_path):
    """Four of 12 million pixels would take gigabytes as matplotlib draws them."""
    import keras
    from matplotlib.figure import Figure

    scenes.split(tmp_path, train=1, val=2, size=(900, 1400))
    val = load(tmp_path, longest_side=64).test
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(image))
    axes = Figure().subplots()
    masked._pictures(model, val, [0.5] * 3, {"loss": [1.0]})["examples.png"](axes)
    height, width = axes.images[0].get_array().shape[:2]
    assert 2 * 329 <= height < 2 * 350 and 3 * 512 <= width < 3 * 530
