"""An encoder watched while it trains: by labels that the training itself never sees, and against collapse."""

import keras
import numpy as np
from sklearn.preprocessing import StandardScaler

from kvision import checks
from kvision.schedules import Constant
from kvision.selfsup.inputs import Labeled, features_of, images_and_labels
from kvision.selfsup.knn import check_vote, knn_accuracy
from kvision.selfsup.linear_probe import Heads

__all__ = ["Collapsed", "CollapseGuard", "OnlineKNN", "OnlineProbe"]


class _Online(keras.callbacks.Callback):
    """Embeds two labeled sets at the ends of epochs, and gives the logs a number."""

    # settings begin with `_`: what does not is kept by checkpoints, and would be put back over a new setting
    _name: str

    def __init__(self, encoder: keras.Model, train: Labeled, test: Labeled, every: int, batch_size: int):
        super().__init__()
        if every < 1:
            raise checks.error("every", expected="a count of epochs of at least 1", received=every)
        images, self._labels = images_and_labels("train", train)
        held_out, self._truth = images_and_labels("test", test)
        self._encoder, self._every, self._batch_size, self._sets = encoder, every, batch_size, (images, held_out)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None and ((epoch + 1) % self._every == 0 or epoch + 1 == self.params.get("epochs")):
            found = features_of(self._encoder, self._sets, batch_size=self._batch_size)
            logs[self._name] = self._accuracy(epoch, *found)

    def _accuracy(self, epoch: int, features: np.ndarray, held_out: np.ndarray) -> float:
        raise NotImplementedError


class OnlineKNN(_Online):
    """Log `knn`: `knn_accuracy` of `test` by the neighbors in `train`, after every `every` epochs and the last.

    encoder: images (B, H, W, 3) -> (B, D), such as `method.encoder`; it runs in inference mode and is left as it is.
    train, test: `kv.data.Images`, or arrays (images, labels); of any source, the training's own or not. As with Keras'
    `validation_freq`, the logs of the epochs between hold no `knn`. batch_size: for arrays.
    """

    _name = "knn"

    def __init__(
        self,
        encoder: keras.Model,
        train: Labeled,
        test: Labeled,
        *,
        every: int = 1,
        k: int = 200,
        temperature: float = 0.1,
        batch_size: int = 256,
    ):
        super().__init__(encoder, train, test, every, batch_size)
        check_vote(k, temperature)
        self._k, self._temperature = k, temperature

    def _accuracy(self, epoch, features, held_out):
        options = {"k": self._k, "temperature": self._temperature}
        return knn_accuracy(features, self._labels, held_out, self._truth, **options)


class OnlineProbe(_Online):
    """Log `probe`: accuracy on `test` of a linear head on `train` that goes on learning as the encoder does.

    After every `every` epochs and the last, `train` is embedded anew, standardized, and the head of the time before
    makes `passes` passes over it by an SGD of its own (momentum .9, constant rate). It sees features alone, so that
    nothing flows into the encoder, and neither its weights nor the method's optimizer are touched. Not to be compared
    with `linear_probe`, which begins anew and looks for its rate. Other arguments as in `OnlineKNN`.
    Checkpoints keep the head and its optimizer (`state`), so that a killed training goes on with both.
    """

    _name = "probe"

    def __init__(
        self,
        encoder: keras.Model,
        train: Labeled,
        test: Labeled,
        *,
        every: int = 1,
        rate: float = 0.1,
        passes: int = 5,
        seed: int = 0,
        batch_size: int = 256,
    ):
        super().__init__(encoder, train, test, every, batch_size)
        if not 0 < rate < np.inf:
            raise checks.error("rate", expected="a learning rate above 0", received=rate)
        if passes < 1:
            raise checks.error("passes", expected="a count of at least 1", received=passes)
        self._rate, self._passes, self._seed = rate, passes, seed
        self._heads: Heads | None = None
        self.state: list[np.ndarray] = []

    def get_state(self) -> dict:
        """Returns the head and its optimizer."""
        return {"state": self.state}

    def set_state(self, state: dict) -> None:
        """Takes the head and its optimizer."""
        self.state = state["state"]

    def _accuracy(self, epoch, features, held_out):
        if self._heads is None:
            classes = int(max(self._labels.max(), self._truth.max())) + 1
            self._heads = Heads(features.shape[1], classes, [self._rate])
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
        found = (scaler.transform(held_out) @ kernel + bias).argmax(axis=1)
        return float((found == self._truth).mean())


class Collapsed(checks.UserError):
    """A training that was stopped since its embeddings had become one point."""


class CollapseGuard(keras.callbacks.Callback):
    """Raises Collapsed when the log `embedding_std` of `training.Objective` was below `threshold` in `patience` epochs
    in a row.

    threshold: 1 / sqrt(D) is healthy, .125 at 64 dimensions and .022 at 2048, and 0 is one point. .001 lies below what
    an untrained network with its narrow cone of embeddings gives, and far above a collapse. `count` holds the epochs
    so far, checkpoints keep it.
    """

    def __init__(self, threshold: float = 1e-3, *, patience: int = 2):
        super().__init__()
        if not 0 < threshold < 1:
            raise checks.error("threshold", expected="a number in (0, 1)", received=threshold)
        if patience < 1:
            raise checks.error("patience", expected="a count of epochs of at least 1", received=patience)
        self._threshold, self._patience = threshold, patience
        self.count = 0

    def get_state(self) -> dict:
        """Returns the epochs so far."""
        return {"count": self.count}

    def set_state(self, state: dict) -> None:
        """Continues to count from there."""
        self.count = state["count"]

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get("embedding_std")
        if value is None:
            raise checks.error(
                "callbacks",
                problem="hold a CollapseGuard, and the logs have nothing that it could watch",
                expected="`embedding_std`, which a kv.training.Objective logs",
                received=sorted(logs or {}),
            )
        self.count = self.count + 1 if value < self._threshold else 0
        if self.count >= self._patience:
            raise Collapsed(
                f"Epoch {epoch + 1}: the embeddings have collapsed: their spread `embedding_std` is {value:.2g}, for "
                f"{self.count} epochs below {self._threshold:g} (1 / sqrt(D) is healthy, 0 is one point). Every image "
                "looks the same to the encoder, and a low loss means nothing. Lower the learning rate or lengthen the "
                "warm-up, look whether negatives, stop-gradient or centering work, and whether the two views differ; "
                "then begin anew: a collapsed encoder does not recover."
            )
