"""Fuses predicted edges into class probabilities, and chooses how strongly."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kvision import checks, data
from kvision.layers import EdgeFusion
from kvision.ops import diffuse
from kvision.pixels import pillow
from kvision.progress import Bar
from kvision.segmentation.evaluate import scores

__all__ = ["Fusion", "choose_fusion", "edge_map", "fuse_edges"]

_STEPS = (0, 1, 2, 3, 5, 10)
_POWERS = (1.0, 4.0)


@dataclass(frozen=True)
class Fusion:
    """Settings of `kv.layers.EdgeFusion`, with their scores on the images that they were chosen on.

    Attributes:
        steps: Number of steps. 0 if no fusion is better.
        power: Exponent of the conductance.
        table: The mean IoU and the boundary F1 for each pair (steps, power) that was tried.
    """

    steps: int
    power: float
    table: dict[tuple[int, float], tuple[float, float]]


def fuse_edges(model: keras.Model, *, steps: int = 10, power: float = 1.0) -> keras.Model:
    """Returns a network that gives class probabilities with sharp edges.

    Args:
        model: A model of `kv.decoders.with_edges`. The new model shares its weights.
        steps: Number of steps of the fusion, see `kv.layers.EdgeFusion`. 0 leaves out the fusion.
        power: Exponent of the conductance.

    Returns:
        A model from images `(batch, height, width, channels)` in [0, 255] of any size to probabilities
        `(batch, height, width, classes)`. `kv.export.write` exports it with `kv.tasks.Segmentation`.

    Raises:
        UserError: If the model predicts no edges, or an option is not valid.

    Example:
        >>> backbone = kv.backbones.plain_residual(8, classes=None)
        >>> model = kv.decoders.with_edges(kv.decoders.unet(backbone, classes=3, widths=(8, 4)))
        >>> kv.segmentation.fuse_edges(model).output_shape
        (None, None, None, 3)
    """
    _check(model)
    fused = EdgeFusion(steps, power=power, name="probabilities")(model.output)
    return keras.Model(model.input, fused, name=model.name)


def edge_map(model: keras.Model, image: np.ndarray, *, longest_side: int | None = None) -> np.ndarray:
    """Predicts the edge probability of each pixel of an image.

    Args:
        model: A model of `kv.decoders.with_edges`.
        image: `(height, width, 3)` uint8.
        longest_side: A larger image is made smaller to this longest side, see `kv.segmentation.predict`.

    Returns:
        `(h, w)` float32 in [0, 1], in the size of the image that the network got.

    Raises:
        UserError: If the model predicts no edges.
    """
    _check(model)
    return 1 / (1 + np.exp(-_outputs(model, image, longest_side)[0, ..., -1]))


def choose_fusion(
    model: keras.Model,
    images: "data.MaskedImages",
    *,
    steps: Sequence[int] = _STEPS,
    powers: Sequence[float] = _POWERS,
    progress: bool = True,
) -> Fusion:
    """Chooses the steps and the power of the fusion on images that are neither training nor test images.

    The largest sum of mean IoU and boundary F1 decides. If two settings are equal, the one with fewer steps is chosen.

    Args:
        model: A model of `kv.decoders.with_edges`.
        images: Images with masks.
        steps: Numbers of steps to try.
        powers: Exponents of the conductance to try.
        progress: Whether to show a progress bar.

    Returns:
        The best settings.

    Raises:
        UserError: If the model predicts no edges, or there is nothing to try.
    """
    _check(model)
    if not steps or not powers:
        raise checks.UserError("steps" if not steps else "powers", expected="one value or more", received=[])
    steps = sorted(set(steps))
    found: dict[tuple[int, float], list[np.ndarray]] = {(0, powers[0]): []} if 0 in steps else {}
    found |= {(count, power): [] for count in steps if count for power in powers}
    for i in Bar(range(len(images)), "choose fusion", unit=" images", disable=not progress):
        image = images.original(i)
        outputs = ops.convert_to_tensor(_outputs(model, image, images.longest_side))
        probabilities = ops.softmax(outputs[..., :-1], axis=-1)
        for power in powers:
            values, done = probabilities, 0
            edges = 1 - ops.sigmoid(-outputs[..., -1:]) ** power
            for count in steps:
                values, done = diffuse(values, edges, steps=count - done), count
                if (count, power) in found:
                    labels = pillow.largest(ops.convert_to_numpy(values)[0], image.shape[:2])
                    found[count, power].append(labels)
    masks, table = [images.mask(i) for i in range(len(images))], {}
    for setting, predicted in found.items():
        result = scores(masks, predicted, len(images.class_names))
        table[setting] = (result.confusion.mean_iou, result.mean_boundary_f1)
    best = max(table, key=lambda setting: np.nan_to_num(sum(table[setting])))
    return Fusion(*best, table=table)


def _outputs(model: keras.Model, image: np.ndarray, longest_side: int | None) -> np.ndarray:
    small = pillow.fit(np.asarray(image), longest_side)
    return np.asarray(ops.convert_to_numpy(model.predict_on_batch(small[None].astype("float32"))))


def _check(model: keras.Model) -> None:
    if "edge_logit" not in [layer.name for layer in model.layers]:
        raise checks.UserError("model", expected="a model of kv.decoders.with_edges", received=model.name)
