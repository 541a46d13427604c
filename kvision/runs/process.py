"""Prepares the process of a command before the command uses Keras: backend, seed and devices."""

import importlib
import logging
import os
import platform

from kvision import checks, fusion
from kvision.quiet import quiet
from kvision.runs.settings import Settings

__all__ = ["device", "start"]


def start(config: Settings, *, exports: bool = True) -> None:
    """Checks the backend, sets the seed, and connects to the other machines of the strategy.

    Args:
        config: The command's settings.
        exports: Whether the command exports models. An export needs TensorFlow. Commands that do not export run on JAX
            and PyTorch too.

    Raises:
        UserError: If the backend does not support an export, or determinism, and the command needs it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # TensorFlow warns when it traces several networks.
    with quiet():
        import keras

    backend = keras.backend.backend()
    if backend != "tensorflow" and (exports or config.deterministic):
        raise checks.UserError(
            "KERAS_BACKEND",
            problem="cannot export" if exports else "does not support --deterministic",
            expected="tensorflow for this command (the parts of kvision run on the others too)",
            received=backend,
        )
    keras.utils.set_random_seed(config.seed)
    if backend == "tensorflow":
        import tensorflow as tf

        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        fusion.switch_off_if_slow()
    from kvision import distribute

    distribute.pick_strategy(config.strategy)  # Machines must join before TensorFlow is used.


def device() -> str:
    """Returns the names of the GPUs, or the number of CPU cores, for reports."""
    return ", ".join(_gpus()) or f"{os.cpu_count()} CPU cores ({platform.machine()})"


def _gpus() -> list[str]:
    import keras

    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            found = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
            return [gpu.get("device_name", "GPU") for gpu in found]
        case "jax":
            import jax

            return [gpu.device_kind for gpu in jax.devices() if gpu.platform != "cpu"]
        case _:
            torch = importlib.import_module("torch")  # is always installed with this backend
            return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
