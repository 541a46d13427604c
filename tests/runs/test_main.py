import dataclasses
import errno
import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from processes import alone

import kvision as kv
from kvision import runs
from kvision.checks import UserError
from kvision.data import BadFile
from kvision.exit_codes import RUN_AGAIN
from kvision.export import quantize
from kvision.runs import lock


@dataclasses.dataclass(frozen=True)
class Config(runs.Settings):
    level: int = runs.setting(3, "a number")


def load(config, *, cache=None):
    if config.level > 9:
        raise UserError("level", problem="is too high", expected="at most 9", received=config.level)
    images = kv.data.from_arrays(np.arange(4 * 192, dtype="uint8").reshape(4, 8, 8, 3), [0, 1, 0, 1], image_size=8)
    bad = tuple(BadFile(f"{i}.jpg", "it is empty") for i in range(25))
    return runs.Split(images, images, ("a", "b"), bad, "a toy", images.fingerprint, notes=("all is well",))


def run(split, config, *, records, cache):
    image = keras.Input((8, 8, 3), name="image")
    dense = keras.layers.Dense(2, activation="softmax", kernel_initializer="ones")
    model = keras.Model(image, dense(keras.layers.Flatten()(image)), name="toy")
    row = {"accuracy": 0.5, "interval": [0.1, 0.9], "seconds": 0.1, "chosen": f"level {config.level}"}
    pictures, answers = {"toy.png": lambda axes: axes.plot([1, 2])}, runs.Answers([0, 0, 0, 0], [0.5] * 4)
    task = kv.tasks.Classification(split.class_names)
    return runs.Result(model, {"loss": [1.0]}, {"toy": row}, "toy", task, pictures, answers=answers)


RECIPE = SimpleNamespace(
    __name__="kvision.recipes.toy", __doc__="A toy.", Config=Config, SMOKE=Config(level=1), load=load, run=run
)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "toy"
    assert runs.main(RECIPE, ["--out", str(out), "--level", "4"]) == 0
    return out


def reports(out) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(out.glob("runs/*/report.json"))]


def test_a_finished_run_has_a_version_a_report_a_picture_and_an_example(first):
    (report,) = reports(first)
    assert report["recipe"] == "toy" and report["config"]["level"] == 4 and report["data"] == "a toy"
    assert report["exports"] == [str(first / "1")] and (first / "1/saved_model.pb").is_file()
    assert len(report["bad_images"]) == 25 and report["bad_images"][0]["path"] == "0.jpg"
    (folder,) = (first / "runs").iterdir()
    assert (folder / "toy.png").stat().st_size > 1000 and (folder / "example.png").is_file()
    assert report["next"].endswith("example.png") and report["notes"] == ["all is well"]
    model = keras.models.load_model(report["keras"])
    assert kv.export.checksum(model) == report["checksum"] and report["keras"] == str(folder / "model.keras")
    assert report["wrong_images"] == {"file": str(folder / "wrong_images.csv"), "count": 2, "of": 4}
    assert len((folder / "wrong_images.csv").read_text().splitlines()) == 3
    assert report["pictures"] == [str(folder / "toy.png"), str(folder / "wrong_images.png")]


def test_again_makes_another_version_and_another_setting_another_run(first, capsys):
    assert runs.main(RECIPE, ["--out", str(first), "--level", "4"]) == 0
    assert "This run is finished" in capsys.readouterr().out
    assert not (first / "2").exists()
    assert runs.main(RECIPE, ["--out", str(first), "--level", "4", "--again"]) == 0
    assert (first / "2").exists() and len(reports(first)) == 1
    assert runs.main(RECIPE, ["--out", str(first), "--smoke"]) == 0
    assert (first / "3").exists() and sorted(report["config"]["level"] for report in reports(first)) == [1, 4]


def test_smaller_files_of_a_finished_run_are_another_version_of_it(tmp_path, capsys):
    arguments = ["--out", str(tmp_path)]
    assert runs.main(RECIPE, arguments) == 0 and reports(tmp_path)[0]["tflite"] == {}
    assert ".tflite  " not in capsys.readouterr().out
    assert runs.main(RECIPE, [*arguments, "--tflite", "int8, float16"]) == 0
    (report,) = reports(tmp_path)
    assert list(report["tflite"]) == ["float32", "float16", "int8"]
    extra = tmp_path / "2/assets.extra"
    assert sorted(path.name for path in extra.glob("*.tflite")) == [
        "model.tflite",
        "model_float16.tflite",
        "model_int8.tflite",
    ]
    shown, card = capsys.readouterr().out, (extra / "model_card.md").read_text()
    for kind, row in report["tflite"].items():
        assert f"\n{kind} " in shown and f"{row['accuracy']:.4f}" in shown
        assert f"| {quantize.file_name(kind)} | {row['accuracy']:.4f} |" in card
    assert runs.main(RECIPE, [*arguments, "--tflite", "float16"]) == 0
    assert "This run is finished" in capsys.readouterr().out and not (tmp_path / "3").exists()


def test_an_unknown_kind_of_file_is_told_before_any_work(tmp_path, capsys):
    assert runs.main(RECIPE, ["--out", str(tmp_path / "x"), "--tflite", "float8"]) == 2
    assert "Did you mean 'float32'?" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_version_that_was_removed_is_exported_again_from_the_finished_stages(first, tmp_path, monkeypatch):
    class Exports(Exception):
        pass

    def export(*_, **__):
        raise Exports

    monkeypatch.setattr(kv.export, "write", export)
    shutil.copytree(first / "runs", tmp_path / "runs")
    versions = {tmp_path / Path(report["exports"][-1]).name for report in reports(first)}
    for version in versions:
        (version / "assets.extra").mkdir(parents=True)
        (version / "assets.extra/model.tflite").touch()
    assert runs.main(RECIPE, ["--out", str(tmp_path), "--level", "4"]) == 0, "the control: the version is there"
    for version in versions:
        shutil.rmtree(version)
    with pytest.raises(Exports):
        runs.main(RECIPE, ["--out", str(tmp_path), "--level", "4"])


def test_a_run_that_another_process_works_on_is_left_to_it(first, capsys, monkeypatch):
    (folder,) = {path.parent for path in first.glob("runs/*/report.json") if '"level": 4' in path.read_text()}
    monkeypatch.setattr(lock, "_PATIENCE", 0.0)
    with lock.alone(folder):
        assert runs.main(RECIPE, ["--out", str(first), "--level", "4"]) == 2
    assert "`--out` is in use: another process is working on this run" in capsys.readouterr().err
    assert runs.main(RECIPE, ["--out", str(first), "--level", "4"]) == 0


def test_a_seed_that_is_not_valid_is_told(tmp_path, capsys):
    assert runs.main(RECIPE, ["--out", str(tmp_path), "--seed", "-1"]) == 2
    assert "`--seed` is not valid. Expected a number from 0 to 4294967295" in capsys.readouterr().err


def test_another_strategy_is_the_same_run(first, capsys):
    assert runs.main(RECIPE, ["--out", str(first), "--level", "4", "--strategy", "single"]) == 0
    assert "This run is finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        ("mirorred", "`--strategy` is not known. Expected one of: auto, single, mirrored, multiworker. "),
        ("mirrored", "`--strategy` "),
        ("multiworker", "`--strategy` "),
    ],
)
def test_a_strategy_that_cannot_be_is_told_before_any_work(tmp_path, capsys, monkeypatch, strategy, text):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert runs.main(RECIPE, ["--out", str(tmp_path), "--strategy", strategy]) == 2
    assert f"kvision toy: {text}" in capsys.readouterr().err and not list(tmp_path.iterdir())


def ended_by(raises) -> SimpleNamespace:
    def ends(*_, **__):
        raises()

    return SimpleNamespace(**{**vars(RECIPE), "run": ends})


def ended_by_sigterm(out):
    got = []
    signal.signal(signal.SIGTERM, lambda *_: got.append("outside"))
    assert runs.main(ended_by(lambda: signal.raise_signal(signal.SIGTERM)), ["--out", out]) == RUN_AGAIN
    signal.raise_signal(signal.SIGTERM)
    assert got == ["outside"], "the handler is put back"


def test_sigterm_asks_to_be_run_again(tmp_path):
    told = alone(ended_by_sigterm, tmp_path)
    assert "kvision toy: ended by SIGTERM. Run the same command again" in told


def test_so_does_a_training_that_wrote_its_checkpoint_and_other_exits_pass(tmp_path, capsys):
    def preempted():
        raise kv.training.Preempted(Path("checkpoints/x.npz"))

    def leaves():
        raise SystemExit(3)

    assert runs.main(ended_by(preempted), ["--out", str(tmp_path)]) == RUN_AGAIN
    assert "kvision toy: Ended by SIGTERM after checkpoints/x.npz was written." in capsys.readouterr().err
    with pytest.raises(SystemExit, match="3"):
        runs.main(ended_by(leaves), ["--out", str(tmp_path)])


def test_a_lost_worker_asks_to_be_run_again_without_waiting_for_it(tmp_path, capsys, monkeypatch):
    class Left(Exception):
        pass

    def leave(code):
        raise Left(code)

    def lost():  # as in a run that joined
        monkeypatch.setenv(
            "TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}'
        )
        raise tf.errors.UnavailableError(None, None, "b:2 is gone\nand so on")

    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Left, match=str(RUN_AGAIN)):
        runs.main(ended_by(lost), ["--out", str(tmp_path)])
    err = capsys.readouterr().err
    assert "lost another worker (UnavailableError: b:2 is gone). Run the same command on all of them again." in err
    monkeypatch.delenv("TF_CONFIG")

    def alone():
        raise tf.errors.UnavailableError(None, None, "something else")

    with pytest.raises(tf.errors.UnavailableError):
        runs.main(ended_by(alone), ["--out", str(tmp_path)])


def test_bad_images_and_notes_are_shown_but_not_without_end(first, capsys):
    runs.main(RECIPE, ["--out", str(first), "--level", "4"])
    captured = capsys.readouterr()
    assert "Note: all is well" in captured.out
    assert "25 images cannot be used" in captured.err and "19.jpg: it is empty" in captured.err
    assert "20.jpg" not in captured.err and "report.json" in captured.err


def test_an_error_of_the_user_is_a_line_and_2(tmp_path, capsys):
    assert runs.main(RECIPE, ["--out", str(tmp_path), "--level", "10"]) == 2
    assert capsys.readouterr().err == "kvision toy: `--level` is too high. Expected at most 9. Received: 10.\n"
    assert not list(tmp_path.iterdir())


def test_bad_images_stop_the_run_where_they_must(tmp_path, capsys):
    assert runs.main(RECIPE, ["--out", str(tmp_path / "toy"), "--bad-images", "error"]) == 2
    err = capsys.readouterr().err
    assert "24.jpg" not in err and "0.jpg: it is empty" in err and "25 bad images" in err
    assert not list(tmp_path.rglob("report.json"))


def test_quarantine_copies_and_moves_nothing(tmp_path, capsys):
    source, out = tmp_path / "photos", tmp_path / "toy"
    source.mkdir()
    for i in (0, 3):
        (source / f"{i}.jpg").write_bytes(bytes(i))
    (source / "4.jpg").symlink_to(tmp_path)
    before = sorted(source.iterdir())
    arguments = ["--out", str(out), "--data", str(source), "--bad-images", "quarantine"]
    assert runs.main(RECIPE, arguments) == 0
    (report,) = reports(out)
    copies = sorted(Path(report["quarantine"]).iterdir())
    assert [copy.name for copy in copies] == ["0.jpg", "3.jpg"]
    assert copies[1].read_bytes() == bytes(3) and sorted(source.iterdir()) == before
    assert "2 of these 25 were copied" in capsys.readouterr().err
    assert len(report["bad_images"]) == 25


def test_a_disk_that_is_full_is_a_line_and_2(tmp_path, capsys):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert runs.main(ended_by(full), ["--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "kvision toy: `--out` cannot be written to: No space left on device." in err and "Traceback" not in err


def test_an_out_that_cannot_be_is_told_before_the_data_are_read(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert runs.main(RECIPE, ["--out", str(tmp_path / "file/below"), "--level", "10"]) == 2
    assert "`--out` cannot be written to: " in capsys.readouterr().err
