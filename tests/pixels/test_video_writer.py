import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import videos
from videos import av

import kvision as kv
from kvision.pixels.video_reader import VideoReader
from kvision.pixels.video_writer import ENCODERS, VideoWriter


def copied(source, target, **options):
    with VideoReader(source) as video, VideoWriter(target, video.info, sound=source, **options) as out:
        for frame in video:
            out.write(frame.image, frame.time)
    return target


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_frames_times_and_sound_are_kept(tmp_path, suffix, encoder):
    images, times = videos.moving(8), [0, 512, 1024, 5120, 5632, 6144, 12800, 25600]
    source = videos.write(tmp_path / "in.mp4", images, times=times, sound=2)
    target = copied(source, tmp_path / f"out{suffix}", encoder=encoder, quality=1)
    with VideoReader(target) as video:
        frames = list(video)
        base = video.info.time_base
    assert [round(1000 * frame.time * base) for frame in frames] == [round(1000 * t * videos.BASE) for t in times]
    # half of the chroma's resolution is lost in 4:2:0
    assert np.abs(np.stack([frame.image for frame in frames]).astype(int) - images).mean() < 3
    before, after = videos.audio_packets(source), videos.audio_packets(target)
    assert len(before) > 10
    assert [packet for _, packet in before] == [packet for _, packet in after]
    assert np.abs([a - b for (a, _), (b, _) in zip(before, after, strict=True)]).max() < 1e-3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("tags", "space"), [((1, 1), 1), ((6, 1), 6), ((9, 1), 9)])
def test_color_tags_are_written(tmp_path, tags, space):
    target = copied(videos.write(tmp_path / "in.mp4", videos.moving(2), tags=tags), tmp_path / "out.mp4")
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range, frame.color_primaries) == (space, 1, space)


def test_a_turned_video_is_written_upright(tmp_path):
    source = videos.write(tmp_path / "in.mp4", videos.moving(2), rotation=90)
    with av.open(str(copied(source, tmp_path / "out.mp4"))) as container:
        frame = next(container.decode(video=0))
    assert (frame.height, frame.width, frame.rotation) == (64, 48, 0)


def test_pixels_that_are_not_square_stay_so(tmp_path):
    with VideoReader(videos.write(tmp_path / "in.mp4", videos.moving(2))) as video:
        frames, info = list(video), video.info
    with VideoWriter(tmp_path / "out.mp4", replace(info, pixel_aspect=4 * info.pixel_aspect / 3)) as out:
        out.write(frames[0].image, 0)
    with VideoReader(tmp_path / "out.mp4") as video:
        assert float(video.info.pixel_aspect) == pytest.approx(4 / 3)


def test_odd_sizes_grow_by_one_pixel(tmp_path):
    with VideoReader(videos.write(tmp_path / "in.mp4", videos.moving(2))) as video:
        info = replace(video.info, height=33, width=45)
    with VideoWriter(tmp_path / "out.mp4", info) as out:
        out.write(np.full((33, 45, 3), 99, "uint8"), 0)
    with VideoReader(tmp_path / "out.mp4") as video:
        assert next(iter(video)).image.shape == (34, 46, 3)


def test_an_error_leaves_no_file_and_keeps_the_old_one(tmp_path):
    source = videos.write(tmp_path / "in.mp4", videos.moving(4))
    for old in (None, b"old"):
        if old is not None:
            (tmp_path / "out.mp4").write_bytes(old)
        with VideoReader(source) as video, pytest.raises(ZeroDivisionError):  # noqa: SIM117
            with VideoWriter(tmp_path / "out.mp4", video.info) as out:
                out.write(next(iter(video)).image, 0)
                raise ZeroDivisionError
        assert sorted(path.name for path in tmp_path.iterdir()) == (
            ["in.mp4"] if old is None else ["in.mp4", "out.mp4"]
        )
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


KILLED = """
import os, signal, sys
from kvision.pixels.video_reader import VideoReader
from kvision.pixels.video_writer import VideoWriter
with VideoReader(sys.argv[1]) as video, VideoWriter(sys.argv[2], video.info, sound=sys.argv[1]) as out:
    for frame in video:
        out.write(frame.image, frame.time)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_no_file_under_the_name(tmp_path):
    source = videos.write(tmp_path / "in.mp4", videos.moving(4), sound=1)
    died = subprocess.run([sys.executable, "-c", KILLED, source, tmp_path / "out.mp4"], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_what_cannot_be_written_is_refused(tmp_path):
    images = videos.moving(2)
    source = videos.write(tmp_path / "in.mp4", images)
    with VideoReader(source) as video:
        info = video.info
    with pytest.raises(kv.UserError, match="suffix"):
        VideoWriter(tmp_path / "out.gif", info, argument="OUT")
    with pytest.raises(kv.UserError, match="quality"):
        VideoWriter(tmp_path / "out.mp4", info, quality=52)
    with pytest.raises(kv.UserError, match="image"), VideoWriter(tmp_path / "out.mp4", info) as out:
        out.write(images[0][:40], 0)
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_u8", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 2048), "uint8"), format="u8", layout="mono")
        silence.sample_rate = 8000
        stream.layout = "mono"
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    refused = VideoWriter(tmp_path / "out.mp4", info, sound=tmp_path / "sound.mkv")
    with pytest.raises(kv.UserError, match=r"\.mkv"), refused:
        pass
    with VideoWriter(tmp_path / "out.mkv", info, sound=tmp_path / "sound.mkv") as out:
        out.write(images[0], 0)
    assert [p for _, p in videos.audio_packets(tmp_path / "out.mkv")] == [
        p for _, p in videos.audio_packets(tmp_path / "sound.mkv")
    ]
