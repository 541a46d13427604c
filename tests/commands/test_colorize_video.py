import json
import os
import signal
import threading
import time
from pathlib import Path

import coloring
import numpy as np
import pytest
import videos
from processes import alone, within

import kvision as kv
from kvision import tasks
from kvision.colorization import windows
from kvision.commands import colorize_video
from kvision.export.saved_model import write_tflite
from kvision.luma_chroma import luma
from kvision.pixels.video_reader import VideoReader

TENSORFLOW = ("--engine", "tensorflow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """models/alone and models/two (which takes two neighbors), and a video of two scenes with sound."""
    root = tmp_path_factory.mktemp("colorize_video")
    task = kv.tasks.Colorization()
    kv.export.write(coloring.model(2), root / "two", task=task)
    texts = {"task.json": json.dumps({"task": task.name, **task.facts(coloring.model())})}
    (root / "alone").mkdir()
    write_tflite(task.functions(coloring.model()), root / "alone", texts=texts, side=64)
    images = [*videos.moving(6, seed=1), *videos.moving(5, seed=2)]
    times = [0, 512, 1024, 1536, 2048, 2560, 6400, 6912, 7424, 7936, 12800]
    videos.write(root / "in.mp4", images, times=times, sound=1, tags=(6, 1))
    return root


def frames_of(path):
    with VideoReader(path) as video:
        return [(float(frame.time * video.info.time_base), frame.image) for frame in video]


def command(*arguments):
    return within(colorize_video.main, *arguments)


def close(found, expected):
    """4:2:0 and H.264 change single pixels, at edges of colors."""
    return np.abs(np.stack(found).astype(float) - np.stack(expected)).mean() < 2.5


@pytest.mark.parametrize(
    ("model", "engine"),
    [("alone/model.tflite", ()), ("two", ()), ("two", TENSORFLOW)],
    ids=["alone", "neighbors", "SavedModel"],
)
def test_a_video_is_colored_with_its_times_and_its_sound(folder, tmp_path, model, engine):
    out = tmp_path / "out.mp4"
    result = command(folder / model, folder / "in.mp4", out, "--quality", 1, *engine)
    assert result.returncode == 0, result.stderr
    assert "11 frames" in result.stdout
    before, after = frames_of(folder / "in.mp4"), frames_of(out)
    assert [when for when, _ in before] == [when for when, _ in after]
    images = [image for _, image in before]
    seen = windows(images, neighbors=2 if model == "two" else 0, cuts=iter_of(6))
    expected = [coloring.by_hand(w.image, *np.moveaxis(w.neighbors, 2, 0)) for w in seen]
    assert close([image for _, image in after], expected)
    assert not close([image for _, image in after], images)
    sound = [packet for _, packet in videos.audio_packets(folder / "in.mp4")]
    assert sound == [packet for _, packet in videos.audio_packets(out)] and len(sound) > 5


def iter_of(start):
    calls = iter(range(10**6))
    return lambda _: next(calls) == start


def test_one_frame_replaces_the_neighbors_by_the_frame_itself(folder, tmp_path):
    result = command(folder / "two", folder / "in.mp4", tmp_path / "a.mkv", "--frames", 1, "--quality", 1)
    assert result.returncode == 0, result.stderr
    images = [image for _, image in frames_of(folder / "in.mp4")]
    gray = [image.astype(float) @ [0.299, 0.587, 0.114] for image in images]
    expected = [coloring.by_hand(image, y, y) for image, y in zip(images, gray, strict=True)]
    assert close([image for _, image in frames_of(tmp_path / "a.mkv")], expected)


def test_batches_and_the_first_frames(folder, tmp_path):
    flags = ("--batch-size", 3, "--first", 4, "--quality", 1)
    result = command(folder / "two", folder / "in.mp4", tmp_path / "out.mp4", *flags)
    assert result.returncode == 0, result.stderr
    found = [image for _, image in frames_of(tmp_path / "out.mp4")]
    images = [image for _, image in frames_of(folder / "in.mp4")]
    expected = [coloring.by_hand(w.image, *np.moveaxis(w.neighbors, 2, 0)) for w in windows(images[:4], neighbors=2)]
    assert len(found) == 4 and close(found, expected)


def test_small_colors_keep_the_luma(folder, tmp_path):
    result = command(folder / "two", folder / "in.mp4", tmp_path / "out.mp4", "--longest-side", 32, "--quality", 1)
    assert result.returncode == 0, result.stderr
    images, found = (
        np.stack([image for _, image in frames_of(path)]) for path in (folder / "in.mp4", tmp_path / "out.mp4")
    )
    assert np.abs(luma(found) - luma(images)).mean() < 1.5
    assert (found[..., 0].astype(float) - found[..., 2]).mean() > 10  # warm, as the model paints


def test_a_damaged_video_is_colored_as_far_as_possible(folder, tmp_path):
    data = bytearray((folder / "in.mp4").read_bytes())
    start = data.find(b"mdat") + 2000
    data[start : start + 600] = bytes([0x55]) * 600
    (tmp_path / "bad.mp4").write_bytes(data)
    result = command(folder / "alone/model.tflite", tmp_path / "bad.mp4", tmp_path / "out.mp4")
    assert result.returncode == 1 and "damaged" in result.stderr and "bad.mp4" in result.stderr
    assert 1 <= len(frames_of(tmp_path / "out.mp4")) <= 11


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("alone/model.tflite", "in.mp4", "out.gif"), "`OUT`"),
        (("alone/model.tflite", "in.mp4", "in.mp4"), "`OUT`"),
        (("alone/model.tflite", "absent.mp4", "out.mp4"), "`IN`"),
        (("absent", "in.mp4", "out.mp4"), "`MODEL`"),
        (("alone/model.tflite", "in.mp4", "out.mp4", "--engine", "torch"), "`--engine`"),
        (("alone/model.tflite", "in.mp4", "out.mp4", "--frames", "3"), "`--frames`"),
        (("two", "in.mp4", "out.mp4", "--frames", "2"), "`--frames`"),
        (("two", "in.mp4", "out.mp4", "--quality", "60"), "`--quality`"),
        (("two", "in.mp4", "out.mp4", "--batch-size", "0"), "`--batch-size`"),
        (("two", "in.mp4", "out.mp4", "--longest-side", "-1"), "`--longest-side`"),
    ],
)
def test_mistakes_are_named(folder, tmp_path, arguments, named):
    model, video, out, *rest = arguments
    target = folder / out if out == video else tmp_path / out
    result = command(folder / model, folder / video, target, *rest)
    assert result.returncode == 2 and named in result.stderr, result.stderr
    assert not list(tmp_path.iterdir())


def test_a_model_of_another_task_is_refused(folder, tmp_path, monkeypatch):
    class Rating(kv.tasks.Colorization):
        name = "rating"

    monkeypatch.setitem(tasks.TASKS, "colorization", Rating)
    result = command(folder / "two", folder / "in.mp4", tmp_path / "out.mp4")
    assert result.returncode == 2 and "rating" in result.stderr and not (tmp_path / "out.mp4").exists()


def stopped(folder, video, out):
    """Runs the command and stops it with SIGTERM when the file has been begun."""
    end = Path(out).parent

    def stop():
        while not any(path.stat().st_size for path in end.glob(".*")):
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    result = command(f"{folder}/alone/model.tflite", video, out, "--quality", "0")
    assert result.returncode not in (0, 1), result.stderr


def test_a_stopped_command_leaves_no_file(folder, tmp_path):
    long = videos.write(tmp_path / "long.mp4", videos.moving(10).repeat(100, 0), pixel_format="yuv420p")
    (tmp_path / "out").mkdir()
    alone(stopped, folder, long, tmp_path / "out" / "colored.mp4")
    assert not list((tmp_path / "out").iterdir()), "the unfinished file is removed"
