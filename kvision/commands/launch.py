"""Runs a recipe in several processes, on one machine or on a cluster.

    kvision launch --workers 2 -- transfer --data FOLDER        on this machine
    kvision launch --hosts a,b -- transfer --data FOLDER        prints what to run on each host
    kvision launch --workers 4 --slurm -- transfer ...          prints a script for sbatch

On this machine every line of output is prefixed with its worker, and kept in a file each. When a worker dies, all
start again from the last checkpoint, on new ports, after a pause of 1, 2, 4 ... seconds. Ctrl-C ends all. SIGTERM ends
all after a checkpoint, with exit status 75: the same command goes on. The workers share the cores, unless
TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS or OMP_NUM_THREADS say otherwise. A worker that cannot join the others
in 120 seconds (KVISION_JOIN_TIMEOUT) says so and ends. Several GPUs in one machine need no launch: one process uses
them all.
"""

import argparse
import os
import pkgutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kvision import checks, child, commands, exit_codes, flags, recipes
from kvision.launching import cluster, slurm, supervisor

__all__ = ["main"]

_USAGE = "kvision launch --workers 2 -- transfer --data FOLDER"


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns the exit status: the job's, or 2 for a wrong call."""
    split = list(argv).index("--") if "--" in argv else len(argv)
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv[:split])
    recipe = list(argv[split + 1 :])
    try:
        if unknown:
            raise parser.unknown(unknown, hint=f"The recipe and its flags stand behind --, as in: {_USAGE}")
        _check(arguments, recipe)
        if arguments.hosts is not None:
            print(cluster.host_commands(_hosts(arguments), recipe))
            return 0
        if arguments.slurm:
            print(slurm.script(recipe, workers=arguments.workers, restarts=arguments.restarts), end="")
            return 0
        return _launch(arguments, recipe)
    except checks.UserError as problem:
        print(f"kvision launch: {problem}", file=sys.stderr)
        return exit_codes.USER_ERROR


def _parser() -> flags.Parser:
    parser = flags.Parser(
        prog="kvision launch",
        usage="kvision launch (--workers N | --hosts A,B,...) [flags] -- RECIPE [its flags]",
        description=__doc__,
    )
    parser.add_argument("--workers", type=int, metavar="N", help="number of processes; worker 0 is the chief")
    parser.add_argument("--hosts", metavar="A,B,...", help="print the command for each host (or host:port) instead")
    parser.add_argument("--slurm", action="store_true", help="print an sbatch script with N nodes instead")
    parser.add_argument("--restarts", type=int, default=3, metavar="N", help="of the whole job, in all (default: 3)")
    parser.add_argument(
        "--grace", type=float, default=30.0, metavar="SECONDS", help="from SIGTERM to SIGKILL (default: 30)"
    )
    parser.add_argument(
        "--logs", metavar="FOLDER", help="for worker-0.log ... (default: saved_models/launch/<date and time>)"
    )
    return parser


def _check(arguments: argparse.Namespace, recipe: Sequence[str]) -> None:
    names = _names(recipes)
    if not recipe:
        raise checks.error("--", problem="has nothing behind it", expected="a recipe", received="nothing", hint=_USAGE)
    if recipe[0] in _names(commands):
        raise checks.error(
            "RECIPE",
            problem="is a command, which runs in one process",
            expected=f"one of: {', '.join(names)}",
            received=recipe[0],
        )
    checks.one_of("RECIPE", recipe[0], names, hint="kvision --help lists them with a line each")
    if arguments.workers is None and arguments.hosts is None:
        raise checks.error("--workers", problem="is missing", expected="a number of processes", received=None)
    if arguments.workers is not None and arguments.workers < 1:
        raise checks.error("--workers", expected="1 or more", received=arguments.workers)
    if arguments.hosts is not None and arguments.slurm:
        raise checks.error(
            "--hosts", problem="and --slurm exclude each other", expected="one of them", received=arguments.hosts
        )
    if arguments.restarts < 0:
        raise checks.error("--restarts", expected="0 or more", received=arguments.restarts)
    if not 0 < arguments.grace < float("inf"):
        raise checks.error("--grace", expected="a number of seconds over 0", received=arguments.grace)


def _names(package) -> list[str]:
    return [info.name.replace("_", "-") for info in pkgutil.iter_modules(package.__path__)]


def _hosts(arguments: argparse.Namespace) -> list[str]:
    hosts = cluster.parse_hosts(arguments.hosts)
    if arguments.workers not in (None, len(hosts)):
        raise checks.error(
            "--workers",
            problem="does not fit --hosts",
            expected=f"{len(hosts)}, one a host, or no --workers at all",
            received=arguments.workers,
        )
    return hosts


def _launch(arguments: argparse.Namespace, recipe: Sequence[str]) -> int:
    try:
        logs = _logs(arguments.logs)
        _tell(f"{arguments.workers} workers; their output is kept in {logs}")
        return supervisor.supervise(
            child.command("kvision", *recipe),
            workers=arguments.workers,
            logs=logs,
            restarts=arguments.restarts,
            grace=arguments.grace,
            show=_show,
            tell=_tell,
        )
    except OSError as reason:
        raise checks.error(
            "--logs" if reason.filename else "--workers",
            problem="cannot be had here",
            expected="a folder that can be written, and as many processes as the system allows",
            received=str(reason),
        ) from None


def _logs(given: str | None) -> Path:
    """The folder, made; a new one if none is given."""
    if given is not None:
        folder = Path(given)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    stem, number = Path("saved_models", "launch", time.strftime("%Y%m%d-%H%M%S")), 1
    while True:
        folder = stem if number == 1 else stem.with_name(f"{stem.name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _show(line: str) -> None:
    _print(line, sys.stdout)


def _tell(text: str) -> None:
    _print(f"[launch] {text}", sys.stderr)


def _print(line: str, stream) -> None:
    """Who reads may have gone, or know fewer characters: neither stops the training."""
    try:
        print(line.encode(stream.encoding, "replace").decode(stream.encoding), file=stream, flush=True)
    except OSError:  # the rest goes nowhere, without a complaint at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
