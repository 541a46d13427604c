"""What a command sets up in its process before it uses Keras: backend, seed and devices."""

import importlib
import logging
import os
import platform

from kvision import checks
from kvision.quiet import quiet
from kvision.runs.settings import Settings

__all__ = ["device", "start"]


def start(config: Settings, *, exports: bool = True) -> None:
    """Checks the backend, sets the seed, and joins the other machines of the strategy.

    Args:
        config: The command's settings.
        exports: Whether the command exports models, which only TensorFlow can. Others run on JAX and PyTorch too.

    Raises:
        kvision.UserError: If the backend cannot do what the command asks for.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # several networks in a process are traced each, as meant
    with quiet():
        import keras

    backend = keras.backend.backend()
    if backend != "tensorflow" and (exports or config.deterministic):
        raise checks.error(
            "KERAS_BACKEND",
            problem="cannot export" if exports else "does not support --deterministic",
            expected="tensorflow for this command (the parts of kvision run on the others too)",
            received=backend,
        )
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    from kvision import distribute

    distribute.pick_strategy(config.strategy)  # machines must meet before TensorFlow is used


def device() -> str:
    """Returns what this process runs on, for reports."""
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
            torch = importlib.import_module("torch")  # whoever chose this backend has it
            return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
