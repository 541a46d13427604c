"""Which layers train, and what their normalization does."""

from collections.abc import Iterator

import keras

from kvision import backbones, checks
from kvision.layers import Body
from kvision.layers.body import NORMS

__all__ = ["freeze"]


def freeze(model: keras.Model, *, above: str = "top", norm: str = "frozen") -> list[keras.Variable]:
    """Lets `above` and everything after it train, freezes the rest; -> the variables that train now.

    model: of `kv.transfer.attach`. above: "top" (the head alone), a stage of the backbone ("stage1",
    "stage2" ..., as `kv.backbones.stages` names them) or "all". norm: what BatchNormalization does in the part that
    trains (in the frozen part it is fixed):

    | norm | statistics | gamma, beta | dropout in the backbone |
    |---|---|---|---|
    | "frozen" | fixed | fixed | off |
    | "stats" | fixed | train | off |
    | "train" | move | train | on (in the frozen part too) |

    Call `compile` afterwards: Keras ignores the change in a function that it has traced already.
    """
    checks.one_of("norm", norm, NORMS)
    body = _body(model)
    layers = list(_leaves(body.backbone))
    start = _start(body.backbone, above, layers)
    for layer in model.layers:
        layer.trainable = True
    for i, layer in enumerate(layers):
        fixed = norm == "frozen" and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = i >= start and not fixed
    body.norm = norm if start < len(layers) else "frozen"
    return model.trainable_variables


def _body(model: keras.Model) -> Body:
    bodies = [layer for layer in model.layers if isinstance(layer, Body)]
    if len(bodies) != 1:
        raise checks.error(
            "model",
            problem=f"has {len(bodies)} bodies to freeze",
            expected="a model made by kv.transfer.attach(backbone, head)",
            received=model.name,
        )
    return bodies[0]


def _leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """The layers inside, in the order of the data; a model inside a model is opened."""
    for inner in layer.layers:
        if isinstance(inner, keras.Model):
            yield from _leaves(inner)
        else:
            yield inner


def _start(backbone: keras.Model, above: str, layers: list) -> int:
    if above in ("top", "all"):
        return len(layers) if above == "top" else 0
    if backbone.name not in backbones.available():
        checks.one_of("above", above, ("top", "all"), problem=f"names no stage of '{backbone.name}'")
    starts = backbones.stages(backbone)
    names = ("top", *starts, "all")
    checks.one_of("above", above, names, problem=f"names no stage of '{backbone.name}'")
    return next(i for i, layer in enumerate(layers) if layer.name == starts[above])
