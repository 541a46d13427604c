"""The labeled images of a recipe that fits candidates on some images and chooses on the rest."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvision.runs.result import Split

if TYPE_CHECKING:
    from kvision.data import Images

__all__ = ["Pool"]

_VALIDATION_FRACTION = 0.2  # if the data has no validation part


@dataclass(frozen=True)
class Pool:
    """The training and validation images, and the indices of each part in `labels`.

    Attributes:
        images: The training images, followed by the validation images if the data has a validation part.
        labels: The labels of all these images.
        train: Indices of the images to fit candidates on.
        validation: Indices of the images to choose the best candidate on.
        final: Indices of the images to fit the chosen candidate on. These are all training images, including a
            validation part that was taken from the training images.
    """

    images: "tuple[Images, ...]"
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    final: np.ndarray

    @classmethod
    def of(cls, split: Split, *, seed: int) -> "Pool":
        """Creates a pool. If the data has no validation part, takes a fifth of each class of the training images.

        Args:
            split: The data.
            seed: Seed of the choice of validation images.

        Returns:
            The pool.

        Raises:
            UserError: If a class has too few images for two parts.
        """
        from kvision import data

        images = split.train
        if split.validation is not None:
            count = np.arange(len(images))
            labels = np.concatenate([images.labels, split.validation.labels])
            validation = len(images) + np.arange(len(split.validation))
            return cls((images, split.validation), labels, count, validation, count)
        options = {"fraction": _VALIDATION_FRACTION, "seed": seed, "class_names": images.class_names}
        train, validation = data.split(images.labels, images.pixel_hashes, argument="data", **options)
        return cls((images,), images.labels, train, validation, np.arange(len(images)))

    @property
    def parts(self) -> "tuple[Images, Images]":
        """The training images and the validation images."""
        if len(self.images) == 2:
            return self.images[0], self.images[1]
        return self.images[0].subset(self.train), self.images[0].subset(self.validation)

    def write_manifest(self, path: Path, test: "Images") -> None:
        """Writes a CSV file with the part of each image."""
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
