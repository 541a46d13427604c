"""Checks images on their way to a model that takes raw pixels: scaled images, NaN and infinity raise an error."""

from typing import Any

import keras

from kvision.raw_pixels import RawPixels
from kvision.training.feed import Feed
from kvision.training.objective import Objective

__all__ = ["look", "takes_raw_pixels"]


def look(model: keras.Model, batches: Feed, argument: str) -> None:
    """Makes a feed check the images of every batch, if `model` takes raw pixels and the images are not uint8.

    The feed raises `UserError` for images that are scaled or not finite. For a model that does not take raw pixels,
    nothing is checked.

    Args:
        model: Any Keras model.
        batches: The feed. It is changed in place.
        argument: The name of the data as the caller wrote it.
    """
    spec = getattr(batches.data, "read_spec", None) or batches.spec
    if takes_raw_pixels(model) and (spec is None or _is_float(spec)):
        batches.watch(_images, RawPixels(argument))


def takes_raw_pixels(model: Any) -> bool:
    """Returns whether the first layer after a model's input is a kvision layer for pixels in [0, 255].

    Keras' random image layers may come before this kvision layer, because they keep the range of values.
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
    """Returns whether the layers that get `tensors` take raw pixels."""
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
    """Returns the images of a batch, either a tuple (x, y, ...) or a dict with names."""
    x = batch[0] if isinstance(batch, tuple | list) else batch
    return x.get("image") if isinstance(x, dict) else x


def _is_float(spec: Any) -> bool:
    images = _images(spec)
    return images is not None and hasattr(images, "dtype") and keras.backend.standardize_dtype(images.dtype) != "uint8"
