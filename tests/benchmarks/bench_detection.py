"""Suppression of double detections against OpenCV, and the time that an exported detector takes for a photograph.

Run: python tests/benchmarks/bench_detection.py nms                     (2,000 boxes of 20 classes; a minute)
     python tests/benchmarks/bench_detection.py exported MODEL IMAGE    (`kvision rcnn` exported the MODEL; a minute)
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
import sys
import time
from pathlib import Path

import numpy as np

import kvision as kv  # before TensorFlow, which reads the environment that it sets
from kvision.tasks.opened import open_model

# isort: split
import cv2
import tensorflow as tf

BOXES, CLASSES, IOU, ROUNDS = 2000, 20, 0.3, 7


def seconds(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def nms() -> None:
    random = np.random.default_rng(0)
    corner, sides = random.uniform(0, 600, (BOXES, 2)), random.uniform(8, 200, (BOXES, 2))
    boxes = np.concatenate([corner, corner + sides], 1).astype("float32")
    scores = random.uniform(0, 1, (BOXES, CLASSES)).astype("float32")
    corners_and_sides = np.concatenate([corner[:, ::-1], sides[:, ::-1]], 1).tolist()
    lists = scores.T.tolist()  # OpenCV converts arrays more slowly
    given = tf.constant(boxes), tf.constant(scores)  # as inputs, because TensorFlow would compute constants once
    graph = tf.function(lambda boxes, scores: kv.detection.nms(boxes, scores, iou=IOU))

    def opencv() -> list:
        return [cv2.dnn.NMSBoxes(corners_and_sides, one, 0.0, IOU) for one in lists]

    kept = np.asarray(graph(*given))
    same = np.mean([set(np.flatnonzero(kept[:, i])) == set(found) for i, found in enumerate(opencv())])
    pairs = [(seconds(lambda: graph(*given).numpy()), seconds(opencv)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"nms of {BOXES} boxes x {CLASSES} classes: {1000 * ours:.0f} ms, OpenCV {1000 * theirs:.0f} ms, "
        f"ratio {statistics.median(a / b for a, b in pairs):.2f}; same boxes in {same:.0%} of the classes"
    )


def exported(model: str, image: str) -> None:
    content, answers = Path(image).read_bytes(), {}
    for engine in ("tflite", "tensorflow"):
        opened = open_model(Path(model), engine=engine)
        started = time.perf_counter()
        (answers[engine],) = opened.answers([content])
        first = time.perf_counter() - started
        taken = [seconds(lambda opened=opened: list(opened.answers([content]))) for _ in range(ROUNDS)]
        print(f"{engine}: {statistics.median(taken):.3f} s ({min(taken):.3f} to {max(taken):.3f}), first {first:.2f} s")
    print("objects:", {engine: len(answer.row["objects"]) for engine, answer in answers.items()})


if __name__ == "__main__":
    {"nms": nms, "exported": exported}[sys.argv[1]](*sys.argv[2:])
