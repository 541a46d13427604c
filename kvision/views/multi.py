"""Several views of each image of a batch."""

from collections.abc import Mapping

import keras
from keras import ops

from kvision import checks
from kvision.views.keys import Keyed, fold, int32, pixels

__all__ = ["MultiView"]


@keras.saving.register_keras_serializable(package="kvision")
class MultiView(Keyed):
    """Makes views: a batch {"image": (B, H, W, 3) in [0, 255], ...} -> {"a": (B, h, w, 3) float32, "b": ..., ...}.

    views: name -> a `Keyed` layer, which may stand under several names: each draws by itself, so that views of one
    image differ. Whatever else the batch holds, "index" say, passes through. SwAV's multi-crop is more entries:
    `MultiView({"a": big, "b": big, "c": small, "d": small})`.
    Raises UserError for no views, another kind of layer, a batch without "image" or with a view's name.
    """

    def __init__(self, views: Mapping[str, Keyed], *, seed: int | None = None, name: str | None = None):
        super().__init__(seed=seed, name=name)
        views = dict(views)
        if not views or not all(isinstance(view, Keyed) for view in views.values()):
            raise checks.error("views", expected="names and layers of kvision.views", received=views)
        self.views = views

    def call(self, batch, key=None):
        self._check(batch)
        images = pixels(batch["image"])
        keys = fold(self.own(key), ops.arange(len(self.views), dtype="int32"))
        order = sorted(self.views)  # what a view draws does not hang on how the dict was written
        made = {name: view(images, key=keys[order.index(name)]) for name, view in self.views.items()}
        return {**made, **_others(batch)}

    def mapped(self, dataset, *, seed: int, start: int = 0):
        """A `tf.data.Dataset` of batches as dicts -> one of views; what they draw follows from (seed, batch) alone.

        start: the number of the first batch, so that a run that resumes after `start` batches goes on as it would
        have. Give epochs different seeds, or repeat the dataset before. On the backend TensorFlow only.
        """
        if keras.backend.backend() != "tensorflow":
            raise checks.error(
                "dataset",
                problem="is mapped by layers of TensorFlow",
                expected="the backend tensorflow",
                received=keras.backend.backend(),
                hint="Call the views inside of the training step",
            )
        low = int32(seed)

        def make(number, batch):
            return self(batch, key=ops.stack([ops.cast(low, "int64"), number]))

        return dataset.enumerate(start).map(make, num_parallel_calls=-1, deterministic=True)  # -1: tf.data.AUTOTUNE

    def _check(self, batch) -> None:
        found = sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__
        if not isinstance(batch, Mapping) or "image" not in batch:
            raise checks.error("batch", expected="a dict with 'image'", received=found)
        if taken := [name for name in _others(batch) if name in self.views]:
            raise checks.error("batch", problem="has entries with names of views", expected="others", received=taken)

    def compute_output_spec(self, batch, key=None):
        self._check(batch)
        shape = tuple(batch["image"].shape)
        made = {k: keras.KerasTensor(view.compute_output_shape(shape), "float32") for k, view in self.views.items()}
        return {**made, **_others(batch)}

    def get_config(self):
        views = {name: keras.saving.serialize_keras_object(view) for name, view in self.views.items()}
        return {**super().get_config(), "views": views}

    @classmethod
    def from_config(cls, config):
        views = {name: keras.saving.deserialize_keras_object(view) for name, view in config["views"].items()}
        return cls(**{**config, "views": views})


def _others(batch) -> dict:
    return {name: value for name, value in batch.items() if name != "image"}
