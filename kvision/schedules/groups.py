"""Rates that fall from the head towards the input: a factor for each variable."""

import itertools
import re
from collections.abc import Sequence

import keras

from kvision import backbones
from kvision.schedules.freeze import body_of, leaves, require_unique

__all__ = ["GROUPS", "rates"]

GROUPS = ("stage", "block")

# how the names of a block's layers begin: block2a_expand_conv, conv4_block23_1_conv, expanded_conv_3_project ...
_BLOCK = re.compile(r".*?(?:block|inception|expanded_conv)_?\d+[a-z]?(?=_)")
_FEWEST_BLOCKS = 4
_CHUNK = 12  # variables: what timm takes for a layer of a network whose blocks it does not know


def rates(model: keras.Model, decay: float, *, by: str = "stage") -> dict[int, float]:
    """{id of a variable: factor of its learning rate}: 1 in the head, `decay` in the group below it, `decay`^2 ...

    model: of `kv.transfer.attach`. by: "stage" (discriminative fine-tuning, Howard & Ruder 2018, arXiv 1801.06146,
    section 3.1) or "block" (layer-wise decay, Bao et al. 2022, arXiv 2106.08254, appendix: a transformer's block, a
    residual or inverted block). Networks whose layers' names tell no blocks are cut into 12 variables a group.
    """
    alike = dict.fromkeys((id(v) for v in model.variables), 1.0)
    if decay == 1:
        return alike
    body = body_of(model)
    layers = [layer for layer in leaves(body.backbone) if layer.weights]
    marks = _stages(body.backbone, layers) if by == "stage" else _blocks(layers)
    groups = [0]  # of each layer, counted from the input
    for before, mark in itertools.pairwise(marks):
        groups.append(groups[-1] + (mark != before))
    top = groups[-1] + 1
    last = [layer for layer, group in zip(layers, groups, strict=True) if group == groups[-1]]
    if by == "block" and all(_normalizes(layer) for layer in last):
        top -= 1  # the last normalization of a transformer goes with the head
    for layer, group in zip(layers, groups, strict=True):
        alike |= dict.fromkeys((id(v) for v in layer.variables), decay ** (top - group))
    return alike


def _stages(backbone: keras.Model, layers: Sequence[keras.layers.Layer]) -> list[str]:
    require_unique([layer.name for layer in leaves(backbone)])
    starts = {start: name for name, start in backbones.stages(backbone).items()}
    marks, current = {}, "stage1"
    for layer in leaves(backbone):  # a stage may begin with a layer without weights
        marks[layer.name] = current = starts.get(layer.name, current)
    return [marks[layer.name] for layer in layers]


def _normalizes(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.LayerNormalization | keras.layers.BatchNormalization)


def _blocks(layers: Sequence[keras.layers.Layer]) -> list[str]:
    marks = [match.group() if (match := _BLOCK.match(layer.name)) else "" for layer in layers]
    runs = [mark for mark, _ in itertools.groupby(marks) if mark]
    if len(runs) >= _FEWEST_BLOCKS and len(runs) == len(set(runs)):  # InceptionResNetV2 names parts of its blocks alone
        return marks
    chunks, seen = [], 0
    for layer in layers:
        chunks.append(str(seen // _CHUNK))
        seen += len(layer.weights)
    return chunks
