"""Pictures in the form that the training of a coloring network takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kvision import checks, luma_chroma
from kvision.augment import JointAugment
from kvision.colorization.hints import random_hints
from kvision.data import Frames, Pictures

__all__ = ["ColorAugment", "ColorExamples"]

_OUTSIDE = 255  # the label that `JointAugment` gives to pixels outside of a picture


@dataclass(frozen=True)
class ColorAugment:
    """Random changes of a picture, and the random inputs of a coloring network: hints and points.

    Call the object with a picture `(h, w, 3)` uint8, None and a `numpy.random.Generator`. It returns the changed
    picture and a dictionary of `truth`, `hints` and `points`, which `ColorExamples.stack` joins to batches.

    Attributes:
        augment: The geometric changes. Changes of the colors would change what the network learns, so leave them off.
        hints: Whether hints are drawn, see `kv.colorization.random_hints`.
        points: Number of points for a hypercolumn network, or 0 for all pixels.
        standard: `"bt601"`, `"bt709"` or `"bt2020"`.

    Raises:
        UserError: If a number is out of its range.
    """

    augment: JointAugment
    hints: bool = False
    points: int = 0
    standard: str = "bt601"

    def __post_init__(self):
        if self.points < 0:
            raise checks.UserError("points", expected="a number of points, or 0", received=self.points)

    @property
    def height(self) -> int:
        """Height of the result in pixels."""
        return self.augment.height

    @property
    def width(self) -> int:
        """Width of the result in pixels."""
        return self.augment.width

    def __call__(self, image: np.ndarray, _: Any, random: np.random.Generator) -> tuple[np.ndarray, dict]:
        image, outside = self.augment(image, np.zeros(image.shape[:2], "uint8"), random)
        chroma = luma_chroma.luma_chroma(image, self.standard)[..., 1:] / np.float32(127.5)
        found = {"truth": np.concatenate([chroma, (outside != _OUTSIDE)[..., None]], -1).astype("float32")}
        if self.hints:
            found["hints"] = random_hints(chroma, random)
        if self.points:
            # Distinct pixels are drawn in a random order, and repeated only if the picture has fewer pixels.
            place = np.resize(random.permutation(self.height * self.width), self.points)
            rows, columns = np.divmod(place, self.width)
            sides = np.array([self.height, self.width])
            found["points"] = ((np.stack([rows, columns], -1) + 0.5) / sides).astype("float32")
            found["truth"] = found["truth"][rows, columns]
        return image, found


@dataclass(frozen=True, eq=False)
class ColorExamples:
    """Pictures for `kv.data.batches` and the training of `kv.colorization.network`.

    Attributes:
        pictures: The pictures, or frames of videos without their neighbors.
        augment: The same object that `kv.data.batches` gets.

    Example:
        >>> pictures = kv.data.pictures_of(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8"))
        >>> augment = kv.colorization.ColorAugment(kv.augment.JointAugment(16, 16))
        >>> batches = kv.data.batches(kv.colorization.ColorExamples(pictures, augment), augment=augment, batch_size=2)
        >>> [truth.shape for _, truth in batches.tf_dataset()]
        [TensorShape([2, 16, 16, 3]), TensorShape([2, 16, 16, 3])]
    """

    pictures: Pictures | Frames
    augment: ColorAugment

    def __len__(self) -> int:
        return len(self.pictures)

    def path(self, index: int) -> str:
        """Returns the path of the file of a picture, or its number in an array."""
        return self.pictures.path(index) or self.pictures.names[index]

    def example(self, index: int) -> tuple[np.ndarray, None]:
        """Returns a picture `(h, w, 3)` uint8 and None."""
        return self.pictures.example(index)[0], None

    def stack(self, examples: Sequence[tuple[np.ndarray, dict]]) -> tuple[Any, np.ndarray]:
        """Returns a batch: the images or a dictionary of all inputs, and the truth of `kv.losses.chroma_losses`."""
        found = [more for _, more in examples]
        inputs = {"image": np.stack([image for image, _ in examples])}
        inputs |= {name: np.stack([one[name] for one in found]) for name in ("hints", "points") if name in found[0]}
        return _given(inputs), np.stack([one["truth"] for one in found])

    def spec(self, height: int, width: int) -> tuple[Any, Any]:
        """Returns a batch of this size as `keras.KerasTensor` objects; see `kv.data.Augmentable`."""
        inputs = {"image": keras.KerasTensor((None, height, width, 3), "uint8")}
        if self.augment.hints:
            inputs["hints"] = keras.KerasTensor((None, height, width, 3), "float32")
        if self.augment.points:
            inputs["points"] = keras.KerasTensor((None, self.augment.points, 2), "float32")
        shape = (None, self.augment.points, 3) if self.augment.points else (None, height, width, 3)
        return _given(inputs), keras.KerasTensor(shape, "float32")


def _given(inputs: dict[str, Any]) -> Any:
    """Returns the images without a dictionary if there is nothing else, as `kv.colorization.network` takes them."""
    return inputs["image"] if len(inputs) == 1 else inputs
