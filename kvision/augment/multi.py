"""Several views of each image in a batch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from kvision import checks
from kvision.augment.keys import Keyed, fold, int32, pixels
from kvision.training.source import Source  # From the module: `kvision.training` may be partly imported.

__all__ = ["MultiView"]


@keras.saving.register_keras_serializable(package="kvision")
class MultiView(Keyed):
    """Makes named views of each image in a batch.

    The layer maps a batch `{"image": (batch, height, width, 3) in [0, 255], ...}` to `{"a": (batch, h, w, 3) float32,
    "b": ..., ...}`. All other entries of the batch, such as "index", are kept as they are. SwAV's multi-crop is a
    `MultiView` with more entries: `{"a": big, "b": big, "c": small, "d": small}`.

    Args:
        views: A layer of `kv.augment` for each name. The same layer may have several names. It draws different random
            numbers for each name.
        seed: Seed of the random numbers if no key is given. If None, the seed is random.
        name: Name of the layer.

    Raises:
        UserError: If `views` is empty or contains a layer that is not of `kv.augment`, or if a batch has no "image" or
            has an entry with the name of a view.

    Example:
        >>> view = kv.augment.simclr(16, blur=False)
        >>> views = kv.augment.MultiView({"a": view, "b": view})
        >>> sorted(views({"image": np.zeros((2, 32, 32, 3), "uint8"), "index": np.arange(2)}))
        ['a', 'b', 'index']
    """

    def __init__(self, views: Mapping[str, Keyed], *, seed: int | None = None, name: str | None = None):
        super().__init__(seed=seed, name=name)
        views = dict(views)
        if not views or not all(isinstance(view, Keyed) for view in views.values()):
            raise checks.UserError("views", expected="a dictionary of layers of kv.augment", received=views)
        self.views = views

    def call(self, batch, key=None):
        self._check(batch)
        images = pixels(batch["image"])
        keys = fold(self.own(key), ops.arange(len(self.views), dtype="int32"))
        order = sorted(self.views)  # The order of the dictionary must not matter.
        made = {name: view(images, key=keys[order.index(name)]) for name, view in self.views.items()}
        return {**made, **_others(batch)}

    def mapped(self, pipeline: Any, *, seed: int) -> Any:
        """Makes the views in `tf.data`, in parallel to the training step. Needs the TensorFlow backend.

        Use it in place of the argument `views` of a self-supervised method. The random numbers of the views depend on
        the seed, the epoch, and the first row of a replica's part of a batch. So the views differ from epoch to epoch,
        and a resumed training gets the same views as one that was not interrupted.

        Args:
            pipeline: The result of `kv.data.batches(..., fields=("image", ...))`, or a `kv.training.Source` of such
                batches.
            seed: Seed of the views.

        Returns:
            A pipeline or source of views for `kv.training.fit`.

        Raises:
            UserError: If the backend is not TensorFlow, or `pipeline` has a different type, such as `tf.data.Dataset`.
        """
        if keras.backend.backend() != "tensorflow":
            raise checks.UserError(
                "pipeline",
                problem="cannot be mapped on this backend",
                expected="KERAS_BACKEND=tensorflow",
                received=keras.backend.backend(),
                hint="Give the method the argument `views` instead",
            )
        source = getattr(pipeline, "source", pipeline)
        if not isinstance(source, Source):
            raise checks.UserError(
                "pipeline",
                expected="what kv.data.batches returns, or a kv.training.Source",
                received=type(pipeline).__name__,
                hint="Give the method the argument `views` instead, which works with all data",
            )
        seed = int32(seed)
        # The result has `fresh=True`, so that `look` gets the numbers epoch * count + row. If a source is not fresh,
        # its `read` takes only the row.
        read = source.read if source.fresh else lambda numbers: source.read(numbers % source.count)

        def look(numbers, batch):
            epoch, row = numbers[0] // source.count, numbers[0] % source.count
            key = fold(ops.stack([seed, ops.cast(epoch, "int32")]), row)
            return (self(batch[0], key=key), *batch[1:])

        spec = (self.compute_output_spec(source.spec[0]), *source.spec[1:])
        looked = replace(source, read=read, fresh=True, look=look, read_spec=source.spec, spec=spec)
        return looked if source is pipeline else replace(pipeline, source=looked)

    def _check(self, batch) -> None:
        found = sorted(batch) if isinstance(batch, Mapping) else type(batch).__name__
        if not isinstance(batch, Mapping) or "image" not in batch:
            raise checks.UserError("batch", expected="a dictionary with 'image'", received=found)
        if taken := [name for name in _others(batch) if name in self.views]:
            expected = "names that are not those of a view"
            raise checks.UserError("batch", problem="would be overwritten", expected=expected, received=taken)

    def compute_output_spec(self, batch, key=None):
        self._check(batch)
        shape = tuple(batch["image"].shape)
        made = {k: keras.KerasTensor(view.compute_output_shape(shape), "float32") for k, view in self.views.items()}
        return {**made, **_others(batch)}

    def get_config(self):
        return {**super().get_config(), "views": keras.saving.serialize_keras_object(dict(self.views))}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "views": keras.saving.deserialize_keras_object(config["views"])})


def _others(batch) -> dict:
    return {name: value for name, value in batch.items() if name != "image"}
