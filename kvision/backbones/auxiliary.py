"""Auxiliary classifiers: they help to train a deep network, and are left out when it serves."""

import keras

from kvision import checks

__all__ = ["inference"]


def inference(model: keras.Model) -> keras.Model:
    """`googlenet(...)` or `inception_v3(...)` -> the same with the output `main` alone, (B, classes), sharing weights.

    "At inference time, these auxiliary networks are discarded" (Szegedy et al. 2015, arXiv 1409.4842, section 5).
    UserError for a model without `main`.
    """
    if "main" not in [layer.name for layer in model.layers]:
        expected = "one of googlenet() or inception_v3()"
        raise checks.error("model", problem="has no output `main`", expected=expected, received=model.name)
    return keras.Model(model.inputs[0], model.get_layer("main").output, name=model.name)
