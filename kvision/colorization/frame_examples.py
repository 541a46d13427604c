"""Frames of videos in the form that the training of a coloring network takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kvision import luma_chroma
from kvision.data import Frames

__all__ = ["ColorFrames"]


@dataclass(frozen=True, eq=False)
class ColorFrames:
    """Frames with their neighbors for `kv.data.batches` and the training of `kv.colorization.network`.

    Attributes:
        frames: The frames, of `kv.data.from_clips`.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for number in range(3):
        ...     Image.new("RGB", (16, 16), (200, 50, number)).save(folder / f"clip_{number}.png")
        >>> frames = kv.colorization.ColorFrames(kv.data.from_clips(folder, neighbors=2, progress=False))
        >>> augment = kv.augment.FrameAugment(kv.augment.JointAugment(16, 16, color=0.0))
        >>> inputs, truth = next(iter(kv.data.batches(frames, augment=augment, batch_size=3).tf_dataset()))
        >>> sorted(inputs), truth.shape
        (['image', 'neighbors'], TensorShape([3, 16, 16, 3]))
    """

    frames: Frames
    standard: str = "bt601"

    def __len__(self) -> int:
        return len(self.frames)

    def path(self, index: int) -> str:
        """Returns the path of the file of a frame."""
        return self.frames.path(index)

    def example(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a frame and the frames that belong to it; see `kv.data.Frames.example`."""
        return self.frames.example(index)

    def stack(self, examples: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Any, np.ndarray]:
        """Returns a batch: the inputs of `kv.data.Frames.stack`, and the truth of `kv.losses.chroma_losses`."""
        inputs, targets = self.frames.stack(examples)
        chroma = luma_chroma.luma_chroma(targets[..., :3], self.standard)[..., 1:] / np.float32(127.5)
        return inputs, np.concatenate([chroma, targets[..., 3:]], axis=-1).astype("float32")

    def spec(self, height: int, width: int) -> tuple[Any, Any]:
        """Returns a batch of this size as `keras.KerasTensor` objects; see `kv.data.Augmentable`."""
        return self.frames.spec(height, width)[0], keras.KerasTensor((None, height, width, 3), "float32")
