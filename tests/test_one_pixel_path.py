"""What a network saw in training is what it sees when it serves: folder, bytes, LiteRT and SavedModel give one answer.

And the documented commands on a folder in which good photographs lie among everything else.
"""

import hashlib
import json

import corpus
import keras
import numpy as np
import pytest
from PIL import Image
from processes import within
from sklearn.datasets import load_sample_images

import kvision as kv
from kvision import cli
from kvision.commands import predict as predict_command

SIZE = 96
ON_SMALL = ("--image-size", "64", "--backbone", "Small", "--weights", "none")
pytestmark = pytest.mark.usefixtures("in_the_zoo")


def photographs() -> dict[str, bytes]:
    """name -> bytes: 30 crops of two photographs in odd sizes, modes, orientations and formats."""
    random, found = np.random.default_rng(0), {}
    china, flower = (Image.fromarray(image) for image in load_sample_images().images)
    sizes = [
        (640, 427),
        (97, 400),
        (400, 97),
        (33, 35),
        (1500, 1000),
        (224, 224),
        (96, 96),
        (7, 300),
        (611, 89),
        (3, 3),
    ]
    modes = ["RGB", "L", "CMYK", "P", "RGBA", "1", "LA", "RGB", "RGB", "RGB"]
    formats = ["JPEG", "PNG", "JPEG", "GIF", "WEBP", "PNG", "PNG", "BMP", "WEBP", "JPEG"]
    for i in range(30):
        source, size, mode, kind = china if i % 2 else flower, sizes[i // 3], modes[i % 10], formats[i % 10]
        left, top = (int(random.integers(0, side // 2)) for side in source.size)
        crop = source.crop((left, top, left + source.width // 2, top + source.height // 2)).resize(size)
        options = {}
        if mode == "RGB" and kind != "BMP":
            exif = Image.Exif()
            exif[0x0112] = i % 8 + 1
            options["exif"] = exif
        if mode in ("RGBA", "LA"):
            crop.putalpha(Image.fromarray(random.integers(0, 256, size[::-1], dtype=np.uint8)))
        found[f"{i:02}.{kind.lower()}"] = corpus.encode(crop.convert(mode), kind, **options)
    return found


SAVED_MODEL = ("--engine", "tensorflow")


def predict(model, files, *engine) -> np.ndarray:
    result = within(predict_command.main, model, *files, "--json", *engine)
    assert result.returncode == 0, result.stderr
    return np.array([list(row["probabilities"].values()) for row in json.loads(result.stdout)])


def test_training_and_serving_see_the_same(tmp_path):
    import tensorflow as tf

    files = photographs()
    for i, (name, data) in enumerate(files.items()):
        (tmp_path / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "ab"[i % 2] / name).write_bytes(data)
    scan = kv.data.scan(tmp_path / "photos", progress=False)
    assert scan.bad == () and len(scan.paths) == 30
    images = kv.data.from_folder(scan, image_size=SIZE)
    keras.utils.set_random_seed(0)
    backbone = kv.backbones.create("Small", image_size=SIZE, pooling="avg")
    features = kv.features.embed(backbone, images, progress=False)
    head = kv.heads.LogisticHead(1e-2).fit(features, images.labels)
    model = kv.transfer.attach(backbone, head)
    # eagerly: a trace would take longer
    batches = [batch.astype("float32") for batch, *_ in images]
    seen = np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])
    assert 0.05 < np.median(seen[:, 0]) < 0.95  # probabilities that can move

    version = kv.export.write(model, tmp_path / "model", task=kv.tasks.Classification(["a", "b"]))
    paths = [tmp_path / "photos" / path for path in scan.paths]
    served = tf.saved_model.load(str(version)).signatures["serve_bytes"](
        image_bytes=tf.constant([path.read_bytes() for path in paths])
    )
    assert served["valid"].numpy().all()
    answers = {
        "serve_bytes": served["probabilities"].numpy(),
        "predict SavedModel": predict(version, paths, *SAVED_MODEL),
        "predict .tflite": predict(version, paths),
    }
    for name, answer in answers.items():
        np.testing.assert_allclose(answer, seen, atol=1e-2, err_msg=name)

    other = np.stack(
        [
            np.asarray(Image.fromarray(images.original(i)).resize((SIZE, SIZE), Image.Resampling.NEAREST))
            for i in range(30)
        ]
    )
    control = np.asarray(model(other.astype("float32"), training=False))
    assert np.abs(control - seen).max() > 5e-2, "the control: another resize is seen"


def test_a_folder_of_everything_trains_exports_and_serves(tmp_path):
    files = {}
    for label, image in zip(("china", "flower"), load_sample_images().images, strict=True):
        for i in range(12):
            crop = Image.fromarray(image).crop((20 * i, 10 * i, 20 * i + 300, 10 * i + 250))
            files[f"{label}/photo {i}.jpg"] = corpus.encode(crop, "JPEG")
        for kind, odd in (("good", corpus.decoded()), ("bad", corpus.refused())):
            files |= {f"{label}/{kind} {name}.png": data for name, data in odd.items()}
    for name, data in files.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    out = tmp_path / "out"
    command = ["transfer", "--data", tmp_path / "photos", "--out", out, "--heads", "knn", *ON_SMALL]
    result = within(cli.main, *command, "--bad-images", "quarantine")
    assert result.returncode == 0, result.stderr
    report = json.loads(next(out.glob("runs/*/report.json")).read_text())
    bad = {name for name in files if "/bad " in name}
    assert {entry["path"] for entry in report["bad_images"]} == bad
    copies = [path for path in (out / "runs").rglob("bad_images/**/*") if path.is_file()]
    assert sorted(path.read_bytes() for path in copies) == sorted(files[name] for name in bad)
    manifest = next(out.glob("runs/*/manifest.csv")).read_text(encoding="utf-8")
    for name, data in files.items():
        assert (tmp_path / "photos" / name).read_bytes() == data  # nothing of the user's is touched
        assert (name in manifest) == (name not in bad)
        assert name in bad or hashlib.sha256(data).hexdigest() in manifest

    for engine in ((), SAVED_MODEL):
        photos = (tmp_path / "photos" / name for name in files)
        result = within(predict_command.main, out, *engine, "--json", *photos)
        assert result.returncode == 1, result.stderr
        rows = json.loads(result.stdout)
        refused = {row["image"] for row in rows if "error" in row}
        assert refused == {str(tmp_path / "photos" / name) for name in bad}
