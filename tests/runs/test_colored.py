import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import kvision as kv
from kvision import runs
from kvision.checks import UserError

pytestmark = pytest.mark.usefixtures("in_the_zoo")


def pictures(count: int = 5, size=(40, 48)) -> kv.data.Pictures:
    return kv.data.pictures_of(np.random.default_rng(0).integers(60, 200, (count, *size, 3)).astype("uint8"))


def test_baselines_are_gray_and_the_mean_color():
    test = pictures()
    images = test.source.astype("float64").copy()
    images[..., 0] += 40
    train = kv.data.pictures_of(images.clip(0, 255).astype("uint8"))
    rows = runs.colored.baselines(train, train, seed=0)
    assert rows["gray"]["colorfulness"] < 1 < rows["constant"]["colorfulness"]
    assert rows["constant"]["chroma_psnr"] > rows["gray"]["chroma_psnr"] + 0.5
    other = runs.colored.baselines(train, test, seed=0)
    assert other["constant"]["chroma_psnr"] < other["gray"]["chroma_psnr"], "the constant is that of the training"


def test_score_and_pictures_of_a_new_network():
    test = pictures()
    model = kv.colorization.network(kv.backbones.create("Small"), widths=(8, 8, 8, 8))
    row = runs.colored.score(model, test, seed=0)
    gray = runs.colored.baselines(test, test, seed=0)["gray"]
    assert row["chroma_psnr"] == gray["chroma_psnr"] and row["parameters"] == model.count_params()
    drawings = runs.colored.pictures({"unet": model}, test, {"loss": [1.0, 0.5]})
    axes = drawings["examples.png"](Figure().subplots())
    assert [label.get_text() for label in axes.get_xticklabels()] == ["input", "unet", "reference"]
    drawings["loss.png"](Figure().subplots())


def test_a_folder_without_parts_is_split_and_small_pictures_are_bad(tmp_path):
    for number in range(10):
        image = pictures(10).original(number)
        Image.fromarray(image if number else image[:9, :9]).save(tmp_path / f"{number}.png")
    config = dataclasses.replace(runs.colored.ColorSettings(), data=str(tmp_path))
    data = runs.colored.load(config, smallest=32)
    assert (len(data.train), len(data.test)) == (7, 2) and [bad.path for bad in data.bad_images] == ["0.png"]
    assert not set(data.train.names) & set(data.test.names)
    other = runs.colored.load(dataclasses.replace(config, longest_side=40), smallest=32)
    assert other.fingerprint != data.fingerprint
    with pytest.raises(UserError, match="`data`"):
        runs.colored.load(config, smallest=100)
