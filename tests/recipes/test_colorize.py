import dataclasses
import functools
import json

import numpy as np
import pytest
import replicas
from PIL import Image
from processes import within

import kvision as kv
from kvision import cli, luma_chroma, runs
from kvision.checks import UserError
from kvision.export.litert import Runner
from kvision.recipes import colorize

pytestmark = pytest.mark.usefixtures("in_the_zoo")
SMALL = dataclasses.replace(colorize.SMOKE, backbone="Small", epochs=12, learning_rate=0.01, batch_size=4)


def picture(seed: int, size=(40, 56)) -> np.ndarray:
    """Stripes across are orange, and stripes along are blue."""
    random = np.random.default_rng(seed)
    axis = seed % 2
    wave = 120 + 40 * np.sin(np.arange(size[axis]) * random.uniform(0.7, 1.1) + random.uniform(0, 6))
    y = np.broadcast_to(wave[:, None] if axis == 0 else wave, size)[..., None]
    chroma = np.broadcast_to([-30.0, 25.0] if axis == 0 else [30.0, -25.0], (*size, 2))
    return luma_chroma.rgb(y, chroma).round().clip(0, 255).astype("uint8")


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Decoders with few channels."""
    with pytest.MonkeyPatch.context() as patch:
        narrow = functools.partial(kv.colorization.network, widths=(16, 12, 8, 8))
        patch.setattr(kv.colorization, "network", narrow)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for part, numbers in {"train": range(16), "test": range(16, 20)}.items():
        (root / part / "inner").mkdir(parents=True)
        for number in numbers:
            Image.fromarray(picture(number)).save(root / part / "inner" / f"{number}.png")
    return root


def test_networks_beat_gray_and_the_constant(folder):
    config = dataclasses.replace(SMALL, data=str(folder), networks=("hypercolumn", "unet"), points=200)
    data = colorize.load(config)
    assert "16 training, 4 test" in data.name
    result = colorize.run(data, config)
    assert set(result.metrics) == {"gray", "constant", "hypercolumn", "unet"} and result.best == "hypercolumn"
    rows = result.metrics
    for name in ("hypercolumn", "unet"):
        assert rows[name]["chroma_psnr"] > max(rows["gray"]["chroma_psnr"], rows["constant"]["chroma_psnr"]) + 3
        assert rows[name]["interval"][0] <= rows[name]["chroma_psnr"] <= rows[name]["interval"][1]
        assert rows[name]["colorfulness_error"] < rows["gray"]["colorfulness_error"]
    untrained = dataclasses.replace(config, networks=("unet",), epochs=1, learning_rate=1e-9)
    control = colorize.run(data, untrained).metrics
    assert abs(control["unet"]["chroma_psnr"] - control["gray"]["chroma_psnr"]) < 0.1, "the control"


def test_a_finished_run_is_found(folder, tmp_path, eager):
    config = dataclasses.replace(SMALL, data=str(folder), epochs=1, train_images=4, heads=("bins", "regression"))
    data = colorize.load(config)
    first = colorize.run(data, config, records=runs.Records(tmp_path))
    again = colorize.run(data, config, records=runs.Records(tmp_path))
    assert set(first.metrics) == {"gray", "constant", "unet-bins", "unet-regression"} and first.metrics == again.metrics
    for ours, theirs in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_command_reports_draws_exports_and_predicts(folder, tmp_path):
    (folder / "test/broken.png").write_bytes(b"no image")
    command = ["colorize", "--smoke", "--data", folder, "--out", tmp_path, "--epochs", "1", "--backbone", "Small"]
    result = within(cli.main, *command, "--hints")
    assert result.returncode == 0, result.stderr
    assert "chroma psnr" in result.stdout and "constant" in result.stdout
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert report["best"] == "unet" and report["score"] == "chroma_psnr"
    keys = {"chroma_psnr", "psnr", "colorfulness_error", "interval", "chroma_psnr_hints"}
    assert set(report["results"]["unet"]) >= keys
    assert report["bad_images"][0]["path"] == "test/broken.png"
    for drawing in ("examples.png", "loss.png"):
        assert (path.parent / drawing).stat().st_size > 5000
    card = (tmp_path / "1/assets.extra/model_card.md").read_text()
    assert "predict_hints" in card and "image_bytes" in card
    predicted = within(cli.main, *report["next"].split()[1:], "--out", tmp_path / "found")
    assert predicted.returncode == 0, predicted.stderr
    with Image.open(next((tmp_path / "found").glob("*.picture.png"))) as found:
        assert found.size == (56, 40)
    (folder / "test/broken.png").unlink()


def test_arrays_and_the_pictures_that_need_no_download(tmp_path):
    images = np.stack([picture(number, (32, 32)) for number in range(6)])
    names = {"y_train": np.zeros(4, int), "y_test": np.zeros(2, int), "class_names": np.array(["a", "b"])}
    np.savez(tmp_path / "x.npz", x_train=images[:4], x_test=images[4:], **names)
    data = colorize.load(dataclasses.replace(SMALL, data=str(tmp_path / "x.npz")))
    assert (len(data.train), len(data.test)) == (4, 2)
    tiles = colorize.load(dataclasses.replace(SMALL, train_images=None, test_images=None), cache=tmp_path)
    assert (len(tiles.train), len(tiles.test)) == (40, 8)


def test_wrong_calls_are_told_before_anything_is_read(folder, tmp_path):
    for options, text in [
        ({"networks": ("fcn",)}, "`networks`"),
        ({"heads": ("lab",)}, "`heads`"),
        ({"points": 0}, "`points`"),
        ({"scale": ("2", "1")}, "`scale`"),
        ({"data": str(folder / "nowhere")}, "`data` does not exist"),
        ({"data": str(tmp_path)}, "`data` has no picture in color"),
        ({"epochs": 0}, "`epochs`"),
    ]:
        with pytest.raises(UserError, match=text):
            colorize.load(dataclasses.replace(SMALL, **{"data": str(folder), **options}))


def test_hints_raise_the_ratio(folder):
    config = dataclasses.replace(SMALL, data=str(folder), epochs=1, hints=True)
    data = colorize.load(config)
    row = colorize.run(data, config).metrics["unet"]
    assert {"chroma_psnr_hints", "interval_hints"} <= set(row)
    model = kv.colorization.network(kv.backbones.create("Small", channels=6), hints=True)
    found = runs.colored.score(model, data.test, seed=0)
    gray = runs.colored.baselines(data.train, data.test, seed=0)["gray"]
    assert abs(found["chroma_psnr"] - gray["chroma_psnr"]) < 1e-3, "the control: a new network is gray"
    assert found["chroma_psnr_hints"] > found["chroma_psnr"] + 3


def moving_pictures(folder) -> None:
    """Clips whose stripes move a pixel a frame, in the parts train and test."""
    for part, clips in {"train": range(3), "test": range(3, 4)}.items():
        (folder / part).mkdir(parents=True)
        for clip in clips:
            still = picture(clip, (48, 64))
            for number in range(5):
                Image.fromarray(np.roll(still, number, axis=1)).save(folder / part / f"clip{clip}_{number}.png")


def test_neighboring_frames_are_trained_measured_and_exported(tmp_path):
    moving_pictures(tmp_path / "clips")
    command = ["colorize", "--smoke", "--data", tmp_path / "clips", "--out", tmp_path / "out", "--epochs", "1"]
    result = within(cli.main, *command, "--backbone", "Small", "--frames", "3", "--compare")
    assert result.returncode == 0, result.stderr
    (path,) = (tmp_path / "out").glob("runs/*/report.json")
    report = json.loads(path.read_text())
    rows = report["results"]
    assert set(rows) == {"gray", "constant", "unet", "unet-single"} and report["best"] == "unet"
    assert rows["unet"]["pairs"] == rows["unet-single"]["pairs"] == 4
    assert 0 < rows["unet"]["warp_error_chroma"] < rows["unet"]["warp_error"] < 1
    runner = Runner(tmp_path / "out/1/assets.extra/model.tflite")
    assert runner.inputs == {"image": (-1, -1, -1, 3), "neighbors": (-1, -1, -1, 2)}
    predicted = within(cli.main, *report["next"].split()[1:], "--out", tmp_path / "found")
    assert predicted.returncode == 0, predicted.stderr
    assert list((tmp_path / "found").glob("*.picture.png"))


def test_wrong_settings_of_videos_are_told(folder):
    for options, text in [
        ({"frames": 2}, "`frames`"),
        ({"frames": 3, "data": None}, "`data`"),
        ({"frames": 3, "hints": True}, "`hints`"),
        ({"compare": True}, "`compare`"),
        ({"frames": 3, "temporal_weight": -1.0}, "`temporal_weight`"),
    ]:
        with pytest.raises(UserError, match=text):
            colorize.load(dataclasses.replace(SMALL, **{"data": str(folder), **options}))


@pytest.mark.slow
def test_on_two_devices_the_recipe_is_the_same(tmp_path):
    """With the temporal loss, which a layer adds to the loss of the colors."""
    moving_pictures(tmp_path / "clips")
    code = """
    import dataclasses
    from kvision.recipes import colorize
    config = dataclasses.replace(
        colorize.SMOKE, data=sys.argv[2], backbone="ResNet20", epochs=1, batch_size=4, frames=3, temporal_weight=1.0,
        strategy=sys.argv[1])
    data = colorize.load(config)
    result = colorize.run(data, config)
    answer(metrics=result.metrics["unet"]["chroma_psnr"], history=result.history)
    """
    (one,) = replicas.run(code, arguments=["single", str(tmp_path / "clips")])
    (two,) = replicas.run(code, devices=2, arguments=["mirrored", str(tmp_path / "clips")])
    np.testing.assert_allclose(one["history"]["loss"], two["history"]["loss"], rtol=1e-3)
    np.testing.assert_allclose(one["metrics"], two["metrics"], atol=0.02)
