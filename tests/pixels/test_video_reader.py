import resource
from fractions import Fraction

import numpy as np
import pytest
import videos
from videos import av

import kvision as kv
from kvision.pixels.video_reader import VideoReader


def read(path):
    with VideoReader(path) as video:
        return list(video), video


def test_frames_and_varying_times_come_back(tmp_path):
    images, times = videos.moving(6), [0, 512, 700, 3000, 3001, 9000]
    frames, video = read(videos.write(tmp_path / "clip.mp4", images, times=times))
    assert [frame.time * video.info.time_base for frame in frames] == [Fraction(t) * videos.BASE for t in times]
    assert np.abs(np.stack([frame.image for frame in frames]).astype(int) - images).max() <= 5
    assert video.read == 6 and not video.problem
    assert (video.info.height, video.info.width, video.info.standard) == (48, 64, "bt709")
    assert video.info.frame_count == 6 and video.info.pixel_aspect == 1


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_frames_are_shown_upright(tmp_path, rotation, flip):
    images = videos.moving(2)
    frames, video = read(videos.write(tmp_path / "phone.mp4", images, rotation=rotation, flip=flip))
    # FFmpeg turns counterclockwise and mirrors after it
    expected = np.rot90(images[0], rotation // 90)
    expected = expected[:, ::-1] if flip else expected
    assert frames[0].image.shape == expected.shape == (video.info.height, video.info.width, 3)
    assert np.abs(frames[0].image.astype(int) - expected).max() <= 5
    if rotation or flip:
        wrong = np.rot90(expected, 2)
        assert np.abs(frames[0].image.astype(int) - wrong).max() > 50


@pytest.mark.parametrize("tags", [(1, 1), (6, 1), (1, 2), (6, 2), (9, 1), (2, 1)])
def test_color_tags_are_followed(tmp_path, tags):
    images = videos.moving(2)
    frames, _ = read(videos.write(tmp_path / "clip.mp4", images, tags=tags))
    assert np.abs(frames[1].image.astype(int) - images[1]).max() <= 8


def test_the_decoder_agrees_with_pyav_on_a_real_video(shared):
    path = shared / "data/video/bikes.mp4"
    with VideoReader(path) as video, av.open(str(path)) as container:
        for frame, expected in zip(video, container.decode(video=0), strict=False):
            assert frame.time == expected.pts
            # PyAV's own conversion takes the color of the nearest pixel, so single pixels differ
            assert np.abs(frame.image.astype(int) - expected.to_ndarray(format="rgb24")).mean() < 2
            if video.read == 5:
                break


def test_a_damaged_file_is_read_as_far_as_possible(tmp_path):
    path = videos.write(tmp_path / "clip.mp4", videos.moving(40))
    data = bytearray(path.read_bytes())
    middle = data.find(b"mdat") + 4 + (data.find(b"moov") - data.find(b"mdat")) // 2
    data[middle : middle + 3000] = bytes([0x55]) * 3000
    path.write_bytes(data)
    frames, video = read(path)
    assert 10 < len(frames) <= 40 and video.read == len(frames)
    assert "damaged" in video.problem and "frames" in video.problem and " s)" in video.problem


def test_a_file_that_ends_early_says_where(tmp_path):
    whole = videos.write(tmp_path / "whole.mp4", videos.moving(50))
    with (
        av.open(str(whole)) as source,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = (tmp_path / "fast.mp4").read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    frames, video = read(tmp_path / "cut.mp4")
    assert 5 < len(frames) < 45
    assert f"after {len(frames)} frames" in video.problem and "2.00 s" in video.problem
    assert not read(tmp_path / "fast.mp4")[1].problem


def test_files_without_video_are_refused(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), "float32"), format="fltp", layout="stereo")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    with pytest.raises(kv.UserError, match="no video"):
        VideoReader(tmp_path / "sound.mp4")
    whole = videos.write(tmp_path / "clip.mp4", videos.moving(2))
    (tmp_path / "half.mp4").write_bytes(whole.read_bytes()[:500])
    with pytest.raises(kv.UserError):
        VideoReader(tmp_path / "half.mp4")


def test_memory_does_not_grow_with_the_length(tmp_path):
    path = videos.write(tmp_path / "long.mp4", videos.moving(12, size=(240, 320)).repeat(25, 0), pixel_format="yuv420p")
    with VideoReader(path) as video:
        for _ in video:
            if video.read == 50:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert video.read == 300 and grown * 1024 < 20 * 240 * 320 * 3  # 250 more frames were read
