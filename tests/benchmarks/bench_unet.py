"""Our U-Net against that of segmentation_models.pytorch on the same encoder: images a second, forward and in training.

Run: python tests/benchmarks/bench_unet.py TORCH/bin/python [--encoder EfficientNetLite0] [--rounds 5]
     (TORCH: see torch_unet.py; all layers train, batch statistics too; a quiet machine, about 5 minutes)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import keras
import numpy as np
import tensorflow as tf

CLASSES = 11
ENCODERS = {
    "EfficientNetLite0": "timm-tf_efficientnet_lite0",
    "EfficientNetB0": "efficientnet-b0",
    "MobileNetV2": "mobilenet_v2",
    "ResNet50": "resnet50",
}


class Peer:
    """A process that computes when it is told to."""

    def __init__(self, python: str, encoder: str, path: Path):
        command = [python, str(Path(__file__).with_name("torch_unet.py")), encoder, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.parameters = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def seconds(self, what: str, steps: int) -> float:
        assert self.process.stdin is not None
        print(what, steps, file=self.process.stdin, flush=True)
        return float(self._line())


class Ours:
    def __init__(self, encoder: str, images: np.ndarray, labels: np.ndarray):
        keras.utils.set_random_seed(0)
        self.images, self.labels = tf.constant(images, "float32"), tf.constant(labels)
        self.model = kv.decoders.unet(kv.backbones.create(encoder, image_size=images.shape[1]), CLASSES)
        self.parameters = self.model.count_params()
        kv.schedules.freeze(self.model, above="all", norm="train")
        self.model.compile(kv.training.Adam(1e-3), kv.losses.PixelLoss())
        self.forward = tf.function(lambda images: self.model(images, training=False))

    def seconds(self, what: str, steps: int) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            if what == "forward":
                self.forward(self.images)
            else:
                self.model.train_on_batch(self.images, self.labels)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="of an environment with torch and segmentation_models_pytorch")
    parser.add_argument("--encoder", choices=ENCODERS, default="EfficientNetLite0")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4, help="of training in a round; twice as many forward")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (arguments.batch, arguments.size, arguments.size, 3), dtype="uint8")
    labels = random.integers(0, CLASSES, images.shape[:3])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npz"
        np.savez(path, images=images, labels=labels, classes=CLASSES)
        sides = {"kvision": Ours(arguments.encoder, images, labels)}
        sides["peer"] = Peer(arguments.python, ENCODERS[arguments.encoder], path)
    print({name: f"{side.parameters / 1e6:.2f} million parameters" for name, side in sides.items()}, flush=True)
    for what, steps in {"forward": 2 * arguments.steps, "train": arguments.steps}.items():
        for side in sides.values():
            side.seconds(what, 2)
        rounds = []
        for _ in range(arguments.rounds):  # interleaved: whatever else the machine does, it does to both
            rates = [steps * arguments.batch / side.seconds(what, steps) for side in sides.values()]
            rounds.append((rates[0] / rates[1], *rates))
        ratio, ours, theirs = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(
            f"{what}: {ratio:.2f} ({min(rounds)[0]:.2f} to {max(rounds)[0]:.2f}) of the peer's rate; "
            f"{ours:.1f} against {theirs:.1f} images a second",
            flush=True,
        )


if __name__ == "__main__":
    main()
