"""Reads the frames of a clip once: hashes, sizes and scenes; and keeps the pixels of videos in a temporary file."""

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvision.colorfulness import has_color
from kvision.data.clips import FoundClip, interrupted
from kvision.data.scan import pixel_hash
from kvision.data.unchanged import read_unchanged
from kvision.luma_chroma import luma
from kvision.pixels import MAX_BYTES, BadImage, pillow
from kvision.pixels.scene_cuts import SceneCuts
from kvision.pixels.video_reader import VideoReader

__all__ = ["Clip", "read_images", "read_video"]


@dataclass(frozen=True, eq=False)
class Clip:
    """The frames of a clip that can be read. Sequences have one entry per frame.

    Attributes:
        name: See `FoundClip`.
        part: See `FoundClip`.
        files: Path of the image of each frame, or of the video.
        labels: A word for each frame: the file name of an image, or the number of a frame in a video.
        scenes: `(n,)` integers that never decrease: frames of one scene without gaps have the same number.
        file_hashes: SHA-256 of the file of each frame. For a video with the number of the frame behind it.
        pixel_hashes: Hash of the decoded pixels.
        sizes: (height, width).
        colorful: Whether any of the frames has color.
        pixels: `(rows, height, width, 3)` uint8 of the stored frames of a video. None for images.
        places: The row in `pixels` of each frame of a video, or -1 for a frame that is not stored.
    """

    name: str
    part: str | None
    files: tuple[Path, ...]
    labels: tuple[str, ...]
    scenes: np.ndarray
    file_hashes: tuple[str, ...]
    pixel_hashes: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    colorful: bool
    pixels: np.ndarray | None = None
    places: np.ndarray | None = None

    def frame(self, index: int, longest_side: int | None) -> np.ndarray:
        """Reads a frame and makes it smaller if a side is longer than `longest_side`.

        Args:
            index: Place in the clip.
            longest_side: See `kv.data.Frames`.

        Returns:
            `(height, width, 3)` uint8.

        Raises:
            UserError: If the file of an image has changed since it was first read.
        """
        if self.pixels is not None:
            return np.asarray(self.pixels[self.places[index]])
        image = read_unchanged(self.files[index], self.file_hashes[index], pillow.decode)
        return pillow.fit(image, longest_side)

    def window(self, index: int, half: int) -> list[int]:
        """Returns the places of the `half` frames before and after a frame, inside of its scene.

        A neighbor that is missing is replaced by the nearest frame of the scene.
        """
        scene = self.scenes[index]
        first, last = np.searchsorted(self.scenes, scene, "left"), np.searchsorted(self.scenes, scene, "right") - 1
        return [int(np.clip(index + step, first, last)) for step in (*range(-half, 0), *range(1, half + 1))]


def read_images(found: FoundClip) -> tuple[Clip | None, list[tuple[Path, str]]]:
    """Reads every image of a clip once.

    Args:
        found: The files.

    Returns:
        The clip, or None if no image can be used; and the bad images with their reasons.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(_looked_at, found.files))
    bad = [(path, one) for path, one in zip(found.files, outcomes, strict=True) if isinstance(one, str)]
    good = [i for i, one in enumerate(outcomes) if not isinstance(one, str)]
    if not good:
        return None, bad
    kept = [outcomes[i] for i in good]
    clip = Clip(
        name=found.name,
        part=found.part,
        files=tuple(found.files[i] for i in good),
        labels=tuple(found.files[i].name for i in good),
        scenes=np.cumsum(interrupted(tuple(found.numbers[i] for i in good))),
        file_hashes=tuple(one[0] for one in kept),
        pixel_hashes=tuple(one[1] for one in kept),
        sizes=tuple(one[2] for one in kept),
        colorful=any(one[3] for one in kept),
    )
    return clip, bad


def read_video(found: FoundClip, *, longest_side: int | None, every: int, reach: int) -> tuple[Clip, str]:
    """Decodes a video once. Stores the frames that are needed in a temporary file, which Python removes.

    Args:
        found: The video.
        longest_side: Longest side of the stored frames in pixels, or None for their own size.
        every: Every how many frames an example begins.
        reach: How many frames before and after it the example needs.

    Returns:
        The clip, and what is wrong with the file, or an empty text.

    Raises:
        UserError: If the file is not a video.
    """
    (path,) = found.files
    with path.open("rb") as stream:
        file_hash = hashlib.file_digest(stream, "sha256").hexdigest()
    cuts, scenes, hashes, places, colorful, shape, stored = SceneCuts(), [], [], [], False, (), 0
    with VideoReader(path) as video, tempfile.TemporaryFile() as store:
        for index, frame in enumerate(video):
            small = pillow.fit(frame.image, longest_side)
            scenes.append((scenes[-1] if scenes else 0) + cuts(luma(small)[..., 0]))
            hashes.append(pixel_hash(small))
            near = min(index % every, every - index % every) <= reach
            places.append(stored if near else -1)
            colorful = colorful or has_color(small)
            if near:
                store.write(np.ascontiguousarray(small).data)
                stored += 1
            shape = small.shape
        size, problem = (video.info.height, video.info.width), video.problem
        store.flush()
        # The array keeps the pixels on disk after the file, which has no name, is closed.
        pixels = np.memmap(store, "uint8", "r", shape=(stored, *shape))
    return (
        Clip(
            name=found.name,
            part=found.part,
            files=(path,) * len(hashes),
            labels=tuple(map(str, range(len(hashes)))),
            scenes=np.array(scenes),
            file_hashes=tuple(f"{file_hash}#{index}" for index in range(len(hashes))),
            pixel_hashes=tuple(hashes),
            sizes=(size,) * len(hashes),
            colorful=colorful,
            pixels=pixels,
            places=np.array(places),
        ),
        problem,
    )


def _looked_at(path: Path) -> tuple | str:
    """Returns file hash, pixel hash, size and whether it has color; or the reason why the image is bad."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)  # a longer file is refused when its header is read
        image = pillow.decode(data)
    except (OSError, BadImage) as reason:
        return str(getattr(reason, "strerror", None) or reason)
    return hashlib.sha256(data).hexdigest(), pixel_hash(image), image.shape[:2], has_color(image)
