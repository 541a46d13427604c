"""Which layers train, and what their normalization does."""

from collections import Counter
from collections.abc import Iterator, Sequence

import keras

from kvision import backbones, checks
from kvision.layers import Body
from kvision.layers.body import NORMS

__all__ = ["body_of", "freeze", "leaves", "require_unique"]


def freeze(model: keras.Model, *, above: str | float = "top", norm: str = "frozen") -> list[keras.Variable]:
    """Lets `above` and everything after it train, freezes the rest; -> the variables that train now.

    model: of `kv.transfer.attach`. above: "top" (the head alone), a stage of the backbone ("stage1",
    "stage2" ..., as `kv.backbones.stages` names them), the name of one of its layers, "all", or a share in [0, 1]: that
    part of the backbone's layers with weights trains, counted from the head. norm: what BatchNormalization does in the
    part that trains (in the frozen part it is fixed):

    | norm | statistics | gamma, beta | dropout in the backbone |
    |---|---|---|---|
    | "frozen" | fixed | fixed | off |
    | "stats" | fixed | train | off |
    | "train" | move | train | on (in the frozen part too) |

    Call `compile` afterwards: Keras ignores the change in a function that it has traced already.
    """
    checks.one_of("norm", norm, NORMS)
    body = body_of(model)
    layers = list(leaves(body.backbone))
    start = _start(body.backbone, above, layers)
    for layer in model.layers:
        layer.trainable = True
    for i, layer in enumerate(layers):
        for inner in layer._flatten_layers():  # itself first; a layer of the user's own may hold others
            fixed = norm == "frozen" and isinstance(inner, keras.layers.BatchNormalization)
            inner.trainable = i >= start and not fixed
    body.norm = norm if start < len(layers) else "frozen"
    return model.trainable_variables


def body_of(model: keras.Model) -> Body:
    """The layer of `kv.transfer.attach` that holds the backbone; UserError for a model without it."""
    bodies = [layer for layer in model.layers if isinstance(layer, Body)]
    if len(bodies) != 1:
        raise checks.error(
            "model",
            problem=f"has {len(bodies)} bodies to freeze",
            expected="a model made by kv.transfer.attach(backbone, head)",
            received=model.name,
        )
    return bodies[0]


def leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The layers inside, in the order of the data; a model inside a model is opened."""
    for inner in layer.layers:
        if isinstance(inner, keras.Model):
            yield from leaves(inner)
        else:
            yield inner


def require_unique(names: Sequence[str]) -> None:
    """UserError if two layers of a backbone have one name: a stage that begins there would be the wrong one."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise checks.error(
            "above",
            problem="cannot name a stage of this backbone",
            expected="layers with names of their own, in models inside the backbone too",
            received=f"several layers called '{twice}'",
            hint="Rename them, or freeze by share (above=0.3)",
        )


def _start(backbone: keras.Model, above: str | float, layers: Sequence[keras.layers.Layer]) -> int:
    if not isinstance(above, str):
        if isinstance(above, bool) or not 0 <= above <= 1:
            raise checks.error("above", expected="a share in [0, 1], or a name", received=above)
        weighted = [i for i, layer in enumerate(layers) if layer.weights]
        count = round(above * len(weighted))
        return weighted[-count] if count else len(layers)
    if above in ("top", "all"):
        return len(layers) if above == "top" else 0
    starts, names = backbones.stages(backbone), [layer.name for layer in layers]
    require_unique(names)
    if above in names:
        return names.index(above)
    checks.one_of("above", above, ("top", *starts, "all"), problem=f"names no stage or layer of '{backbone.name}'")
    return names.index(starts[above])
