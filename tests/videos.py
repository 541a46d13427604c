"""Small videos for tests, written with PyAV alone, and the packets of a file."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av", reason="the extra `video` is not installed")

BASE = Fraction(1, 12800)


def moving(count: int, *, size: tuple[int, int] = (48, 64), seed: int = 0, step: int = 2) -> np.ndarray:
    """Frames (count, h, w, 3) uint8 of a smooth texture that moves to the left by `step` pixels a frame."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(20, 235, (size[0] // 16 + 2, (size[1] + step * count) // 16 + 2, 3))
    rows = np.linspace(0, coarse.shape[0] - 1.001, size[0])
    columns = np.arange(size[1] + step * count) / 16
    (i, y), (j, x) = np.divmod(rows, 1), np.divmod(columns, 1)
    i, j, y, x = i.astype(int), j.astype(int), y[:, None, None], x[None, :, None]
    grid = [[coarse[i + a][:, j + b] for b in (0, 1)] for a in (0, 1)]
    wide = (grid[0][0] * (1 - x) + grid[0][1] * x) * (1 - y) + (grid[1][0] * (1 - x) + grid[1][1] * x) * y
    return np.stack([wide[:, step * t : step * t + size[1]] for t in range(count)]).round().astype("uint8")


def write(path, images, *, times=None, rotation=None, flip=False, tags=(1, 1), pixel_format="yuv444p", sound=0):
    """Writes a nearly lossless H.264 file. `tags`: FFmpeg's color space and range; `sound`: seconds of AAC."""
    spaces = {1: "ITU709", 5: "ITU601", 6: "ITU601", 9: "BT2020", 2: "ITU601"}
    times = np.arange(len(images)) * 512 if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], pixel_format
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=flip)
        context = stream.codec_context
        context.time_base, context.colorspace, context.color_range = BASE, *tags
        audio = container.add_stream("aac", rate=8000) if sound else None
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format=pixel_format,
                dst_colorspace=spaces[tags[0]],
                src_color_range="JPEG",
                dst_color_range="JPEG" if tags[1] == 2 else "MPEG",
                interpolation="ACCURATE_RND",
            )
            frame.pts, frame.time_base = int(time), BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            wave = (8000 * np.sin(np.arange(8000 * sound) / 5)).astype("int16")[None].repeat(2, 0)
            samples = av.AudioFrame.from_ndarray(wave.astype("float32") / 32768, format="fltp", layout="stereo")
            samples.sample_rate = 8000
            container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path


def audio_packets(path) -> list[tuple[float, bytes]]:
    """The time in seconds and the bytes of each packet of the first audio stream."""
    with av.open(str(path)) as container:
        packets = container.demux(audio=0)
        return [(float(one.pts * one.time_base), bytes(one)) for one in packets if one.dts is not None]
