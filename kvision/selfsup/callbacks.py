"""Callbacks that watch an encoder while it trains: its accuracy on labeled images, and a check for collapse."""

import keras
import numpy as np
from sklearn.preprocessing import StandardScaler

from kvision import checks
from kvision.schedules import Constant
from kvision.selfsup.inputs import Labeled, features_of, images_and_labels
from kvision.selfsup.knn import knn_accuracy
from kvision.selfsup.linear_probe import Heads

__all__ = ["Collapsed", "CollapseGuard", "OnlineKNN", "OnlineProbe"]


class _Online(keras.callbacks.Callback):
    """Embeds the training and test images after some epochs, and adds a number to the logs."""

    # The names of settings begin with `_`. Checkpoints restore all other attributes, so they would overwrite a changed
    # setting.
    _name: str

    def __init__(self, encoder: keras.Model, train: Labeled, test: Labeled, every: int, batch_size: int):
        super().__init__()
        checks.positive({"every": every})
        images, self._labels = images_and_labels("train", train)
        test_images, self._test_labels = images_and_labels("test", test)
        self._encoder, self._every, self._batch_size = encoder, every, batch_size
        self._sets = images, test_images

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None and ((epoch + 1) % self._every == 0 or epoch + 1 == self.params.get("epochs")):
            found = features_of(self._encoder, self._sets, batch_size=self._batch_size)
            logs[self._name] = self._accuracy(epoch, *found)

    def _accuracy(self, epoch: int, features: np.ndarray, test_features: np.ndarray) -> float:
        raise NotImplementedError


class OnlineKNN(_Online):
    """Adds the test accuracy of a nearest-neighbor vote to the logs, as `knn`.

    The accuracy is `kv.selfsup.knn_accuracy`. It is computed after every `every` epochs and after the last epoch. The
    logs of all other epochs have no `knn`, as with the `validation_freq` of Keras. The encoder is not changed.

    Args:
        encoder: The encoder in training, usually `method.encoder`: a model from images `(batch, height, width, 3)` to
            features `(batch, features)`. It runs in inference mode.
        train: Labeled images that vote: `kv.data.Images`, or a pair of arrays (images, labels). They may differ from
            the images that the method trains on.
        test: Labeled images that are classified, in the same form as `train`.
        every: Number of epochs between two evaluations.
        n_neighbors: Number of neighbors that vote.
        temperature: Scale of the votes, see `kv.selfsup.knn_predict`.
        batch_size: Number of images per batch, if the images are an array.

    Raises:
        UserError: If `train` or `test` is not a set of labeled images, or a number is not positive.

    Example:
        >>> encoder = kv.backbones.resnet18(width=4, image_size=32, pooling="avg")
        >>> images, labels = np.zeros((4, 32, 32, 3), "uint8"), np.arange(4)
        >>> watch = kv.selfsup.OnlineKNN(encoder, (images, labels), (images, labels), n_neighbors=2)
    """

    _name = "knn"

    def __init__(
        self,
        encoder: keras.Model,
        train: Labeled,
        test: Labeled,
        *,
        every: int = 1,
        n_neighbors: int = 200,
        temperature: float = 0.1,
        batch_size: int = 256,
    ):
        super().__init__(encoder, train, test, every, batch_size)
        checks.positive({"n_neighbors": n_neighbors, "temperature": temperature})
        self._options = {"n_neighbors": n_neighbors, "temperature": temperature}

    def _accuracy(self, epoch, features, test_features):
        return knn_accuracy(features, self._labels, test_features, self._test_labels, **self._options)


class OnlineProbe(_Online):
    """Adds the test accuracy of a linear classifier to the logs, as `probe`.

    The classifier trains along with the encoder. After every `every` epochs and after the last epoch, the features of
    the training images are computed and standardized. Then the classifier continues its training with `passes` passes
    over these features. It has its own SGD optimizer (momentum 0.9, constant learning rate). No gradient reaches the
    encoder, and the optimizer of the method does not change. Do not compare the accuracy with
    `kv.selfsup.linear_probe`, which trains a new classifier and chooses its learning rate. Checkpoints contain the
    classifier and its optimizer, so a resumed training continues with both.

    Args:
        encoder: The encoder in training, usually `method.encoder`, as described in `OnlineKNN`.
        train: Labeled images to train on: `kv.data.Images`, or a pair of arrays (images, labels).
        test: Labeled images to test on, in the same form as `train`.
        every: Number of epochs between two evaluations.
        learning_rate: Learning rate of the classifier.
        passes: Number of passes over the training images in each evaluation.
        seed: Seed of the order of the images.
        batch_size: Number of rows per step of the classifier. If the images are an array, also the number of images per
            batch.

    Raises:
        UserError: If `train` or `test` is not a set of labeled images, or a number is not positive.
    """

    _name = "probe"

    def __init__(
        self,
        encoder: keras.Model,
        train: Labeled,
        test: Labeled,
        *,
        every: int = 1,
        learning_rate: float = 0.1,
        passes: int = 5,
        seed: int = 0,
        batch_size: int = 256,
    ):
        super().__init__(encoder, train, test, every, batch_size)
        checks.positive({"learning_rate": learning_rate, "passes": passes})
        self._learning_rate, self._passes, self._seed = learning_rate, passes, seed
        self._heads: Heads | None = None
        self.state: list[np.ndarray] = []

    def get_state(self) -> dict:
        """Returns the classifier and its optimizer, for a checkpoint."""
        return {"state": self.state}

    def set_state(self, state: dict) -> None:
        """Restores the classifier and its optimizer from a checkpoint.

        Args:
            state: The dictionary that `get_state` returned.
        """
        self.state = state["state"]

    def _accuracy(self, epoch, features, test_features):
        if self._heads is None:
            classes = int(max(self._labels.max(), self._test_labels.max())) + 1
            self._heads = Heads(features.shape[1], classes, [self._learning_rate])
        if self.state:
            self._heads.state = self.state
        scaler = StandardScaler().fit(features)
        self._heads.train(
            scaler.transform(features),
            self._labels,
            epochs=self._passes,
            first_epoch=epoch * self._passes,
            batch_size=self._batch_size,
            seed=self._seed,
            factor=Constant().factor,
        )
        self.state = self._heads.state
        ((kernel, bias),) = self._heads.arrays()
        found = (scaler.transform(test_features) @ kernel + bias).argmax(axis=1)
        return float((found == self._test_labels).mean())


class Collapsed(checks.UserError):
    """Raised by `CollapseGuard` when the embeddings of a training have become one point."""


class CollapseGuard(keras.callbacks.Callback):
    """Stops the training if the embeddings collapse to one point.

    The callback watches the log `embedding_std` of `kv.training.Objective`. This value is 1 / sqrt(width) for evenly
    spread embeddings (0.125 at a width of 64, 0.022 at a width of 2048) and 0 for a single point.

    Args:
        threshold: The value of `embedding_std` below which an epoch counts as collapsed, in (0, 1). The default is
            below the values of untrained networks, and far above the values of collapsed networks.
        patience: Number of collapsed epochs in a row after which the training stops. Checkpoints contain the count.

    Raises:
        UserError: If `threshold` is outside of (0, 1), or `patience` is not positive.
    """

    def __init__(self, threshold: float = 1e-3, *, patience: int = 2):
        super().__init__()
        if not 0 < threshold < 1:
            raise checks.UserError("threshold", expected="a number in (0, 1)", received=threshold)
        checks.positive({"patience": patience})
        self._threshold, self._patience = threshold, patience
        self.count = 0

    def get_state(self) -> dict:
        """Returns the number of collapsed epochs in a row, for a checkpoint."""
        return {"count": self.count}

    def set_state(self, state: dict) -> None:
        """Restores the number of collapsed epochs in a row from a checkpoint.

        Args:
            state: The dictionary that `get_state` returned.
        """
        self.count = state["count"]

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get("embedding_std")
        if value is None:
            raise checks.UserError(
                "CollapseGuard watches the log `embedding_std` of a kv.training.Objective, but the training logs only "
                f"{sorted(logs or {})}. Leave the callback out for other models."
            )
        self.count = self.count + 1 if value < self._threshold else 0
        if self.count >= self._patience:
            raise Collapsed(
                f"Epoch {epoch + 1}: the embeddings have collapsed. Their spread `embedding_std` is {value:.2g}, and "
                f"below {self._threshold:g} for {self.count} epochs (1 / sqrt(width) is healthy, 0 is a single point). "
                "The encoder gives the same features for every image, so a low loss means nothing. Lower the learning "
                "rate or lengthen its warm-up. Check that the two views differ, and that negatives, stop-gradient or "
                "centering work. Then start a new training: a collapsed encoder does not recover."
            )
