"""Opens media files of this machine with PyAV (extra `video`)."""

from pathlib import Path
from typing import TYPE_CHECKING

from kvision import checks
from kvision.pixels.packages import require_package

if TYPE_CHECKING:  # PyAV is an extra
    import av

__all__ = ["VIDEO_SUFFIXES", "opened"]

VIDEO_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".wmv",
    ".flv",
    ".ogv",
)
# Containers that hold their own data. Playlists are left out, because they name other files and addresses.
_CONTAINERS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,m4v,h264,hevc,nut,mxf,gif,yuv4mpegpipe,dv,rm"


def opened(path: str | Path, *, argument: str = "path") -> "av.container.InputContainer":
    """Opens a media file with PyAV.

    Args:
        path: A file of this machine.
        argument: Name of the argument with the path, for errors.

    Returns:
        The container. The caller closes it.

    Raises:
        UserError: If the extra `video` is missing, or the file cannot be opened.
    """
    require_package("av", extra="video", argument=argument)
    import av

    path = Path(path)
    expected = "a video file"
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise checks.UserError(argument, problem=problem, expected=expected, received=str(path))
    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        # The prefix keeps FFmpeg from reading a name such as `concat:a` as a protocol.
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as reason:
        text = getattr(reason, "strerror", None) or str(reason)
        raise checks.UserError(
            argument,
            problem=f"cannot be opened ({text})",
            expected=expected,
            received=str(path),
            hint="A file whose end is missing, such as an MP4 of an interrupted recording, cannot be opened",
        ) from reason
