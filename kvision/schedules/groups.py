"""Learning rates that fall from the head towards the input: a factor for each variable."""

import itertools
import re
from collections.abc import Sequence

import keras

from kvision import backbones
from kvision.schedules.freeze import body_of, leaves, require_unique

__all__ = ["GROUPS", "learning_rate_factors"]

GROUPS = ("stage", "block")

# Matches how layer names of a block begin: block2a_expand_conv, conv4_block23_1_conv, expanded_conv_3_project ...
_BLOCK = re.compile(r".*?(?:block|inception|expanded_conv)_?\d+[a-z]?(?=_)")
_FEWEST_BLOCKS = 4
_CHUNK = 12  # variables per group if the blocks of a network are unknown, as in timm


def learning_rate_factors(model: keras.Model, layer_decay: float, *, layers: str = "stage") -> dict[int, float]:
    """Returns the factor of the learning rate of each variable.

    The factor is 1 in the head, `layer_decay` in the group of layers below the head, `layer_decay`^2 in the next group,
    and so on down to the input. `kv.schedules.fit` applies these factors. Call this function to look at them.

    Args:
        model: A model of `kv.transfer.attach`.
        layer_decay: The factor from one group to the group below, in (0, 1].
        layers: The kind of group. With `"stage"` a group is a stage of the backbone. With `"block"` a group is a block
            of a transformer, or a residual or inverted block. If the layer names of a network do not show its blocks, a
            group has 12 variables.

    Returns:
        A dictionary from the `id` of each variable of the model to its factor.

    Example:
        >>> model = kv.transfer.attach(kv.backbones.create("ResNet20", image_size=32, pooling="avg"), 2)
        >>> factors = kv.schedules.learning_rate_factors(model, 0.5)
        >>> sorted(set(factors.values()), reverse=True)
        [1.0, 0.5, 0.25, 0.125]

    References:
        "stage": discriminative fine-tuning, Howard and Ruder 2018, arXiv 1801.06146, section 3.1. "block": layer-wise
        decay, Bao et al. 2022, arXiv 2106.08254, appendix.
    """
    factors = dict.fromkeys((id(variable) for variable in model.variables), 1.0)
    if layer_decay == 1:
        return factors
    body = body_of(model)
    weighted = [layer for layer in leaves(body.backbone) if layer.weights]
    marks = _stages(body.backbone, weighted) if layers == "stage" else _blocks(weighted)
    groups = [0]  # the group number of each layer, counted from the input
    for before, mark in itertools.pairwise(marks):
        groups.append(groups[-1] + (mark != before))
    top = groups[-1] + 1
    last = [layer for layer, group in zip(weighted, groups, strict=True) if group == groups[-1]]
    if layers == "block" and all(_normalizes(layer) for layer in last):
        top -= 1  # the last normalization of a transformer belongs to the head
    for layer, group in zip(weighted, groups, strict=True):
        factors |= dict.fromkeys((id(variable) for variable in layer.variables), layer_decay ** (top - group))
    return factors


def _stages(backbone: keras.Model, weighted: Sequence[keras.layers.Layer]) -> list[str]:
    """Returns the stage of each layer with weights. A stage may begin with a layer without weights."""
    names = [layer.name for layer in leaves(backbone)]
    require_unique(names, argument="layers", instead='take layers="block"')
    starts = {start: name for name, start in backbones.stages(backbone).items()}
    marks, current = {}, "stage1"
    for layer in leaves(backbone):
        marks[layer.name] = current = starts.get(layer.name, current)
    return [marks[layer.name] for layer in weighted]


def _normalizes(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.LayerNormalization | keras.layers.BatchNormalization)


def _blocks(weighted: Sequence[keras.layers.Layer]) -> list[str]:
    """Returns the block of each layer with weights, or the number of its chunk of 12 variables."""
    marks = [match.group() if (match := _BLOCK.match(layer.name)) else "" for layer in weighted]
    runs = [mark for mark, _ in itertools.groupby(marks) if mark]
    # In InceptionResNetV2 only some layers of a block have the block's name.
    if len(runs) >= _FEWEST_BLOCKS and len(runs) == len(set(runs)):
        return marks
    chunks, seen = [], 0
    for layer in weighted:
        chunks.append(str(seen // _CHUNK))
        seen += len(layer.weights)
    return chunks
