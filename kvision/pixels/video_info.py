"""The facts of a video: size, times and colors."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np

from kvision import checks
from kvision.pixels import video_colors

__all__ = ["VideoInfo"]


@dataclass(frozen=True)
class VideoInfo:
    """The facts of a video that a writer needs.

    Attributes:
        height: Height of the shown frames in pixels.
        width: Width of the shown frames in pixels.
        time_base: Unit of times in seconds.
        frame_rate: Mean number of frames per second, or None if it is unknown.
        standard: The standard of luma and chroma: `"bt601"`, `"bt709"` or `"bt2020"`.
        pixel_aspect: Width of a shown pixel divided by its height.
        frame_count: Number of frames that the file declares, or None. It may be wrong.
        seconds: Length that the file declares, or None.
    """

    height: int
    width: int
    time_base: Fraction
    frame_rate: Fraction | None
    standard: str
    pixel_aspect: Fraction
    frame_count: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, image: np.ndarray, *, frame_rate: float) -> Self:
        """Returns the facts of a new video with a constant frame rate. The time of its frame i is i.

        Args:
            image: A frame `(height, width, 3)`.
            frame_rate: Number of frames per second.

        Returns:
            The facts. The colors are those of a video without tags; see `kvision.pixels.video_colors`.

        Raises:
            UserError: If the frame rate is not positive.
        """
        checks.positive({"frame_rate": frame_rate})
        rate = Fraction(frame_rate).limit_denominator(1001)  # such as 30000 / 1001
        height, width = image.shape[:2]
        return cls(
            height=height,
            width=width,
            time_base=1 / rate,
            frame_rate=rate,
            standard=video_colors.assumed_standard(height, width),
            pixel_aspect=Fraction(1),
        )
