"""Seconds of `dense_crf` beside pydensecrf2 on images of 500 x 375 pixels with 21 classes, and labels beside `exact`.

Run: pip install -e ".[crf]" && python tests/benchmarks/bench_crf.py [--rounds 3] [--camvid FOLDER]. pydensecrf2 needs a
C++ compiler. It keeps the self term, so its labels are not compared. With CamVid, the labels of the lattice are
compared with those of the exact form on crops of 40 x 30 pixels. Their probabilities are blurred masks with noise.
"""

import argparse
import time

import kvision as kv  # before TensorFlow, which reads the environment that it sets

# isort: split
import numpy as np
from pydensecrf import densecrf  # pyright: ignore[reportMissingImports]
from scipy.ndimage import gaussian_filter

HEIGHT, WIDTH, CLASSES = 375, 500, 21
DIAGONAL = 625
PARAMETERS = kv.segmentation.CRFParameters(10, 80 / DIAGONAL, 13, 3, 3 / DIAGONAL, iterations=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--camvid", metavar="FOLDER")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    probabilities = made_probabilities(random)
    kv.segmentation.dense_crf(probabilities[:9, :9], np.zeros((9, 9, 3), "uint8"), PARAMETERS)  # starts TensorFlow
    for name, image in {
        "smooth": smooth(random),
        "noise": random.integers(0, 256, (HEIGHT, WIDTH, 3), "uint8"),
    }.items():
        seconds = np.zeros((arguments.rounds, 2))
        for row in seconds:
            row[:] = (
                timed(peer, probabilities, image),
                timed(kv.segmentation.dense_crf, probabilities, image, PARAMETERS),
            )
        theirs, ours = np.median(seconds, axis=0)
        print(f"{name}: pydensecrf2 {theirs:.2f} s, dense_crf {ours:.2f} s, {ours / theirs:.1f} times", flush=True)
    if arguments.camvid:
        compare(arguments.camvid)


def smooth(random) -> np.ndarray:
    planes = np.stack([gaussian_filter(random.normal(size=(HEIGHT, WIDTH)), 25) for _ in range(3)], axis=-1)
    return ((planes - planes.min()) / np.ptp(planes) * 255).astype("uint8")


def made_probabilities(random) -> np.ndarray:
    planes = [gaussian_filter(random.normal(size=(HEIGHT, WIDTH)), 12) * 60 for _ in range(CLASSES)]
    scores = np.exp(np.stack(planes, axis=-1))
    return (scores / scores.sum(axis=-1, keepdims=True)).astype("float32")


def timed(function, *arguments) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def peer(probabilities: np.ndarray, image: np.ndarray) -> np.ndarray:
    model = densecrf.DenseCRF2D(WIDTH, HEIGHT, CLASSES)
    unary = -np.log(np.maximum(probabilities, 1e-8)).reshape(-1, CLASSES).T
    model.setUnaryEnergy(np.ascontiguousarray(unary, "float32"))
    model.addPairwiseGaussian(sxy=3, compat=3)
    model.addPairwiseBilateral(sxy=80, srgb=13, rgbim=np.ascontiguousarray(image), compat=10)
    return np.array(model.inference(PARAMETERS.iterations))


def compare(folder: str, crops: int = 40) -> None:
    """Prints the share of equal labels for three sets of parameters."""
    images = kv.data.from_masks(folder, kv.data.label_map("camvid"), progress=False)
    for parameters in (
        PARAMETERS,
        kv.segmentation.CRFParameters(4, 0.078, 5, 3, 0.0048),
        kv.segmentation.CRFParameters(10, 1.6, 13, 3, 0.06),  # 80 and 3 pixels in a crop
    ):
        random, same, kept = np.random.default_rng(0), [], []
        for index in random.integers(0, len(images), crops):
            probabilities, image = coarse(images, index, random)
            exact, near = (
                kv.segmentation.dense_crf(probabilities, image, parameters, form=form).argmax(axis=2)
                for form in ("exact", "lattice")
            )
            same.append(np.mean(exact == near))
            kept.append(np.mean(exact == probabilities.argmax(axis=2)))
        print(f"{parameters}\n  labels equal to the exact form {np.mean(same):.2%}, to no CRF {np.mean(kept):.2%}")


def coarse(images, index: int, random) -> tuple[np.ndarray, np.ndarray]:
    image, labels = images.example(index)
    top, left = random.integers(0, labels.shape[0] - 30), random.integers(0, labels.shape[1] - 40)
    image, labels = (each[top : top + 30, left : left + 40] for each in (image, labels))
    classes = range(len(images.class_names))
    planes = np.stack([gaussian_filter((labels == label).astype(float), 4) for label in classes], axis=-1)
    noise = np.stack([gaussian_filter(random.normal(size=(30, 40)), 3) * 5 for _ in classes], axis=-1)
    scores = (0.8 * planes + 0.02) * np.exp(noise + random.normal(0, 0.2, planes.shape))
    return (scores / scores.sum(axis=-1, keepdims=True)).astype("float32"), image


if __name__ == "__main__":
    main()
