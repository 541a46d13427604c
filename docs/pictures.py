"""Draws the pictures of the documentation: `python docs/pictures.py [NAME ...]`.

Without names it draws all pictures, which takes about an hour on two CPU cores. The pictures are made from data that
anyone may publish: scikit-learn's digits and two photographs, and scenes that kvision renders from the digits. Commands
of kvision write their runs to `--work`, and a second call takes the pictures from there.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

import kvision as kv

FOLDER = Path(__file__).resolve().parent / "pictures"
LARGEST = 80_000  # bytes of a picture
COLORS = ("#4878a8", "#d98c3f", "#5a9e6f", "#c44e52")


def main() -> None:
    """Draws the pictures in the list of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "kvision-pictures", help="of runs")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(PICTURES):
        parser.error(f"no such pictures: {', '.join(sorted(unknown))}")
    FOLDER.mkdir(exist_ok=True)
    for name in arguments.names or PICTURES:
        print(f"{name} ...", flush=True)
        PICTURES[name](arguments.work)


def save(name: str, picture: Figure | Image.Image, *, photograph: bool = False) -> None:
    """Writes `name`.png, with fewer colors if the file is too large, or `name`.jpg for a photograph."""
    if isinstance(picture, Figure):
        buffer = io.BytesIO()
        picture.savefig(buffer, dpi=110)
        picture = Image.open(buffer)
    picture = picture.convert("RGB")
    path = FOLDER / (f"{name}.jpg" if photograph else f"{name}.png")
    for colors, quality in ((256, 90), (128, 85), (64, 80), (32, 70), (16, 60)):
        if photograph:
            picture.save(path, quality=quality)
        else:
            picture.quantize(colors).save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            return
    raise SystemExit(f"{path} has {path.stat().st_size:,} bytes, expected at most {LARGEST:,}")


def figure(width: float, height: float, columns: int = 1, rows: int = 1, **options) -> tuple[Figure, np.ndarray]:
    """Returns a figure of a size in inches, and its axes `(rows, columns)`."""
    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplots(rows, columns, squeeze=False, **options)


def run(work: Path, name: str, command: str) -> Path:
    """Runs a command of kvision and returns the folder of its report and pictures."""
    out = work / name
    subprocess.run([sys.executable, "-m", "kvision", *command.split(), "--out", str(out)], check=True)
    (report,) = out.glob("runs/*/report.json")
    return report.parent


def taken(work: Path, name: str, command: str, names: dict[str, str]) -> None:
    """Saves pictures of a run. `names` maps files of the run to names in the documentation."""
    folder = run(work, name, command)
    for file, saved in names.items():
        save(saved, trimmed(Image.open(folder / file)))


def trimmed(picture: Image.Image, *, margin: int = 8) -> Image.Image:
    """Returns a picture without most of its white border."""
    picture = picture.convert("RGB")
    left, top, right, bottom = ImageOps.invert(picture).getbbox() or (0, 0, *picture.size)
    return ImageOps.expand(picture.crop((left, top, right, bottom)), margin, "white")


def transfer(work: Path) -> None:
    """Draws the pictures of `kvision transfer` for the digits."""
    taken(work, "transfer", "transfer", {"confusion.png": "confusion", "accuracy.png": "accuracy"})


def fewshot(work: Path) -> None:
    """Draws the picture of `kvision fewshot` for the digits."""
    taken(work, "fewshot", "fewshot --episodes 200", {"accuracy.png": "fewshot"})


def rate(work: Path) -> None:
    """Draws the search for a learning rate."""
    taken(
        work,
        "rate",
        "transfer --heads finetune --find-learning-rate --epochs 1 --small --train-per-class 60",
        {"learning_rate.png": "learning_rate"},
    )


def segment(work: Path) -> None:
    """Draws the pictures of `kvision segment` for scenes of digits, after a short training."""
    command = "segment --epochs 14 --test-images 24 --no-flip --learning-rate 0.003"
    taken(work, "segment", command, {"examples.png": "segmentation", "ious.png": "segmentation_ious"})


def colorize(work: Path) -> None:
    """Draws the picture of `kvision colorize` for tiles of two photographs, after a short training."""
    taken(work, "colorize", "colorize --epochs 20", {"examples.png": "coloring"})


def convolutionalize(work: Path) -> None:
    """Draws the pictures of `kvision convolutionalize` for scenes of digits."""
    command = "convolutionalize --windows 8000 --epochs 8 --test-images 24"
    taken(work, "convolutionalize", command, {"examples.png": "convolutionalize"})


def rcnn(work: Path) -> None:
    """Draws the pictures of `kvision rcnn-rotated` for rendered shapes."""
    command = "rcnn-rotated --boxes rotated,upright"
    taken(work, "rcnn", command, {"examples.png": "detection", "recall.png": "proposals"})


def locate(work: Path) -> None:
    """Draws the examples of `kvision locate` for rendered objects."""
    taken(work, "locate", "locate --train-images 800 --epochs 5", {"examples.png": "location"})


def upscalings(work: Path) -> None:
    """Draws checkerboards of the layers that enlarge."""
    made, ((axes,),) = figure(9, 4.9)
    kv.plots.upscalings(axes)
    save("upscalings", made)


def schedule_curves(work: Path) -> None:
    """Draws the learning rates of the published schedules over their training."""
    made, grid = figure(11, 5.2, 4, 2)
    stages = 5
    for axes, name in zip(grid.flat, kv.schedules.SCHEDULES, strict=False):
        schedule = kv.schedules.schedule(name, images=8000, stages=stages)
        for color, (label, stage) in zip(COLORS, {"head": 6, "last stage": 5, "first stage": 1}.items(), strict=False):
            epochs, rates = learning_rates(schedule, stage, stages)
            axes.plot(epochs, rates, color=color, label=label, linestyle="-" if stage > 5 else "--")
        axes.set(title=name, xlabel="epoch", yscale="log", ylim=(1e-6, 1e-2))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    grid[-1, -1].set_axis_off()
    grid[-1, -1].legend(handles, labels, title="learning rate of", loc="center")
    save("schedule_curves", made)


def learning_rates(schedule: kv.schedules.Schedule, stage: int, stages: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns epochs, and the learning rate of a stage at each (NaN if frozen). The head is stage `stages + 1`."""
    epochs = np.linspace(0, schedule.epochs, 800, endpoint=False)
    phases = schedule.phases
    starts = [phase.epoch for phase in phases]
    peaks = [number for number, phase in enumerate(phases) if phase.learning_rate is not None]
    rates = []
    for epoch in epochs:
        number = int(np.searchsorted(starts, epoch, side="right")) - 1
        first = max(peak for peak in peaks if peak <= number)
        end = min([starts[peak] for peak in peaks if peak > number], default=schedule.epochs)
        phase, begin = phases[number], phases[first]
        opened = {"top": stages + 1, "all": 1}.get(phase.above) or int(str(phase.above).removeprefix("stage"))
        factor = begin.curve.factor((epoch - begin.epoch) / (end - begin.epoch))
        decayed = begin.learning_rate * factor * phase.layer_decay ** (stages + 1 - stage)
        rates.append(decayed if stage >= opened else np.nan)
    return epochs, np.array(rates)


def views(work: Path) -> None:
    """Draws augmented views of a photograph."""
    photograph = load_sample_images().images[1]  # flower.jpg
    square = np.asarray(Image.fromarray(photograph[:, 110:537]).resize((192, 192), Image.Resampling.LANCZOS))
    made = {"SimCLR": kv.augment.simclr(96), "MoCo v2": kv.augment.moco2(96), "MAE": kv.augment.mae(96)}
    drawn, grid = figure(9, 4.1, 7, len(made))
    for row, (name, view) in zip(grid, made.items(), strict=True):
        row[0].imshow(square)
        row[0].set_ylabel(name)
        seen = np.asarray(view(np.repeat(square[None], 6, axis=0), key=np.array([0, 1], "int32")))
        for axes, image in zip(row[1:], seen, strict=True):
            axes.imshow(np.clip(image, 0, 255).astype("uint8"))
        for axes in row:
            axes.set(xticks=[], yticks=[])
    grid[0, 0].set_title("image")
    save("views", drawn, photograph=True)


def simclr(work: Path) -> None:
    """Draws the digits in the embedding of an encoder before and after SimCLR."""
    import keras

    keras.utils.set_random_seed(0)
    x, y, names = kv.data.digits()
    images = kv.data.from_arrays(x, y, class_names=names, image_size=16, batch_size=256)
    encoder = kv.backbones.resnet18(width=8, image_size=16, pooling="avg")
    drawn, (row,) = figure(10, 4.6, 2)
    view = kv.augment.View([kv.augment.RandomResizedCrop(16, area=(0.4, 1.0), flip=0.0), kv.augment.ColorJitter(0.4)])
    method = kv.selfsup.SimCLR(encoder, kv.augment.MultiView({"a": view, "b": view}), temperature=0.2)
    for number, axes in enumerate(row):
        if number:
            method.compile(kv.training.Adam(1e-3))
            batches = kv.data.batches(images, seed=0, fields=("image", "index"))
            kv.training.fit(method, batches, epochs=40, seed=0, verbose=2)
        features = kv.features.embed(encoder, images, progress=False)
        kv.plots.embedding_map(axes, features, images.labels, images.class_names)
        axes.set_title("after SimCLR" if number else "before: random weights")
    row[0].get_legend().remove()
    save("embedding", drawn)


def mae(work: Path) -> None:
    """Draws images, the visible patches for a masked autoencoder, and its reconstruction of the hidden patches."""
    import keras

    keras.utils.set_random_seed(0)
    size, patch_size = 24, 4
    x, y, names = kv.data.digits()
    images = kv.data.from_arrays(x, y, class_names=names, image_size=size, batch_size=128)
    rest, few = kv.data.split(images.labels, images.pixel_hashes, fraction=0.2, seed=0)
    train, test = images.subset(rest), images.subset(few[:8])
    vit = kv.backbones.vit(depth=3, width=64, heads=4, patch_size=patch_size, image_size=size)
    view = kv.augment.MultiView({"a": kv.augment.RandomResizedCrop(size, area=(0.7, 1.0), flip=0.0)})
    small = {"decoder_width": 64, "decoder_depth": 2, "decoder_heads": 4}
    method = kv.selfsup.MAE(vit, view, ratio=0.6, normalized=False, seed=0, **small)
    curve = kv.schedules.Cosine(warmup=0.05).over(1320, learning_rate=2e-3)
    method.compile(kv.training.AdamW(curve, weight_decay=0.05))
    batches = kv.data.batches(train, seed=0, fields=("image", "index"))
    kv.training.fit(method, batches, epochs=120, verbose=2)
    method.views = None  # whole images are shown
    whole = test.take(np.arange(len(test))).astype("float32")
    outputs = {name: np.asarray(value) for name, value in method({"a": whole}).items()}
    hidden = outputs["mask"][..., None] > 0.5
    grey = np.zeros_like(outputs["target"])
    filled = np.where(hidden, outputs["prediction"], outputs["target"])
    rows = {"seen": np.where(hidden, grey, outputs["target"]), "filled in": filled, "image": outputs["target"]}
    drawn, grid = figure(9, 3.7, len(test), 3)
    for axes_row, (name, patches) in zip(grid, rows.items(), strict=True):
        axes_row[0].set_ylabel(name)
        for axes, one in zip(axes_row, patches, strict=True):
            axes.imshow(pixels(one, size // patch_size))
            axes.set(xticks=[], yticks=[])
    save("mae", drawn)


def pixels(patches: np.ndarray, side: int) -> np.ndarray:
    """Returns an image from patches `(side * side, values)` that are standardized as for ImageNet."""
    edge = int(np.sqrt(patches.shape[1] // 3))
    image = patches.reshape(side, side, edge, edge, 3).transpose(0, 2, 1, 3, 4).reshape(side * edge, side * edge, 3)
    return np.clip(image * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406], 0, 1)


def batch_statistics(work: Path) -> None:
    """Draws fine-tunings with frozen and with moving batch statistics."""
    import keras

    x, y, names = kv.data.digits()
    images = kv.data.from_arrays(x, y, class_names=names, image_size=64)
    rest, few = kv.data.split(images.labels, images.pixel_hashes, fraction=0.3, seed=0)
    train, validation = images.subset(rest[:640]), images.subset(few)
    drawn, (row,) = figure(9, 3.6, 2)
    for color, (label, kind) in zip(COLORS, KINDS.items(), strict=False):
        keras.utils.set_random_seed(0)
        backbone = kv.backbones.create("EfficientNetLite0", weights="imagenet", image_size=64, pooling="avg")
        means = [v for v in backbone.variables if v.path.endswith("moving_mean")]
        before = np.concatenate([np.asarray(v).ravel() for v in means])
        moved = [0.0]

        def measure(*_, means=means, before=before, moved=moved) -> None:
            now = np.concatenate([np.asarray(v).ravel() for v in means])
            moved.append(float(np.linalg.norm(now - before) / np.linalg.norm(before)))

        callback = keras.callbacks.LambdaCallback(on_epoch_end=measure)
        history = kind(backbone, len(names), train, validation, callback)
        style = "--" if label.startswith("Keras") else "-"
        row[0].plot(range(len(moved)), moved, style, color=color, marker="o", label=label)
        row[1].plot(range(1, len(moved)), history["val_accuracy"], style, color=color, marker="o", label=label)
    row[0].set(xlabel="epoch", ylabel="change of the moving means (relative)", title="batch statistics")
    row[1].set(xlabel="epoch", ylabel="accuracy", title="validation images", ylim=(0, 1))
    row[1].legend(loc="lower right", fontsize="small")
    save("batch_statistics", drawn)


def ours(norm: str) -> Callable:
    """Returns a function that fine-tunes everything with a policy for normalization."""

    def tune(backbone, classes, train, validation, callback) -> dict:
        # `attach` does not copy the backbone, so the backbone and the model share their variables
        model = kv.transfer.attach(backbone, classes)
        phase = kv.schedules.Phase(epoch=0, above="all", learning_rate=3e-4, norm=norm)
        options = {"epochs": 5, "validation_data": validation, "callbacks": [callback], "verbose": 2}
        return kv.schedules.fit(model, train, [phase], **options).history

    return tune


def keras_guide(backbone, classes, train, validation, callback) -> dict:
    """Fine-tunes like the guide of Keras, with `training=False` at the call of the backbone."""
    import keras

    image = keras.Input(backbone.input_shape[1:])
    output = keras.layers.Dense(classes, activation="softmax")(backbone(image, training=False))
    model = keras.Model(image, output)
    model.compile(keras.optimizers.Adam(3e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    arrays = [keras_arrays(images) for images in (train, validation)]
    return model.fit(*arrays[0], epochs=5, validation_data=arrays[1], callbacks=[callback], verbose=2).history


def keras_arrays(images: kv.data.Images) -> tuple[np.ndarray, np.ndarray]:
    """Returns pixels and labels of all images."""
    return np.concatenate([batch for batch, _ in images]), images.labels


KINDS = {
    'kvision, norm="frozen"': ours("frozen"),
    'kvision, norm="train"': ours("train"),
    "Keras, base(x, training=False)": keras_guide,
}


def overview(work: Path) -> None:
    """Draws the picture of the README from three pictures of the documentation."""
    parts = [Image.open(FOLDER / f"{name}.png").convert("RGB") for name in ("accuracy", "segmentation", "embedding")]
    height = 300
    widths = [round(part.width * height / part.height) for part in parts]
    parts = [part.resize((width, height), Image.Resampling.LANCZOS) for part, width in zip(parts, widths, strict=True)]
    joined = Image.new("RGB", (sum(widths), height), "white")
    left = 0
    for part in parts:
        joined.paste(part, (left, 0))
        left += part.width
    save("overview", joined)


PICTURES: dict[str, Callable[[Path], None]] = {
    "schedule_curves": schedule_curves,
    "upscalings": upscalings,
    "views": views,
    "transfer": transfer,
    "fewshot": fewshot,
    "rate": rate,
    "batch_statistics": batch_statistics,
    "segment": segment,
    "colorize": colorize,
    "convolutionalize": convolutionalize,
    "rcnn": rcnn,
    "locate": locate,
    "simclr": simclr,
    "mae": mae,
    "overview": overview,
}

if __name__ == "__main__":
    main()
