"""Selects the layers that train, and sets how their normalization behaves."""

from collections import Counter
from collections.abc import Iterator, Sequence

import keras

from kvision import backbones, checks
from kvision.layers import Body
from kvision.layers.body import NORMS

__all__ = ["body_of", "freeze", "leaves", "require_unique"]


def freeze(model: keras.Model, *, above: str | float = "top", norm: str = "frozen") -> list[keras.Variable]:
    """Makes a part of a model trainable, from some layer up to the head, and freezes the rest.

    Call `compile` afterwards, because a function that Keras has already traced ignores the change.

    Args:
        model: A model of `kv.transfer.attach`.
        above: The lowest part that trains. `"top"` trains the head alone. `"all"` trains everything. The name of a
            stage of the backbone (`"stage1"`, `"stage2"` ..., see `kv.backbones.stages`) or of a layer of the backbone
            trains from there up. A number in [0, 1] is a share of the backbone's layers with weights: this share
            trains, counted from the head.
        norm: The behavior of BatchNormalization in the part that trains. In the frozen part BatchNormalization is
            fixed.

            | norm | statistics | gamma, beta | dropout in the backbone |
            |---|---|---|---|
            | "frozen" | fixed | fixed | off |
            | "stats" | fixed | train | off |
            | "train" | move | train | on (in the frozen part too) |

    Returns:
        The variables that train now.

    Raises:
        UserError: If the model was not made by `kv.transfer.attach`, or `above` or `norm` is not known.

    Example:
        >>> model = kv.transfer.attach(kv.backbones.create("ResNet20", image_size=32, pooling="avg"), 3)
        >>> variables = kv.schedules.freeze(model, above="top")
        >>> [variable.path for variable in variables]
        ['probabilities/kernel', 'probabilities/bias']
    """
    checks.one_of("norm", norm, NORMS)
    body = body_of(model)
    layers = list(leaves(body.backbone))
    start = _start(body.backbone, above, layers)
    for layer in model.layers:
        layer.trainable = True
    for i, layer in enumerate(layers):
        for inner in layer._flatten_layers():  # the layer itself, and the layers inside a custom layer of the user
            fixed = norm == "frozen" and isinstance(inner, keras.layers.BatchNormalization)
            inner.trainable = i >= start and not fixed
    body.norm = norm if start < len(layers) else "frozen"
    return model.trainable_variables


def body_of(model: keras.Model) -> Body:
    """Returns the layer that holds the backbone in a model of `kv.transfer.attach`.

    Args:
        model: The model.

    Returns:
        The layer.

    Raises:
        UserError: If the model has no such layer, or several of them.
    """
    bodies = [layer for layer in model.layers if isinstance(layer, Body)]
    if len(bodies) != 1:
        raise checks.UserError(
            "model",
            problem=f"holds {len(bodies)} backbones that can be frozen",
            expected="a model made by kv.transfer.attach(backbone, head)",
            received=model.name,
        )
    return bodies[0]


def leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model and of the models inside it, in the order in which the data passes them."""
    for inner in layer.layers:
        if isinstance(inner, keras.Model):
            yield from leaves(inner)
        else:
            yield inner


def require_unique(names: Sequence[str], *, argument: str, instead: str) -> None:
    """Raises if two layers of a backbone have the same name, because the start of a stage is then ambiguous."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise checks.UserError(
            argument,
            problem="cannot name a stage of this backbone",
            expected="layers with different names, also in models inside the backbone",
            received=f"several layers called '{twice}'",
            hint=f"Rename them, or {instead}",
        )


def _start(backbone: keras.Model, above: str | float, layers: Sequence[keras.layers.Layer]) -> int:
    if not isinstance(above, str):
        if isinstance(above, bool) or not 0 <= above <= 1:
            raise checks.UserError("above", expected="a number in [0, 1], or a name", received=above)
        weighted = [i for i, layer in enumerate(layers) if layer.weights]
        count = round(above * len(weighted))
        return weighted[-count] if count else len(layers)
    if above in ("top", "all"):
        return len(layers) if above == "top" else 0
    starts, names = backbones.stages(backbone), [layer.name for layer in layers]
    require_unique(names, argument="above", instead="freeze by share (above=0.3)")
    if above in names:
        return names.index(above)
    checks.one_of("above", above, ("top", *starts, "all"), problem=f"names no stage or layer of '{backbone.name}'")
    return names.index(starts[above])
