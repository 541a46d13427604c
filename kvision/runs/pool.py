"""The labeled images that a recipe trains on and chooses by."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision.runs.result import Split

if TYPE_CHECKING:
    from kvision.data import Images

__all__ = ["Pool"]

_VALIDATION_FRACTION = 0.2  # where the data names no validation part


@dataclass(frozen=True)
class Pool:
    """The training and validation images, and their parts by index into the labels of both.

    Attributes:
        images: The training images, and the given validation images if there are some.
        labels: The labels of all of them.
        train: Indices to fit candidates on.
        validation: Indices to choose by.
        final: Indices to fit the choice on: all training images. A validation part that was taken from them is among
            them, a given one is not.
    """

    images: "tuple[Images, ...]"
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    final: np.ndarray

    @classmethod
    def of(cls, split: Split, *, seed: int) -> "Pool":
        """Takes the given validation part, or a fifth of each class of the training images.

        Raises:
            kvision.UserError: If a class has too few images for two parts.
        """
        from kvision import data

        images = split.train
        if split.validation is not None:
            count = np.arange(len(images))
            labels = np.concatenate([images.labels, split.validation.labels])
            validation = len(images) + np.arange(len(split.validation))
            return cls((images, split.validation), labels, count, validation, count)
        options = {"fraction": _VALIDATION_FRACTION, "seed": seed, "class_names": images.class_names}
        train, validation = data.split(images.labels, images.pixel_hashes, **options)
        return cls((images,), images.labels, train, validation, np.arange(len(images)))

    @property
    def parts(self) -> "tuple[Images, Images]":
        """The images to train on, and those to choose by."""
        if len(self.images) == 2:
            return self.images[0], self.images[1]
        return self.images[0].subset(self.train), self.images[0].subset(self.validation)

    def write_manifest(self, path: Path, test: "Images") -> None:
        """Writes who is in which part as a CSV file."""
        from kvision import data

        everyone = [*self.images, test]
        data.write_manifest(
            path,
            names=[name for images in everyone for name in images.names],
            labels=np.concatenate([self.labels, test.labels]),
            class_names=test.class_names,
            file_hashes=[file_hash for images in everyone for file_hash in images.file_hashes],
            parts={
                "train": self.train,
                "validation": self.validation,
                "test": len(self.labels) + np.arange(len(test)),
            },
        )
