"""Networks of `kv.backbones.create`: training steps against PyTorch; what the fused normalization brings; the start.

Each figure is the median of rounds in which the ways take turns, each in a process of its own.

Run: python tests/benchmarks/bench_networks.py train TORCH/bin/python    (see torch_networks.py)
     python tests/benchmarks/bench_networks.py norm       training with the fused kernel against Keras' normalization
     python tests/benchmarks/bench_networks.py infer      the same in inference: Keras' predict, SavedModel, TFLite
     python tests/benchmarks/bench_networks.py start      seconds from a process' start to MobileNetV2's first step
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import kvision as kv  # before TensorFlow, which reads the environment that it sets

ROUNDS, STEPS, SIZE = 3, 4, 224
# network, batch, precision, PyTorch's rate that is to be reached
TRAINED = (
    ("ResNet50", 16, "float32", 1.25),
    ("MobileNetV2", 32, "float32", 1.8),
    ("EfficientNetLite0", 32, "float32", 1.5),
    ("ResNet50", 16, "bfloat16", 1.0),
)
INFERRED = (("EfficientNetLite0", 32), ("MobileNetV2", 32), ("ResNet50", 16))
OURS, THEIRS = "fused", "keras"


def network(name: str, norm: str, precision: str = "float32"):
    """A classifier on a backbone whose layers all train, statistics included, and one batch's labels."""
    import keras

    if norm == THEIRS:
        del kv.layers.BatchNormalization.call  # what it inherits
    keras.utils.set_random_seed(0)
    body = kv.backbones.create(name, image_size=SIZE, pooling="avg")
    model = kv.transfer.attach(body, 10)
    kv.training.mixed(model.get_layer("body"), "float32" if precision == "float32" else f"mixed_{precision}")
    kv.schedules.freeze(model, above="all", norm="train")
    model.compile(kv.training.SGD(1e-3, momentum=0.9), "sparse_categorical_crossentropy", jit_compile=False)
    return model


def images(batch: int):
    import numpy as np

    return np.random.default_rng(0).uniform(0, 255, (batch, SIZE, SIZE, 3)).astype("float32"), np.arange(batch) % 10


def rate(run: Callable[[], object], batch: int) -> float:
    """Images a second, without the first two runs."""
    times = []
    for _ in range(STEPS + 2):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return batch * STEPS / sum(times[2:])


def train(name: str, batch: str, precision: str, norm: str) -> float:
    model, (x, y) = network(name, norm, precision), images(int(batch))
    return rate(lambda: model.train_on_batch(x, y), int(batch))


def infer(name: str, batch: str, norm: str, way: str) -> float:

    model, (x, _) = network(name, norm), images(int(batch))
    if way == "predict":
        return rate(lambda: model.predict_on_batch(x), int(batch))
    if way == "tflite":
        from kvision.export import litert

        lite = litert.interpreter(litert.convert(model), threads=2)
        index = lite.get_input_details()[0]["index"]
        lite.resize_tensor_input(index, x.shape)
        lite.allocate_tensors()
        return rate(lambda: (lite.set_tensor(index, x), lite.invoke()), int(batch))
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        model.export(str(Path(folder) / "model"), verbose=False)
        loaded = tf.saved_model.load(str(Path(folder) / "model"))
        return rate(lambda: loaded.serve(x), int(batch))


def first_step(norm: str) -> float:
    model, data = network("MobileNetV2", norm), images(32)
    return kv.training.fit(model, data, epochs=1, batch_size=32, verbose=0).history["loss"][0]


def alone(*arguments: str) -> float:
    """What a process of its own prints last."""
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(arguments)}\n{result.stderr[-3000:]}")
    return float(result.stdout.split()[-1])


def compared(title: str, ways: dict[str, Callable[[], float]], note: str = "") -> None:
    """Prints the median of each way, and the median ratio of the first way to the second."""
    rounds = [{way: measure() for way, measure in ways.items()} for _ in range(ROUNDS)]
    first, second = ways
    ratios = sorted(each[first] / each[second] for each in rounds)
    medians = ", ".join(f"{way} {statistics.median(each[way] for each in rounds):.1f}" for way in ways)
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"{title}: {medians}; ratio {statistics.median(ratios):.2f} ({shown}){note}", flush=True)


def seconds(*arguments: str) -> float:
    started = time.perf_counter()
    alone(*arguments)
    return time.perf_counter() - started


def main(what: str, *arguments: str) -> None:
    me = (sys.executable, __file__)
    peer = str(Path(__file__).with_name("torch_networks.py"))
    for name, batch, precision, wanted in TRAINED if what in ("train", "norm") else ():
        ours = {OURS: lambda row=(name, str(batch), precision): alone(*me, "rate-train", *row, OURS)}
        if what == "train":
            row = (arguments[0], peer, name, str(batch), precision, str(STEPS))
            other = {"PyTorch": lambda row=row: alone(*row)}
        else:
            other = {THEIRS: lambda row=(name, str(batch), precision): alone(*me, "rate-train", *row, THEIRS)}
        note = f", wanted {wanted}" if what == "train" else ""
        compared(f"{name}, {precision}, batches of {batch}, images/s in training", ours | other, note)
    for name, batch in INFERRED if what == "infer" else ():
        for way in ("predict", "saved_model", "tflite"):
            ways = {
                norm: lambda row=(name, str(batch), norm, way): alone(*me, "rate-infer", *row)
                for norm in (OURS, THEIRS)
            }
            compared(f"{name}, batches of {batch}, images/s in {way}", ways)
    if what == "start":
        ways = {norm: lambda norm=norm: seconds(*me, "first-step", norm) for norm in (OURS, THEIRS)}
        compared("MobileNetV2, batch of 32, seconds from the start to the first step", ways, ", wanted <= 13 s")


if __name__ == "__main__":
    inner = {"rate-train": train, "rate-infer": infer, "first-step": first_step}
    if sys.argv[1] in inner:
        print(inner[sys.argv[1]](*sys.argv[2:]))
    else:
        main(*sys.argv[1:])
