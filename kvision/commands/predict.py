"""Classifies images with an exported model.

MODEL is a `.tflite` file (answered by LiteRT, without TensorFlow), or a SavedModel: a version folder, or the folder
above it, whose newest version is taken. An image that cannot be read is listed with the reason, the others are
answered, and the exit status is 1.

A SavedModel is code that can read and write your files. One that you exported here, unchanged since, is known by its
seal; any other is loaded with --trust only (exit status 2 without). A `.tflite` file holds no such code.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kvision import checks

__all__ = ["main"]

_BATCH = 32

# (file bytes of a batch) -> for each its probabilities, or the reason why there are none
_Answer = Callable[[list[bytes]], list[Sequence[float] | str]]


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status: 0, 1 if an image could not be read, 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="kvision predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help=".tflite file or SavedModel folder")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="JPEG, PNG, GIF, BMP or WebP file")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes shown in the table (default: 3)")
    parser.add_argument("--json", action="store_true", help="a JSON list with every class's probability")
    parser.add_argument("--trust", action="store_true", help="load a SavedModel that you did not export here: its code")
    arguments = parser.parse_args(argv)
    try:
        if arguments.top < 1:
            raise checks.error("--top", expected="a count of at least 1", received=arguments.top)
        answer, labels = _open(Path(arguments.model), arguments.trust)
        rows = list(_rows(arguments.images, answer, labels))
    except checks.UserError as problem:
        print(f"kvision predict: {problem}", file=sys.stderr)
        return 2
    print(json.dumps(rows, ensure_ascii=False, indent=1) if arguments.json else _table(rows, arguments.top))
    return int(any("error" in row for row in rows))


def _rows(images: list[str], answer: _Answer, labels: Sequence[str] | None) -> Iterator[dict]:
    from tqdm import tqdm

    with tqdm(total=len(images), unit=" images", disable=len(images) <= 2 * _BATCH) as bar:
        for start in range(0, len(images), _BATCH):
            names = images[start : start + _BATCH]
            contents = [_read(name) for name in names]
            readable = iter(answer([content for content in contents if isinstance(content, bytes)]))
            for name, content in zip(names, contents, strict=True):
                outcome = next(readable) if isinstance(content, bytes) else content
                if isinstance(outcome, str):
                    yield {"image": name, "error": outcome}
                    continue
                if labels is not None and len(labels) != len(outcome):
                    raise checks.error(
                        "MODEL",
                        problem="has another number of class names than of classes",
                        expected=f"{len(outcome)} names in its labels.txt",
                        received=len(labels),
                        hint="Export it again",
                    )
                columns = labels if labels is not None else [str(i) for i in range(len(outcome))]
                probabilities = {label: float(p) for label, p in zip(columns, outcome, strict=True)}
                best = max(probabilities, key=lambda label: probabilities[label])
                yield {"image": name, "label": best, "probabilities": probabilities}
            bar.update(len(names))


def _read(name: str) -> bytes | str:
    from kvision.pixels import MAX_BYTES

    try:
        with Path(name).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)  # one too many is refused by its header
    except OSError as reason:
        return reason.strerror or str(reason)


def _table(rows: list[dict], top: int) -> str:
    width = max(len(row["image"]) for row in rows)
    lines = []
    for row in rows:
        if "error" in row:
            lines.append(f"{row['image']:<{width}}  cannot be used: {row['error']}")
            continue
        ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])[:top]
        lines.append(f"{row['image']:<{width}}  " + "   ".join(f"{label} {p:.3f}" for label, p in ranked))
    return "\n".join(lines)


def _open(model: Path, trust: bool) -> tuple[_Answer, Sequence[str] | None]:
    from kvision.export import versions

    if model.suffix == ".tflite" and model.is_file():
        return _litert(model)
    if version := versions.newest(model):
        return _saved_model(version, trust)
    raise checks.error(
        "MODEL",
        problem="names no model" if model.exists() else "does not exist",
        expected="a .tflite file, a SavedModel folder (with saved_model.pb in it), or the folder of its versions",
        received=str(model),
    )


def _litert(model: Path) -> tuple[_Answer, Sequence[str] | None]:
    import numpy as np

    from kvision.export.litert import Runner
    from kvision.pixels import BadImage, pillow

    runner = Runner(model)

    def answer(contents: list[bytes]) -> list[Sequence[float] | str]:
        outcomes: list = []
        for content in contents:
            try:
                outcomes.append(pillow.load(content, runner.image_size))
            except BadImage as reason:
                outcomes.append(str(reason))
        good = [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, str)]
        if good:
            probabilities = runner(np.stack([outcomes[i] for i in good]))["probabilities"]
            if probabilities.ndim != 2 or len(probabilities) != len(good):
                raise checks.error("MODEL", expected="a row of probabilities an image", received=probabilities.shape)
            for i, row in zip(good, probabilities, strict=True):
                outcomes[i] = row
        return outcomes

    return answer, runner.labels


def _saved_model(model: Path, trust: bool) -> tuple[_Answer, Sequence[str] | None]:
    from kvision.export import seal
    from kvision.pixels import BadImage, read_header
    from kvision.quiet import quiet

    seal.require(model, trust=trust)
    with quiet():
        import tensorflow as tf

    try:
        with quiet():  # the first operation looks for a GPU, loudly
            loaded = tf.saved_model.load(str(model))
        if "serve_bytes" not in loaded.signatures:
            raise ValueError(f"its signatures are {', '.join(loaded.signatures)}")
    except (OSError, ValueError, tf.errors.OpError) as reason:
        raise checks.error(
            "MODEL",
            problem=f"cannot be used: {str(reason).splitlines()[0]}",
            expected="a SavedModel with a signature `serve_bytes`, as kvision exports it",
            received=str(model),
        ) from reason

    def answer(contents: list[bytes]) -> list[Sequence[float] | str]:
        outcomes: list = [""] * len(contents)
        for i, content in enumerate(contents):
            try:
                read_header(content)
            except BadImage as reason:
                outcomes[i] = str(reason)
        good = [i for i, outcome in enumerate(outcomes) if not outcome]
        if good:
            rows = loaded.signatures["serve_bytes"](image_bytes=tf.constant([contents[i] for i in good]))
            for i, row, valid in zip(good, rows["probabilities"].numpy(), rows["valid"].numpy(), strict=True):
                outcomes[i] = row if valid else "it cannot be decoded"
        return outcomes

    return answer, _labels(model / "assets.extra" / "labels.txt")


def _labels(file: Path) -> list[str] | None:
    from kvision.export.litert import LARGEST_LABELS

    if not file.is_file():
        return None
    with file.open("rb") as stream:
        text = stream.read(LARGEST_LABELS + 1)
    if len(text) > LARGEST_LABELS:
        raise checks.error("MODEL", problem="has too long a labels.txt", expected="at most 1 MB", received=str(file))
    return text.decode("utf-8", "replace").rstrip("\n").split("\n")
