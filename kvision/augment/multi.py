"""Several views of each image of a batch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from kvision import checks
from kvision.augment.keys import Keyed, fold, int32, pixels
from kvision.training.source import Source  # of a package that may be only half there: it imports Keras, Keras us

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
            raise checks.error("views", expected="names and layers of kvision.augment", received=views)
        self.views = views

    def call(self, batch, key=None):
        self._check(batch)
        images = pixels(batch["image"])
        keys = fold(self.own(key), ops.arange(len(self.views), dtype="int32"))
        order = sorted(self.views)  # what a view draws does not hang on how the dict was written
        made = {name: view(images, key=keys[order.index(name)]) for name, view in self.views.items()}
        return {**made, **_others(batch)}

    def mapped(self, dataset, *, seed: int, start: int = 0) -> Any:
        """Views made in `tf.data`, while the model works, for a method without `views` of its own.

        dataset: `kv.data.pipeline(..., fields=("image", ...))` or a `kv.training.Source` of such batches -> the same
        for `kv.training.fit`. What is drawn follows from (seed, epoch, first row of a replica's part) alone: other
        views in each epoch, the same in a training that goes on.
        Or a `tf.data.Dataset` of batches as dicts -> one of views, drawn from (seed, batch). `fit` begins it anew in
        each epoch, which so sees the same views again; in a loop of your own give each epoch another seed. start: the
        number of its first batch, so that a run that resumes after `start` batches goes on as it would have.
        On the backend TensorFlow only.
        """
        if keras.backend.backend() != "tensorflow":
            raise checks.error(
                "dataset",
                problem="is mapped by layers of TensorFlow",
                expected="the backend tensorflow",
                received=keras.backend.backend(),
                hint="Call the views inside of the training step",
            )
        low, source = int32(seed), getattr(dataset, "source", dataset)
        if isinstance(source, Source):
            looked = self._looked(source, low)
            return looked if source is dataset else replace(dataset, source=looked)

        def make(number, batch):
            return self(batch, key=ops.stack([ops.cast(low, "int64"), number]))

        return dataset.enumerate(start).map(make, num_parallel_calls=-1, deterministic=True)  # -1: tf.data.AUTOTUNE

    def _looked(self, source: Source, seed: int) -> Source:
        read = source.read if source.fresh else lambda numbers: source.read(numbers % source.count)

        def look(numbers, batch):
            epoch, row = numbers[0] // source.count, numbers[0] % source.count
            key = fold(ops.stack([seed, ops.cast(epoch, "int32")]), row)
            return (self(batch[0], key=key), *batch[1:])

        spec = (self.compute_output_spec(source.spec[0]), *source.spec[1:])
        return replace(source, read=read, fresh=True, look=look, read_spec=source.spec, spec=spec)

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
