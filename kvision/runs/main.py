"""Runs a recipe as a command, which takes flags and writes a report, pictures and an exported model."""

import contextlib
import dataclasses
import functools
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from kvision import atomic, checks, flags, unicode_output, writable
from kvision.export import quantize
from kvision.runs import bad_images, report, tflite_table, wrong_images
from kvision.runs.ending import ended, told_of_sigterm
from kvision.runs.folder import run_folder
from kvision.runs.lock import alone
from kvision.runs.pictures import draw
from kvision.runs.process import device, start
from kvision.runs.records import Records
from kvision.runs.result import Result, Split
from kvision.runs.settings import Settings, add_flags, setting

__all__ = ["main"]


@dataclasses.dataclass(frozen=True)
class _Options:
    """The flags that the command of every recipe has in addition to the recipe's settings."""

    bad_images: str = setting(
        "report",
        "images that cannot be used: report leaves them out, error stops the run, quarantine also copies them",
        group="data",
    )
    out: str | None = setting(
        None, "for models and runs (default: saved_models/<recipe>)", group="output", metavar="FOLDER"
    )
    tflite: tuple[str, ...] = setting(("float32",), "TFLite models: float32, float16, int8, features", group="output")
    smoke: bool = setting(False, "a quick trial on little data, about a minute", group="output")
    again: bool = setting(False, "run a finished command again, as a new model version", group="output")


@dataclasses.dataclass(frozen=True)
class _Command:
    """A command line after parsing."""

    recipe: ModuleType
    name: str
    config: Settings
    options: _Options
    out: Path
    tflite: tuple[str, ...]
    text: str


def main(recipe: ModuleType, argv: Sequence[str] | None = None) -> int:
    """Runs a recipe as a command.

    Args:
        recipe: A module with `Config`, `SMOKE`, `load` and `run`.
        argv: The command line after the recipe's name. If None, the arguments of this process.

    Returns:
        The exit status: 0, or one of `kvision.exit_codes`.
    """
    module = recipe.__name__.rpartition(".")[2] if recipe.__name__ != "__main__" else Path(recipe.__file__ or "").stem
    name = module.replace("_", "-")  # as the command is called
    argv = sys.argv[1:] if argv is None else list(argv)
    unicode_output.escape_names()
    parser = flags.Parser(prog=f"kvision {name}", description=recipe.__doc__ or "")
    for fields in (recipe.Config, _Options):
        add_flags(parser, fields)
    given = vars(parser.parse_args(argv))
    options = _Options(**{f.name: given.pop(f.name) for f in dataclasses.fields(_Options) if f.name in given})
    config: Settings = dataclasses.replace(recipe.SMOKE if options.smoke else recipe.Config(), **given)
    out = Path(options.out or Path("saved_models", name))

    def work() -> int:
        checks.one_of("bad_images", options.bad_images, bad_images.CHOICES)
        tflite = quantize.check(options.tflite)
        for kind in tflite:
            checks.one_of("tflite", kind, config.tflite_kinds, problem="is not written by this recipe")
        config.check()
        writable.require(out, argument="--out")
        start(config)
        command = _Command(recipe, name, config, options, out, tflite, shlex.join(["kvision", name, *argv]))
        # `start` creates the strategy, which sets its own handler of SIGTERM. So this handler must be set afterwards.
        with told_of_sigterm(), contextlib.ExitStack() as held:
            return _run(command, held)

    return ended(parser, work, out=out)


def _run(command: _Command, held: contextlib.ExitStack) -> int:
    """Reads the data, trains the parts that are not finished, exports the model and writes the report."""
    from kvision import distribute
    from kvision.distribute import values

    started, is_chief = time.monotonic(), distribute.is_chief()
    split = _load(command, is_chief)
    bad_images.check(command.options.bad_images, split)
    folder = run_folder(command.out, command.config, split)
    if is_chief:
        held.enter_context(alone(folder))
    quarantine = None
    if is_chief and command.options.bad_images == "quarantine" and split.bad_images:
        quarantine = folder / "bad_images"
        bad_images.copy(split, Path(command.config.data or ""), quarantine)
    records = Records(folder, again=command.options.again, is_chief=is_chief)
    values.barrier()
    finished = records.done("report", **report.KINDS)
    # If a finished run lacks its exported version or a kind of TFLite model, only the export is repeated.
    if finished and report.is_complete(finished, command.out, command.tflite):
        if is_chief:
            print(f"This run is finished ({folder}). `--again` runs it once more.\n")
            report.tell(finished, folder)
        return 0
    result: Result = command.recipe.run(split, command.config, records=records, cache=command.out / "cache")
    if not is_chief:
        records.wait("report", **report.KINDS)
        return 0
    facts = _facts(command, split, result)
    facts |= {"quarantine": quarantine and str(quarantine)}
    facts |= _write(command, split, result, folder)
    facts["seconds"] = finished["seconds"] if finished else round(time.monotonic() - started, 1)
    facts["exports"] = [*(finished["exports"] if finished else ()), facts["exports"]]
    atomic.write_text(folder / "report.json", json.dumps(facts, indent=1, ensure_ascii=False))
    report.tell(facts, folder)
    return 0


def _load(command: _Command, is_chief: bool) -> Split:
    """Reads the data. The chief reads first, so that the other workers can use the chief's caches."""
    from kvision.distribute import values

    if not is_chief:
        values.barrier()
    split = command.recipe.load(command.config, cache=command.out / "cache")
    if is_chief:
        values.barrier()
        bad_images.tell(split)
    values.agree("data", int(split.fingerprint[:12], 16))
    return split


def _facts(command: _Command, split: Split, result: Result) -> dict:
    """Returns the part of the report that does not depend on written files."""
    from kvision import export

    return {
        "recipe": command.name,
        "data": split.name,
        "seed": command.config.seed,
        "device": device(),
        "results": result.metrics,
        "best": result.best,
        "columns": list(result.columns),
        "score": result.task.score,
        "deciding": dict(result.deciding),
        "rule": result.rule,
        "history": result.history,
        "bad_images": [dataclasses.asdict(bad) for bad in split.bad_images],
        "notes": list(split.notes),
        "checksum": export.checksum(result.model),
        "config": dataclasses.asdict(command.config),
        "command": command.text,
    }


def _write(command: _Command, split: Split, result: Result, folder: Path) -> dict:
    """Writes pictures, models and the list of wrong images. Returns the part of the report with their paths."""
    drawings, listed = dict(result.pictures), None
    if result.answers is not None:
        path, test = folder / "wrong_images.csv", split.test
        count = wrong_images.write(path, result.answers, test)
        listed = {"file": str(path), "count": count, "of": len(test)}
        if count:
            drawings["wrong_images.png"] = functools.partial(wrong_images.draw, answers=result.answers, images=test)
    pictures = draw(drawings, folder)
    with atomic.file(folder / "model.keras") as temporary:
        result.model.save(temporary)
    print("\nExporting the model and checking it in a new process ...", flush=True)
    version, table = _export(command, split, result)
    return {
        "wrong_images": listed,
        "pictures": pictures,
        "keras": str(folder / "model.keras"),
        "exports": str(version),
        "tflite": table,
        "next": _next_command(split, version, folder),
    }


def _export(command: _Command, split: Split, result: Result) -> tuple[Path, dict[str, dict]]:
    """Exports the model. Returns the new version, and the measurements of its TFLite models if there are several."""
    from kvision import export

    train, test = (_at_size(images, result.model) for images in (split.train, split.test))
    facts = {"data": split.name, "command": command.text, "results": result.metrics, "best": result.best}
    table: dict[str, dict] = {}

    def card(folder: Path) -> str:
        measured = tuple(kind for kind in command.tflite if kind in quantize.KINDS)
        if len(measured) > 1:
            table.update(tflite_table.measure(result.task, folder, measured, test))
        return export.model_card(result.model, result.task, **facts, tflite=table)

    count = min(4, len(test))
    version = export.write(
        result.model,
        command.out,
        task=result.task,
        card=card,
        probe=[test.example(i)[0] for i in range(count)] if result.probe is None else result.probe,
        tflite=command.tflite,
        representatives=tflite_table.representatives(train) if "int8" in command.tflite else None,
    )
    return version, table


def _at_size(images: Any, model: Any) -> Any:
    """Returns images at the input size of a model. It differs if the recipe compares networks of several sizes."""
    from kvision.data import Images

    fixed = isinstance(images, Images) and model.input_shape[1]
    return images.at_size(model.input_shape[1]) if fixed else images


def _next_command(split: Split, version: Path, folder: Path) -> str:
    """Returns a `kvision predict` command for the first test image. Saves the image as PNG if it is from an array."""
    image = split.test.path(0)
    if image is None:
        from PIL import Image

        image = folder / "example.png"
        Image.fromarray(split.test.original(0)).save(image)
    return shlex.join(["kvision", "predict", str(version / "assets.extra" / "model.tflite"), str(image)])
