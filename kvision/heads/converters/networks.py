"""The multi-layer perceptron of scikit-learn becomes Dense layers."""

from sklearn.neural_network import MLPClassifier

from kvision.heads.converters.contract import Converter, Layers, dense
from kvision.layers import Decision

__all__ = ["CONVERTERS"]

_ACTIVATIONS = {"identity": None, "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


def _perceptron(estimator: MLPClassifier) -> Layers:
    activations = [_ACTIVATIONS[estimator.activation]] * (len(estimator.coefs_) - 1) + [None]
    layers = zip(estimator.coefs_, estimator.intercepts_, activations, strict=True)
    return [*(dense(kernel, bias, activation) for kernel, bias, activation in layers), Decision("softmax")]


CONVERTERS: dict[type, Converter] = {MLPClassifier: _perceptron}
