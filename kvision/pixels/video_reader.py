"""Reads the frames of a video file as RGB images, one after the other."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kvision import checks
from kvision.pixels import video_colors
from kvision.pixels.header import MAX_PIXELS
from kvision.pixels.media_file import opened
from kvision.pixels.video_info import VideoInfo

if TYPE_CHECKING:  # PyAV is an extra
    import av

__all__ = ["VideoFrame", "VideoReader"]

_LATE = 0.5  # seconds; a video that ends earlier than its file says is reported from here on
_ATTACHED = "attached_pic"


class VideoFrame(NamedTuple):
    """One frame of a video.

    Attributes:
        image: `(height, width, 3)` uint8, RGB, as it is shown: rotated and mirrored as the file says.
        time: When the frame is shown, in units of `VideoInfo.time_base`.
    """

    image: np.ndarray
    time: int


class VideoReader:
    """Reads a video file frame by frame with PyAV (extra `video`). Memory does not grow with the length.

    Use it as a context manager and iterate over it once. Frames have increasing times. A frame rate that varies is
    kept. Frames of interlaced videos are not separated.

    A damaged file is read as far as possible. Packets that cannot be decoded are left out. After the last frame,
    `problem` says what was read and where the damage is.

    Attributes:
        info: Size, times and colors.
        problem: What is wrong with the file, as a sentence, or an empty string. It is complete after the last frame.
        read: Number of frames that were returned.

    Args:
        path: The file. Addresses of networks and playlists are refused.
        argument: Name of the argument with the path, for errors.

    Raises:
        UserError: If the extra `video` is missing, or the file is not a video that can be decoded.

    Example:
        >>> with kv.pixels.VideoReader("film.mp4") as video:  # doctest: +SKIP
        ...     for frame in video:
        ...         print(frame.time * video.info.time_base, frame.image.shape)
    """

    def __init__(self, path: str | Path, *, argument: str = "path"):
        self._container = opened(path, argument=argument)
        self._path, self._argument = path, argument
        self.read, self._damaged, self._first_damage, self._end = 0, 0, None, None
        self.problem = ""
        try:
            self._stream = self._video_stream()
            self._frames = self._decoded()
            self._pending = next(self._frames, None)
            if self._pending is None:
                raise self._refusal("has no frame that can be decoded" + (f" ({self.problem})" if self.problem else ""))
            self._size, self._turns = (self._pending.height, self._pending.width), _turns(self._pending)
            self.info = self._facts(self._pending)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        last = None
        while self._pending is not None:
            frame, self._pending = self._pending, None  # the first frame is known already
            # A size that changes inside of a video is changed back to the first one.
            image = _turned(video_colors.to_rgb(frame, self._size), *self._turns)
            last = self._time(frame, last)
            self.read += 1
            yield VideoFrame(image, last)
            self._pending = next(self._frames, None)
        self._check_end()

    def _refusal(self, problem: str) -> checks.UserError:
        expected = "a video file that FFmpeg can decode"
        return checks.UserError(self._argument, problem=problem, expected=expected, received=str(self._path))

    def _video_stream(self) -> "av.VideoStream":
        found = [one for one in self._container.streams.video if _ATTACHED not in str(one.disposition)]
        if not found:
            raise self._refusal("has no video stream")
        stream = found[0]
        if stream.codec_context is None:
            raise self._refusal("has a video stream of an unknown format")
        if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            raise self._refusal(f"has frames with more than {MAX_PIXELS:,} pixels")
        stream.thread_type = "AUTO"
        return stream

    def _decoded(self) -> Iterator["av.VideoFrame"]:
        """Yields the frames that can be decoded, and counts packets that cannot."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as reason:
                self._note(reason)
                return
            if packet is None:
                return
            if packet.is_corrupt:
                self._note("a damaged packet")
            try:
                frames = packet.decode()
            except av.error.FFmpegError as reason:
                self._note(reason)
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._note("a damaged frame")
                yield frame

    def _note(self, reason: object) -> None:
        """Remembers a damage. Names the first one, and counts the rest."""
        self._damaged += 1
        if self._first_damage is None:
            text = getattr(reason, "strerror", None) or str(reason)
            self._first_damage = f"{text} after {self._where()}"
        more = f", and {self._damaged - 1} more" if self._damaged > 1 else ""
        self.problem = f"its data are damaged: {self._first_damage}{more}"

    def _where(self) -> str:
        at = "" if self._end is None else f" ({float(self._end):.2f} s)"
        return f"{self.read} frames{at}"

    def _check_end(self) -> None:
        """Notes if the frames end long before the time that the file declares."""
        seconds = self.info.seconds
        if seconds is None or self._end is None or float(self._end) >= seconds - _LATE:
            return
        ends = f"it ends after {self._where()}, and should have {seconds:.2f} s"
        self.problem = f"{self.problem}; {ends}" if self.problem else ends

    def _time(self, frame: "av.VideoFrame", last: int | None) -> int:
        """Returns the time of a frame, later than the last one. Some files lack times or repeat them."""
        base, rate = self.info.time_base, self.info.frame_rate
        step = max(1, round(1 / (rate * base))) if rate else 1
        time = frame.pts
        if time is None:
            time = 0 if last is None else last + step
        elif frame.time_base is not None and frame.time_base != base:
            time = round(time * frame.time_base / base)
        if last is not None and time <= last:
            time = last + 1
        self._end = time * base + (Fraction(1) / rate if rate else 0) - self._start
        return time

    @property
    def _start(self) -> Fraction:
        start = self._stream.start_time
        return Fraction(0) if start is None else start * self._stream.time_base

    def _facts(self, frame: "av.VideoFrame") -> VideoInfo:
        stream, context = self._stream, self._stream.codec_context
        swapped = self._turns[0]
        height, width = self._size[::-1] if swapped else self._size
        aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1)
        base = stream.time_base or Fraction(1, 90000)
        return VideoInfo(
            height=height,
            width=width,
            time_base=base,
            frame_rate=stream.average_rate or stream.guessed_rate,
            standard=video_colors.standard_of(frame),
            pixel_aspect=1 / aspect if swapped else aspect,
            frame_count=stream.frames or None,
            seconds=None if stream.duration is None else float(stream.duration * base),
        )


def _turns(frame: "av.VideoFrame") -> tuple[bool, bool, bool]:
    """Returns how a frame is shown: whether height and width are swapped, then mirrored upside down, and sideways."""
    side = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return False, False, False
    matrix = np.frombuffer(bytes(side)[:36], "int32")
    # A point (x, y) of the frame is shown at (a x + c y, b x + d y) for matrix = [a b u; c d v; x y w].
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, b < 0, c < 0
    return False, d < 0, a < 0


def _turned(image: np.ndarray, swapped: bool, upside_down: bool, sideways: bool) -> np.ndarray:
    if swapped:
        image = image.transpose(1, 0, 2)
    if upside_down:
        image = image[::-1]
    if sideways:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
