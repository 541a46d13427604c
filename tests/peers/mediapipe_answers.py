"""What MediaPipe Tasks answer, for a Python that has mediapipe and not kvision.

Run: python mediapipe_answers.py classifier|segmenter MODEL.tflite FOLDER_OF_PNG OUT.npz
"""

# pyright: reportMissingImports=false

import sys
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def classified(task, image) -> np.ndarray:
    (head,) = task.classify(image).classifications
    by_index = sorted(head.categories, key=lambda category: category.index)
    names.append([category.category_name for category in by_index])
    return np.array([category.score for category in by_index])


def segmented(task, image) -> np.ndarray:
    names.append(list(task.labels))
    return np.stack([np.squeeze(mask.numpy_view()) for mask in task.segment(image).confidence_masks], axis=-1)


kind, model, folder, out = sys.argv[1:]
base, names = BaseOptions(model_asset_path=model), []
if kind == "classifier":
    task, ask = vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base_options=base)), classified
else:
    task, ask = vision.ImageSegmenter.create_from_options(vision.ImageSegmenterOptions(base_options=base)), segmented
with task:
    found = {
        path.stem: ask(task, mediapipe.Image.create_from_file(str(path))) for path in sorted(Path(folder).iterdir())
    }
np.savez(out, names=np.array(names), **found)
