"""Weights as of a trained network, so that a comparison shows something: random ones that keep signals alive."""

import keras
import numpy as np


def trained_like(model: keras.Model, seed: int = 0) -> keras.Model:
    """Every weight anew: kernels that keep the size of what passes, scales around 1, everything else not 0.

    Variances are positive, LayerScale is near 1 (it begins at 1e-6, where a ConvNeXt does nothing).
    """
    random = np.random.default_rng(seed)
    for weight in model.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if "kernel" in kind:
            fan = shape[0] * shape[1] * (1 if "depthwise" in kind else shape[2]) if len(shape) == 4 else shape[0]
            weight.assign(random.normal(size=shape) * (2 / fan) ** 0.5)
        elif kind in ("gamma", "moving_variance") or (len(shape) == 1 and "layer_scale" in weight.path):
            weight.assign(random.uniform(0.7, 1.3, shape))
        elif np.issubdtype(np.dtype(weight.dtype), np.floating):
            weight.assign(random.normal(size=shape) * 0.1)
    return model
