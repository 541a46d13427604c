"""Images on their way to a model that takes raw pixels: scaled ones, NaN and infinity are refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from kvision import checks
from kvision.distribute import inputs
from kvision.raw_pixels import RawPixels
from kvision.training.feed import Feed
from kvision.training.objective import Objective

__all__ = ["look", "takes_raw_pixels"]


def look(model: keras.Model, batches: Feed, argument: str) -> None:
    """Lets a feed look at the images of every batch, where `model` takes raw pixels and they are not uint8.

    The feed raises `kvision.UserError` for images that are scaled or not finite. Other models take what they like.

    Args:
        model: Any Keras model.
        batches: Changed in place.
        argument: The name of the data as the caller wrote it.
    """
    if not takes_raw_pixels(model):
        return
    pixels = RawPixels(argument)
    if (source := getattr(batches, "source", None)) is not None:
        if _is_float(source.spec if source.read_spec is None else source.read_spec):
            batches.source = replace(source, read=_reading(source, pixels))
    elif (dataset := getattr(batches, "dataset", None)) is not None:
        if _is_float(batches.spec):
            batches.dataset = inputs.watched(dataset, _images, lambda images: _looked_at(images, pixels, batches))
    elif isinstance(batches.data, keras.utils.PyDataset):
        batches.data = _Looking(batches.data, pixels, batches)
    elif type(batches.data).__name__ == "generator":
        batches.data = (_looked_at(batch, pixels, batches) for batch in batches.data)


def takes_raw_pixels(model: Any) -> bool:
    """Whether the first layer after a model's input is one of kvision's for pixels in [0, 255].

    Random image layers of Keras may stand before it, since they keep the range of values.
    """
    if (known := getattr(model, "takes_raw_pixels", None)) is not None:
        return known
    if isinstance(model, Objective):
        return takes_raw_pixels(model.encoder)
    if not isinstance(model, keras.Model):
        backbone = getattr(model, "backbone", None)  # of `kvision.layers.Body`
        return backbone is not None and takes_raw_pixels(backbone)
    if isinstance(model, keras.Sequential):
        first = next((layer for layer in model.layers if not _keeps_range(layer)), None)
        return first is not None and takes_raw_pixels(first)
    return bool(getattr(model, "inputs", None)) and _reaches(model, keras.tree.flatten(model.inputs))


def _reaches(model: keras.Model, tensors: list) -> bool:
    """Whether what `tensors` go into takes raw pixels."""
    known = {id(tensor) for tensor in tensors}
    nodes = [(layer, node) for layer in model.layers for node in layer._inbound_nodes]
    return any(
        _reaches(model, node.outputs) if _keeps_range(layer) else takes_raw_pixels(layer)
        for layer, node in nodes
        if known & {id(tensor) for tensor in node.input_tensors}
    )


def _keeps_range(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.Sequential):
        return all(map(_keeps_range, layer.layers))
    return "image_preprocessing" in type(layer).__module__


def _images(batch: Any) -> Any:
    """The images of a batch (x, y, ...), or of one with names."""
    x = batch[0] if isinstance(batch, tuple | list) else batch
    return x.get("image") if isinstance(x, dict) else x


def _is_float(spec: Any) -> bool:
    images = _images(spec)
    return images is not None and hasattr(images, "dtype") and keras.backend.standardize_dtype(images.dtype) != "uint8"


def _reading(source, pixels: RawPixels) -> Callable:
    def read(rows: np.ndarray) -> Any:
        batch = source.read(rows)
        pixels(np.asarray(_images(batch)), rows % source.count)  # a fresh source counts on from epoch to epoch
        return batch

    return read


def _looked_at(batch: Any, pixels: RawPixels, batches: Feed) -> Any:
    images = _images(batch)
    if images is not None:
        try:
            pixels(keras.ops.convert_to_numpy(images))
        except checks.UserError as failure:
            batches.failure = batches.failure or failure  # TensorFlow only quotes it
            raise
    return batch


class _Looking(keras.utils.PyDataset):
    def __init__(self, data: keras.utils.PyDataset, pixels: RawPixels, batches: Feed):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.data, self.pixels, self.batches = data, pixels, batches

    @property
    def num_batches(self) -> int | None:
        return self.data.num_batches

    def __getitem__(self, index: int) -> Any:
        return _looked_at(self.data[index], self.pixels, self.batches)

    def on_epoch_end(self) -> None:
        self.data.on_epoch_end()
