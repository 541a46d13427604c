"""Models with one image as input and one tensor as output, possibly inside a list or a dict."""

import keras

from kvision import checks

__all__ = ["single"]


def single(model: keras.Model, *, argument: str = "backbone") -> keras.Model:
    """Returns a model that takes and returns plain tensors instead of lists or dicts with one tensor.

    Args:
        model: A functional or Sequential model with one input and one output, such as `keras.Model(x, [y])`.
        argument: Name of the model in messages.

    Returns:
        `model` itself if its input and output are plain tensors, else a new model of the same layers.

    Raises:
        UserError: If the model has several inputs or outputs, or if the shape of its input is unknown. Examples are a
            subclass of `keras.Model`, and a Sequential model without an input.
    """
    # A Sequential model has its structures only in `_functional`.
    written = getattr(model, "_functional", None) or model
    try:
        inputs, outputs, plain = written.inputs, written.outputs, not _nested(written.input, written.output)
    except (AttributeError, ValueError):
        raise checks.UserError(
            argument,
            problem="does not tell the shape of its input",
            expected="a functional or Sequential model that begins with keras.Input",
            received=model,
            hint='Wrap it: image = keras.Input((224, 224, 3), name="image"); keras.Model(image, model(image))',
        ) from None
    if not inputs or len(inputs) != 1 or len(outputs) != 1:
        raise checks.UserError(
            argument,
            expected="a model with one input and one output",
            received=f"{model.name}, with {len(inputs)} inputs and {len(outputs)} outputs",
            hint="Pick one: keras.Model(model.inputs[0], model.outputs[0])",
        )
    return model if plain else keras.Model(inputs[0], outputs[0], name=model.name)


def _nested(*structures) -> bool:
    return any(keras.tree.is_nested(structure) for structure in structures)
