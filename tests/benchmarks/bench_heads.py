"""Graph heads against scikit-learn on the features of CIFAR test images: agreement, and the KNN layer's speed.

Run: python tests/benchmarks/bench_heads.py ../shared/data/cifar10_subset.npz [--per-class 200]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import keras
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kvision.export import litert


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, default=200)
    parser.add_argument("--cache", default=None)
    arguments = parser.parse_args()
    data = kv.data.load_npz(arguments.data)
    backbone = kv.backbones.create("EfficientNetLite0", weights="imagenet", pooling="avg")
    chosen = kv.data.sample(data.y_train, arguments.per_class, seed=0)
    x, y = [
        kv.features.embed(backbone, kv.data.from_arrays(images, image_size=224), cache=arguments.cache)
        for images in (data.x_train[chosen], data.x_test)
    ]
    labels = data.y_train[chosen]
    agreement(x, labels, y)
    speed()


def agreement(x: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> None:
    pairs = {
        "knn": (kv.heads.KNNHead(5), KNeighborsClassifier(5, algorithm="brute")),
        "forest": (kv.heads.ForestHead(), RandomForestClassifier(300, random_state=0, n_jobs=-1)),
        "logistic": (
            kv.heads.LogisticHead(1e-2),
            make_pipeline(StandardScaler(), LogisticRegression(C=1e-2, max_iter=1000)),
        ),
    }
    for name, (head, reference) in pairs.items():
        with threadpool_limits(1, user_api="blas"):  # as LogisticHead: other sums lead L-BFGS to another end
            expected = reference.fit(x, labels).predict_proba(queries)
        clear = np.ones(len(queries), bool)
        if name == "knn":  # a query whose k-th and k+1-th neighbours are equally near has two right answers
            near, _ = reference.kneighbors(queries, 6)
            clear = (near[:, 5] - near[:, 4]) / near[:, 4] >= 1e-5
        features = keras.Input((x.shape[1],), name="features")
        model = keras.Model(features, head.fit(x, labels).to_layer()(features))
        with tempfile.TemporaryDirectory() as folder:
            model.export(Path(folder, "saved"), verbose=False)
            saved = np.asarray(keras.layers.TFSMLayer(Path(folder, "saved"), call_endpoint="serve")(queries))
        answers = {"Keras": model.predict(queries, verbose=0), "SavedModel": saved, "TFLite": _tflite(model, queries)}
        for where, probabilities in answers.items():
            error = np.abs(probabilities - expected)[clear].max()
            same = (probabilities.argmax(1) == expected.argmax(1))[clear].mean()
            print(
                f"{name:<9}{where:<11} arg max {same:7.2%}   largest difference {error:.1e}   left out {(~clear).sum()}"
            )


def _tflite(model: keras.Model, queries: np.ndarray) -> np.ndarray:
    interpreter = litert.interpreter(litert.convert(model))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, queries.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, queries)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def speed(count: int = 10_000, width: int = 1280, batch: int = 256) -> None:
    random = np.random.default_rng(0)
    bank, queries = (random.normal(size=(n, width)).astype("float32") for n in (count, batch))
    targets = np.arange(count) % 10
    reference = KNeighborsClassifier(5, algorithm="brute").fit(bank, targets)
    features = keras.Input((width,), name="features")
    model = keras.Model(features, kv.heads.KNNHead(5).fit(bank, targets).to_layer()(features))
    ways = {"scikit-learn": lambda: reference.predict_proba(queries), "layer": lambda: model.predict_on_batch(queries)}
    times = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(7):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(", ".join(f"{name} {1000 * value:.0f} ms" for name, value in medians.items()), end="")
    print(
        f": the layer is {medians['scikit-learn'] / medians['layer']:.1f}x as fast ({count} x {width}, batch {batch})"
    )


if __name__ == "__main__":
    main()
