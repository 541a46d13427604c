"""The command behind every recipe: flags in; report, pictures and an exported model out."""

import argparse
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
from kvision.runs.settings import Settings, add_flags

__all__ = ["main"]


@dataclasses.dataclass(frozen=True)
class _Command:
    """What a command line asks for."""

    recipe: ModuleType
    name: str
    config: Settings
    out: Path
    again: bool
    bad_images: str
    tflite: tuple[str, ...]
    text: str


def main(recipe: ModuleType, argv: Sequence[str] | None = None) -> int:
    """Runs a recipe's command; returns the exit status (2: invalid input that the user can fix)."""
    name = recipe.__name__.rpartition(".")[2] if recipe.__name__ != "__main__" else Path(recipe.__file__ or "").stem
    argv = sys.argv[1:] if argv is None else list(argv)
    unicode_output.escape_names()
    arguments = vars(_parser(recipe, name).parse_args(argv))
    out = Path(arguments.pop("out") or Path("saved_models", name))
    own = {flag: arguments.pop(flag) for flag in ("smoke", "again", "bad_images", "tflite")}
    config: Settings = dataclasses.replace(recipe.SMOKE if own["smoke"] else recipe.Config(), **arguments)

    def work() -> int:
        tflite = quantize.check(own["tflite"], argument="--tflite")
        for kind in tflite:
            checks.one_of("--tflite", kind, config.tflite_kinds, problem="is not written by this recipe")
        config.check()
        writable.require(out)
        start(config)
        text = shlex.join(["kvision", name, *argv])
        command = _Command(recipe, name, config, out, own["again"], own["bad_images"], tflite, text)
        with told_of_sigterm(), contextlib.ExitStack() as held:  # after the strategy, which takes the signal for itself
            return _run(command, held)

    return ended(name, work, out=out)


def _parser(recipe: ModuleType, name: str) -> argparse.ArgumentParser:
    parser = flags.Parser(prog=f"kvision {name}", description=recipe.__doc__)
    add_flags(parser, recipe.Config)
    parser.add_argument(
        "--out", metavar="FOLDER", help=f"where models and runs are kept (default: saved_models/{name})"
    )
    parser.add_argument(
        "--bad-images",
        choices=bad_images.CHOICES,
        default="report",
        help="images that cannot be used are left out and listed (report, the default), stop the run before it trains "
        "(error), or are left out, listed and copied to the run's folder (quarantine); no file of yours is moved",
    )
    parser.add_argument(
        "--tflite",
        type=lambda text: [kind.strip() for kind in text.split(",")],
        default=["float32"],
        metavar="A,B,...",
        help=f"TFLite models to write, of {', '.join(quantize.ALL)}; float32, the default, is always written. "
        "With float16 or int8 all are measured on test images. features holds what the last layer reads",
    )
    parser.add_argument("--smoke", action="store_true", help="a minute's run on little data, to see that all works")
    parser.add_argument(
        "--again", action="store_true", help="run a finished command again as another model version; others continue"
    )
    return parser


def _run(command: _Command, held: contextlib.ExitStack) -> int:
    """Reads the data, trains or finds what is finished, exports and reports."""
    from kvision import distribute

    started, is_chief = time.monotonic(), distribute.is_chief()
    split = _load(command, is_chief)
    bad_images.check(command.bad_images, split)
    folder = run_folder(command.out, command.config, split)
    if is_chief:
        held.enter_context(alone(folder))
    quarantine = None
    if is_chief and command.bad_images == "quarantine" and split.bad_images:
        quarantine = folder / "bad_images"
        bad_images.copy(split, Path(command.config.data or ""), quarantine)
    records = Records(folder, again=command.again, is_chief=is_chief)
    distribute.barrier()
    finished = records.done("report", **report.KINDS)
    # A finished run without its version, or without a kind of TFLite model, only exports again.
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
    """Reads the data. The chief reads first, and the other workers what it found."""
    from kvision import distribute

    if not is_chief:
        distribute.barrier()
    split = command.recipe.load(command.config, cache=command.out / "cache")
    if is_chief:
        distribute.barrier()
        bad_images.tell(split)
    distribute.agree("--data", int(split.fingerprint[:12], 16))
    return split


def _facts(command: _Command, split: Split, result: Result) -> dict:
    """Returns the part of the report that needs no file."""
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
    """Writes pictures, models and the list of wrong images; returns the part of the report that names them."""
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
    print("\nExport, and check in a fresh process ...", flush=True)
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
    """Returns the new version, and the measurements of its TFLite models if there are several."""
    from kvision import export

    facts = {"data": split.name, "command": command.text, "results": result.metrics, "best": result.best}
    table: dict[str, dict] = {}

    def card(folder: Path) -> str:
        measured = tuple(kind for kind in command.tflite if kind in quantize.KINDS)
        if len(measured) > 1:
            table.update(tflite_table.measure(result.task, folder, measured, split.test))
        return export.model_card(result.model, result.task, **facts, tflite=table)

    test, count = split.test, min(4, len(split.test))
    version = export.write(
        result.model,
        command.out,
        task=result.task,
        card=card,
        probe=[test.example(i)[0] for i in range(count)] if result.probe is None else result.probe,
        tflite=command.tflite,
        representatives=tflite_table.representatives(split.train) if "int8" in command.tflite else None,
    )
    return version, table


def _next_command(split: Split, version: Path, folder: Path) -> str:
    """`kvision predict` on one test image: the file itself, or a PNG made of the array's first."""
    image = split.test.path(0)
    if image is None:
        from PIL import Image

        image = folder / "example.png"
        Image.fromarray(split.test.original(0)).save(image)
    return shlex.join(["kvision", "predict", str(version / "assets.extra" / "model.tflite"), str(image)])
