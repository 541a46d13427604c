"""Switches off operations of TensorFlow that are very slow on some CPUs."""

from pathlib import Path

__all__ = ["is_slow", "switch_off_if_slow"]

_CPU = Path("/proc/cpuinfo")  # exists on Linux


def is_slow(cpu: str) -> bool:
    """Returns whether fused convolutions are very slow on a CPU.

    Args:
        cpu: The text of `/proc/cpuinfo`.
    """
    flags = {flag for line in cpu.splitlines() if line.startswith("flags") for flag in line.split()}
    return "avx2" in flags and "avx512f" not in flags


def switch_off_if_slow() -> None:
    """Keeps TensorFlow from fusing convolutions with what follows them, if this CPU runs the fused operation slowly.

    On CPUs with AVX2 and without AVX-512, oneDNN runs the fused operation very slowly for a single image:
    EfficientNet-Lite0 took 4.0 s instead of 0.15 s for 480 x 360 pixels. Training steps take equally long without
    fusion. On CPUs with AVX-512, fusion saves a tenth to a third of the time, so it stays on.
    """
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU") and _CPU.is_file() and is_slow(_CPU.read_text()):
        tf.config.optimizer.set_experimental_options({"remapping": False})
