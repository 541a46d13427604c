"""Random augmentation of a frame together with its neighboring frames."""

from dataclasses import dataclass

import numpy as np

from kvision.augment.joint import JointAugment

__all__ = ["FrameAugment"]


@dataclass(frozen=True)
class FrameAugment:
    """Makes the same random changes to a frame and to the frames around it.

    Call the object with a frame `(h, w, 3)` uint8, other frames `(m, h, w, 3)` uint8 and a `numpy.random.Generator`. It
    returns the frame `(height, width, 4)` and the other frames `(m, height, width, 4)`, uint8. The last channel is 1,
    and 0 for pixels outside of the frame.

    Attributes:
        joint: The augmentation. All frames get the same window, flip and changes of brightness and colors, so motions
            stay as they are.

    Example:
        >>> augment = kv.augment.FrameAugment(kv.augment.JointAugment(32, 32))
        >>> image, others = np.zeros((40, 50, 3), "uint8"), np.zeros((2, 40, 50, 3), "uint8")
        >>> [part.shape for part in augment(image, others, np.random.default_rng(0))]
        [(32, 32, 4), (2, 32, 32, 4)]
    """

    joint: JointAugment

    @property
    def height(self) -> int:
        """Height of the result in pixels."""
        return self.joint.height

    @property
    def width(self) -> int:
        """Width of the result in pixels."""
        return self.joint.width

    def __call__(
        self, image: np.ndarray, others: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        seed = int(random.integers(2**63))  # each frame gets a new generator, so that all draw the same numbers
        inside = np.zeros(image.shape[:2], "uint8")

        def changed(frame: np.ndarray) -> np.ndarray:
            found, labels = self.joint(frame, inside, np.random.default_rng(seed))
            return np.concatenate([found, (labels == 0).astype("uint8")[..., None]], axis=2)

        moved = [changed(frame) for frame in others]
        empty = np.zeros((0, self.height, self.width, 4), "uint8")
        return changed(image), np.stack(moved) if moved else empty
