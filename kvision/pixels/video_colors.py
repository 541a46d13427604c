"""Colors of video frames: decoded frames to RGB, RGB to frames of an encoder."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # PyAV is an extra
    import av

__all__ = ["assumed_standard", "standard_of", "tag", "to_frame", "to_rgb"]

# FFmpeg's numbers AVCOL_SPC_*. BT.470BG and SMPTE 170M are BT.601. FCC and SMPTE 240M are rare and differ a little.
_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "bt709", 9: "bt2020", 10: "bt2020"}
_SWSCALE = {"bt601": "ITU601", "bt709": "ITU709", "bt2020": "BT2020"}
_STUDIO, _FULL = 1, 2  # FFmpeg's AVCOL_RANGE_MPEG and AVCOL_RANGE_JPEG
# FFmpeg's numbers of the matrix, the primaries and the transfer function that are written into a file.
_TAGS = {"bt601": (6, 6, 6), "bt709": (1, 1, 1), "bt2020": (9, 9, 14)}


def assumed_standard(height: int, width: int) -> str:
    """Returns the standard of a video without color tags: BT.709 for HD sizes, and BT.601 for smaller sizes.

    The limits are those of the player mpv.
    """
    return "bt709" if width >= 1280 or height > 576 else "bt601"


def standard_of(frame: "av.VideoFrame") -> str:
    """Returns the standard of a decoded frame: the tag of the frame, or `assumed_standard`."""
    return _MATRICES.get(int(frame.colorspace), assumed_standard(frame.height, frame.width))


def to_rgb(frame: "av.VideoFrame", size: tuple[int, int]) -> np.ndarray:
    """Converts a decoded frame to RGB.

    Args:
        frame: A frame of any pixel format. Without a tag, YUV has studio range (black is 16, white is 235) and gray has
            full range, as in FFmpeg.
        size: (height, width) of the result. A frame of a different size is resized.

    Returns:
        `(height, width, 3)` uint8. The error of the conversion is about half a level.
    """
    standard = _SWSCALE[standard_of(frame)]
    full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    shown = frame.reformat(
        width=size[1],
        height=size[0],
        format="rgb24",
        src_colorspace=standard,
        dst_colorspace=standard,
        src_color_range="JPEG" if full else "MPEG",
        dst_color_range="JPEG",
        interpolation=_exact(),
    ).to_ndarray()
    if frame.format.name.startswith("gray") and frame.color_range == _STUDIO:
        # FFmpeg's scaler takes every gray frame for full range, also if the tag says studio range.
        shown = np.clip((shown.astype("float32") - 16) * (255 / 219) + 0.5, 0, 255).astype("uint8")
    return shown


def to_frame(image: np.ndarray, standard: str, pixel_format: str = "yuv420p") -> "av.VideoFrame":
    """Converts an RGB image to a frame in studio range.

    Args:
        image: `(height, width, 3)` uint8.
        standard: The standard of the frame.
        pixel_format: FFmpeg's name of the pixel format.

    Returns:
        The frame, without a time. If the height or width is odd, the last row or column is repeated, because encoders
        store one color for 2 x 2 pixels.
    """
    import av

    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
        format=pixel_format,
        src_colorspace=_SWSCALE[standard],
        dst_colorspace=_SWSCALE[standard],
        src_color_range="JPEG",
        dst_color_range="MPEG",
        interpolation=_exact(),
    )


def tag(context: "av.video.codeccontext.VideoCodecContext", standard: str) -> None:
    """Sets the color tags of an encoder: studio range, and the matrix, primaries and transfer of a standard."""
    context.color_range = _STUDIO
    context.colorspace, context.color_primaries, context.color_trc = _TAGS[standard]


def _exact() -> int:
    """Returns flags without which FFmpeg's scaler is up to 3 levels off, and takes the color of the nearest pixel."""
    from av.video.reformatter import Interpolation

    return Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
