"""Writes RGB images as a video file, and copies the sound of another file without decoding it."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kvision import atomic, checks
from kvision.pixels import video_colors
from kvision.pixels.media_file import opened
from kvision.pixels.packages import require_package
from kvision.pixels.video_info import VideoInfo

if TYPE_CHECKING:  # PyAV is an extra
    import av

__all__ = ["ENCODERS", "WRITTEN_SUFFIXES", "VideoWriter"]

WRITTEN_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
ENCODERS = ("libx264", "mpeg4")
"""The encoders: H.264 and MPEG-4. The first one that PyAV has is used."""

_LAMBDA = 118  # FFmpeg's FF_QP2LAMBDA, the unit of `global_quality`
# x264's quality: 0 is lossless and 51 the worst. At 18 a loss is hardly visible; x264's own default is 23.
_QUALITY = 18
_FRAME_RATE = Fraction(25)  # written for files that declare none; the times of frames do not depend on it


class VideoWriter:
    """Writes a video file frame by frame with PyAV (extra `video`). Memory does not grow with the length.

    Use it as a context manager. The file appears under its name when it is complete. If an error or a kill ends the
    work before, no file has this name.

    Frames are encoded as H.264 with 4:2:0 chroma in studio range, or as MPEG-4 if PyAV has no encoder for H.264. The
    color tags are written. An odd height or width grows by one pixel.

    Args:
        path: The file: .mp4, .m4v, .mov or .mkv. A file with this name is replaced.
        info: The video that is written: size, times and colors; see `VideoReader.info`.
        sound: A file whose audio streams are copied packet by packet, or None. Subtitles are not copied.
        quality: The constant rate factor of x264, 0 (lossless) to 51. Defaults to 18, where a loss is hardly visible.
        encoder: `"libx264"` or `"mpeg4"`. If None, the first one that PyAV has is used.
        argument: Name of the argument with the path, for errors.

    Raises:
        UserError: If the extra `video` is missing, or the file cannot hold one of the streams.

    Example:
        >>> with kv.pixels.VideoReader("film.mp4") as video:  # doctest: +SKIP
        ...     with kv.pixels.VideoWriter("copy.mp4", video.info, sound="film.mp4") as out:
        ...         for frame in video:
        ...             out.write(frame.image, frame.time)
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        sound: str | Path | None = None,
        quality: int = _QUALITY,
        encoder: str | None = None,
        argument: str = "path",
    ):
        require_package("av", extra="video", argument=argument)
        path = Path(path)
        checks.one_of(argument, path.suffix.lower(), WRITTEN_SUFFIXES, problem="has an unknown suffix")
        if not 0 <= quality <= 51:
            raise checks.UserError("quality", expected="a number from 0 to 51", received=quality)
        self._path, self._info, self._quality, self._argument = path, info, quality, argument
        self._sound = sound
        self._encoder = checks.one_of("encoder", encoder or _available(), ENCODERS)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        import av

        with ExitStack() as stack:
            temporary = stack.enter_context(atomic.file(self._path))
            self._container = stack.enter_context(av.open(f"file:{temporary}", "w", format=self._format()))
            self._stream = self._video_stream()
            self._packets = self._sound_packets(stack)
            self._next_packet = next(self._packets, None)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type | None, *details: object) -> bool | None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
                self._copy_sound(None)
        except BaseException as problem:
            self._stack.__exit__(type(problem), problem, problem.__traceback__)
            raise
        return self._stack.__exit__(kind, *details)

    def write(self, image: np.ndarray, time: int) -> None:
        """Writes a frame, and the sound up to its time.

        Args:
            image: `(height, width, 3)` uint8, RGB, in the size of `info`.
            time: When the frame is shown, in units of `info.time_base`. Times must increase.

        Raises:
            UserError: If the size or the type is a different one.
        """
        if image.shape != (self._info.height, self._info.width, 3) or image.dtype != np.uint8:
            expected = f"({self._info.height}, {self._info.width}, 3) uint8"
            raise checks.UserError("image", expected=expected, received=f"{image.shape} {image.dtype}")
        frame = video_colors.to_frame(image, self._info.standard)
        frame.pts, frame.time_base = time, self._info.time_base
        self._container.mux(self._stream.encode(frame))
        self._copy_sound(time * self._info.time_base)

    def _format(self) -> str:
        return {".mkv": "matroska", ".mov": "mov"}.get(self._path.suffix.lower(), "mp4")

    def _video_stream(self) -> "av.VideoStream":
        info = self._info
        options = {"crf": str(self._quality)}
        if self._encoder == "mpeg4":  # Quantizers above 10 show blocks.
            options = {"flags": "+qscale", "global_quality": str(_LAMBDA * (1 + self._quality // 6))}
        stream: Any = self._container.add_stream(self._encoder, rate=info.frame_rate or _FRAME_RATE, options=options)
        context = stream.codec_context
        stream.width, stream.height = info.width + info.width % 2, info.height + info.height % 2
        stream.pix_fmt = "yuv420p"
        context.time_base = info.time_base
        context.sample_aspect_ratio = info.pixel_aspect
        video_colors.tag(context, info.standard)
        return stream

    def _sound_packets(self, stack: ExitStack) -> Iterator["av.Packet"]:
        """Adds the audio streams of the other file, and returns their packets."""
        if self._sound is None:
            return iter(())
        source = stack.enter_context(opened(self._sound, argument="sound"))
        streams = {}
        for stream in source.streams.audio:
            try:
                streams[stream.index] = self._container.add_stream_from_template(stream)
            except ValueError as reason:
                raise checks.UserError(
                    self._argument,
                    problem=f"cannot hold the sound ({reason})",
                    expected="a suffix of a format that takes this sound",
                    received=self._path.name,
                    hint="Write an .mkv file, which takes almost every format",
                ) from reason
            streams[stream.index].metadata.update(stream.metadata)
        return _packets(source, streams) if streams else iter(())

    def _copy_sound(self, until: Fraction | None) -> None:
        """Writes the packets of the sound up to a time in seconds, or all of them."""
        while (packet := self._next_packet) is not None:
            if until is not None and packet.dts * packet.time_base > until:
                return
            self._container.mux(packet)
            self._next_packet = next(self._packets, None)


def _available() -> str:
    """Returns the first encoder that PyAV has."""
    import av

    return next((name for name in ENCODERS if name in av.codecs_available), ENCODERS[-1])


def _packets(source: "av.container.InputContainer", streams: dict) -> Iterator["av.Packet"]:
    """Yields the packets of some streams, each with its stream in the new file."""
    import av

    packets = source.demux(*(source.streams[index] for index in streams))
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:  # The reader of the same file reports the damage.
            return
        if packet is None:
            return
        if packet.dts is not None:  # PyAV ends each stream with an empty packet without a time.
            packet.stream = streams[packet.stream_index]
            yield packet
