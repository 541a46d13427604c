"""The command behind every recipe: flags in; report, pictures and an exported model out."""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import json
import logging
import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from kvision import __version__, atomic, checks, flags, installation, unicode_output, writable
from kvision.export import quantize
from kvision.quiet import quiet
from kvision.runs import wrong_images
from kvision.runs.ending import ended, told_of_sigterm
from kvision.runs.lock import alone
from kvision.runs.result import Data, Result
from kvision.runs.settings import Settings, add_flags
from kvision.runs.stages import Stages

__all__ = ["device", "main", "start", "tell_bad_images"]

_REPORT = {"results": dict, "best": str, "columns": list, "score": str, "exports": list, "pictures": list, "next": str}


def main(recipe: ModuleType, argv: Sequence[str] | None = None) -> int:
    """Runs a recipe's command; returns the exit status (2: an input that the user can mend)."""
    name = recipe.__name__.rpartition(".")[2] if recipe.__name__ != "__main__" else Path(recipe.__file__ or "").stem
    argv = sys.argv[1:] if argv is None else list(argv)
    unicode_output.escape_names()
    arguments = vars(_parser(recipe, name).parse_args(argv))
    smoke, again, bad_images = (arguments.pop(name) for name in ("smoke", "again", "bad_images"))
    kinds, out = arguments.pop("tflite"), Path(arguments.pop("out") or Path("saved_models", name))
    config: Settings = dataclasses.replace(recipe.SMOKE if smoke else recipe.Config(), **arguments)

    def work() -> int:
        tflite = quantize.check(kinds, argument="--tflite")
        for kind in tflite:
            checks.one_of("--tflite", kind, config.tflite_kinds, problem="is not written by this recipe")
        config.check()
        writable.require(out)
        start(config)
        command = shlex.join(["kvision", name, *argv])
        with told_of_sigterm(), contextlib.ExitStack() as held:  # after the strategy, which takes the signal for itself
            return _run(recipe, name, config, out, again, bad_images, tflite, command, held)

    return ended(name, work, out=out)


def _parser(recipe: ModuleType, name: str) -> argparse.ArgumentParser:
    parser = flags.Parser(prog=f"kvision {name}", description=recipe.__doc__)
    add_flags(parser, recipe.Config)
    parser.add_argument(
        "--out", metavar="FOLDER", help=f"where models and runs are kept (default: saved_models/{name})"
    )
    parser.add_argument(
        "--bad-images",
        choices=("report", "error", "quarantine"),
        default="report",
        help="images that cannot be used are left out and listed (report, the default), stop the run before it trains "
        "(error), or are left out, listed and copied to the run's folder (quarantine); no file of yours is moved",
    )
    parser.add_argument(
        "--tflite",
        type=lambda text: [kind.strip() for kind in text.split(",")],
        default=["float32"],
        metavar="A,B,...",
        help=f"TFLite files to write, of {', '.join(quantize.ALL)}; float32, the default, is always written. "
        "With float16 or int8 all are measured on held-out images. features holds what the last layer reads",
    )
    parser.add_argument("--smoke", action="store_true", help="a minute's run on little data, to see that all works")
    parser.add_argument(
        "--again", action="store_true", help="run a finished command again: another model version; others go on"
    )
    return parser


def start(config: Settings, *, exports: bool = True) -> None:
    """Backend, seed, devices: what comes before any use of the backend. exports: the command writes models to serve,
    which TensorFlow alone can; others run on JAX and PyTorch too."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # several networks in a process are traced each, as meant
    with quiet():
        import keras

    backend = keras.backend.backend()
    if backend != "tensorflow" and (exports or config.deterministic):
        raise checks.error(
            "KERAS_BACKEND",
            problem="cannot export" if exports else "does not know --deterministic",
            expected="tensorflow for this command (the parts of kvision run on the others too)",
            received=backend,
        )
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    from kvision import distribute

    distribute.pick_strategy(config.strategy)  # machines must meet before TensorFlow is used


def _run(
    recipe: ModuleType,
    name: str,
    config: Settings,
    out: Path,
    again: bool,
    bad_images: str,
    tflite: tuple[str, ...],
    command: str,
    held: contextlib.ExitStack,
) -> int:
    from kvision import distribute, export

    started = time.monotonic()
    leads, cache = distribute.is_chief(), out / "cache"
    if not leads:
        distribute.barrier()  # the first worker reads the data, and the others what it found
    data: Data = recipe.load(config, cache=cache)
    if leads:
        distribute.barrier()
        tell_bad_images(data)
    distribute.agree("--data", int(data.fingerprint[:12], 16))
    if bad_images == "error" and data.bad_images:
        raise checks.error(
            "--bad-images",
            problem="is 'error'",
            expected="a folder of images that can all be used",
            received=f"{len(data.bad_images)} that cannot (listed above)",
            hint="Mend or remove them, or leave them out with --bad-images report",
        )
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name != "strategy"}
    key = json.dumps([__version__, settings, data.fingerprint], sort_keys=True)
    folder = out / "runs" / hashlib.sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    if leads:
        held.enter_context(alone(folder))
    quarantine = None
    if bad_images == "quarantine" and data.bad_images and leads:
        quarantine = folder / "bad_images"
        _copy_bad_images(data, Path(config.data or ""), quarantine)
    stages = Stages(folder, again=again, leads=leads)
    distribute.barrier()
    report = stages.done("report", **_REPORT)
    # else everything but the export is finished: another kind of file is asked for, or the version is gone
    if report and _stands(report, out, tflite):
        if leads:
            print(f"This run is finished ({folder}). `--again` runs it once more.\n")
            _tell(report, folder)
        return 0
    more = {} if data.unlabeled is None else {"unlabeled": data.unlabeled}
    result: Result = recipe.run(data.train, data.val, config, stages=stages, cache=cache, **more)
    if not leads:
        stages.wait("report", **_REPORT)
        return 0
    # before a version is there, so that what fails here leaves none behind
    drawings, listed, count = dict(result.pictures), None, 0
    if result.answers is not None:
        listed = folder / "wrong_images.csv"
        count = wrong_images.write(listed, result.answers, data.val)
        if count:
            drawings["wrong_images.png"] = functools.partial(wrong_images.draw, answers=result.answers, images=data.val)
    pictures = _draw(drawings, folder)
    with atomic.file(folder / "model.keras") as temporary:
        result.model.save(temporary)
    print("\nExport, and check in a fresh process ...", flush=True)
    table: dict[str, dict] = {}
    version = _export(result, data, out, command, tflite, table)
    report = {
        "recipe": name,
        "data": data.name,
        "seed": config.seed,
        "device": device(),
        "seconds": report["seconds"] if report else round(time.monotonic() - started, 1),
        "results": result.metrics,
        "best": result.best,
        "columns": list(result.columns),
        "score": result.task.score,
        "deciding": dict(result.deciding),
        "rule": result.rule,
        "history": result.history,
        "bad_images": [dataclasses.asdict(bad) for bad in data.bad_images],
        "quarantine": quarantine and str(quarantine),
        "notes": list(data.notes),
        "wrong_images": listed and {"file": str(listed), "count": count, "of": len(data.val)},
        "keras": str(folder / "model.keras"),
        "exports": [*(report["exports"] if report else ()), str(version)],
        "tflite": table,
        "checksum": export.checksum(result.model),
        "config": dataclasses.asdict(config),
        "command": command,
        "next": _next_command(data, version, folder),
        "pictures": pictures,
    }
    atomic.write_text(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False))
    _tell(report, folder)
    return 0


def _stands(report: dict, out: Path, tflite: tuple[str, ...]) -> bool:
    """Whether the report's last version is still there, with these TFLite files."""
    extra = out / Path(report["exports"][-1]).name / "assets.extra" if report["exports"] else None
    return extra is not None and all((extra / quantize.file_name(kind)).is_file() for kind in tflite)


def tell_bad_images(data: Data) -> None:
    """Notes, and what cannot be used with the reasons, before anything trains."""
    for note in data.notes:
        print(f"Note: {note}")
    if data.bad_images:
        print(f"{len(data.bad_images)} images cannot be used and are left out:", file=sys.stderr)
        for bad in data.bad_images[:20]:
            print(f"  {bad.path}: {bad.reason}", file=sys.stderr)
        if len(data.bad_images) > 20:
            print("  ... all of them stand in report.json", file=sys.stderr)


def _copy_bad_images(data: Data, source: Path, quarantine: Path) -> None:
    """Regular files, under the names they have; links are not followed."""
    copied = 0
    for bad in data.bad_images:
        for path in (bad.path, *bad.beside):
            original = Path(bad.folder or source, path)
            copy = Path(quarantine, "unlabeled" if bad.folder else "", path)
            try:
                if original.is_symlink() or not original.is_file():
                    continue
                with atomic.file(copy) as temporary:
                    shutil.copyfile(original, temporary)
                copied += path == bad.path
            except OSError as reason:
                print(f"  {path}: not copied: {reason.strerror or reason}", file=sys.stderr)
    print(f"{copied} of these {len(data.bad_images)} are files, and were copied to {quarantine}", file=sys.stderr)


def _export(result: Result, data: Data, out: Path, command: str, tflite: tuple[str, ...], table: dict) -> Path:
    """The new version; fills `table` with the measurements of its TFLite files, if there is more than one."""
    from kvision import export
    from kvision.runs import tflite_table

    facts = {"data": data.name, "command": command, "results": result.metrics, "best": result.best}

    def card(folder: Path) -> str:
        measured = tuple(kind for kind in tflite if kind in quantize.KINDS)
        if len(measured) > 1:
            table.update(tflite_table.measure(result.task, folder, measured, data.val))
        return export.model_card(result.model, result.task, **facts, tflite=table)

    probe = next(iter(data.val))[0][:4] if result.probe is None else result.probe
    some = tflite_table.representatives(data.train) if "int8" in tflite else None
    return export.write(
        result.model,
        out,
        task=result.task,
        card=card,
        probe=probe,
        tflite=tflite,
        representatives=some,
    )


def _next_command(data: Data, version: Path, folder: Path) -> str:
    """`kvision predict` on one held-out image: the file itself, or a PNG made of the array's first."""
    image = data.val.path(0)
    if image is None:
        from PIL import Image

        image = folder / "example.png"
        Image.fromarray(data.val.original(0)).save(image)
    return shlex.join(["kvision", "predict", str(version / "assets.extra" / "model.tflite"), str(image)])


def _draw(drawings: dict[str, Callable], folder: Path) -> list[str]:
    if importlib.util.find_spec("matplotlib") is None:
        names = ", ".join(drawings)
        print(f"Left out, since matplotlib is not installed ({installation.extra('plots')}): {names}")
        return []
    from matplotlib.figure import Figure

    paths = []
    for name, draw in drawings.items():
        figure = Figure(figsize=(7, 6), layout="constrained")
        draw(figure.subplots())
        with atomic.file(folder / name) as temporary:
            figure.savefig(temporary, dpi=120)
        paths.append(str(folder / name))
    return paths


def device() -> str:
    """What this runs on, for reports."""
    return ", ".join(_gpus()) or f"{os.cpu_count()} CPU cores ({platform.machine()})"


def _gpus() -> list[str]:
    import keras

    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            found = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
            return [gpu.get("device_name", "GPU") for gpu in found]
        case "jax":
            import jax

            return [gpu.device_kind for gpu in jax.devices() if gpu.platform != "cpu"]
        case _:
            torch = importlib.import_module("torch")  # whoever chose this backend has it
            return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _tell(report: dict, folder: Path) -> None:
    score, (first, last), deciding = report["score"], report["columns"], report.get("deciding", {})
    more = "".join(f"{heading:>12}" for heading in deciding)
    print(f"\n{first:<12}{score.replace('_', ' '):>10}{'95 % interval':>18}{more}{'seconds':>10}   {last}")
    for name, row in report["results"].items():
        interval = "{:.3f} - {:.3f}".format(*row["interval"])
        more = "".join(f"{row[metric]:>12.4f}" for metric in deciding.values())
        mark = "  <- exported" if name == report["best"] else ""
        print(f"{name:<12}{row[score]:>10.4f}{interval:>18}{more}{row['seconds']:>10.1f}   {row['chosen']}{mark}")
    if report.get("rule"):
        print(report["rule"])
    if table := report.get("tflite"):
        from kvision.runs import tflite_table

        print("", *tflite_table.lines(table, score), sep="\n")
    print(f"\nModel:    {report['exports'][-1]}")
    if report.get("keras"):
        print(f"Keras:    {report['keras']}")
    print(f"Report:   {folder / 'report.json'}")
    if listed := report.get("wrong_images"):
        print(f"Wrong:    {listed['file']} ({listed['count']} of {listed['of']} test images)")
    for picture in report["pictures"]:
        print(f"Picture:  {picture}")
    print(f"\nNext:\n  {report['next']}")
