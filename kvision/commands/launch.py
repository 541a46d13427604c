"""Runs a recipe in several processes, on this machine or on several machines.

Each line of output begins with the number of its worker, and each worker writes a log file. If a
worker dies, all workers start again from the last checkpoint. Ctrl-C stops all workers. SIGTERM
stops them after a checkpoint, and the exit status is 75. Run the same command again to continue.
With --hosts or --slurm the command starts nothing. It prints the commands or the script that you
then run on the machines.

For several GPUs in one machine you do not need this command: one process uses all GPUs.

Run:      kvision launch --workers 2 -- transfer --data FOLDER          on this machine
          kvision launch --hosts a,b -- transfer --data FOLDER          prints commands for hosts
          kvision launch --workers 4 --slurm -- transfer --data FOLDER  prints a script for sbatch

Environment: workers share the cores unless TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS or
OMP_NUM_THREADS is set. KVISION_JOIN_TIMEOUT is the time in seconds that workers wait for each
other (default: 120).
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
    """Runs the command.

    Args:
        argv: The command line after `kvision launch`.

    Returns:
        The exit status of the job, or 2 for invalid input.
    """
    split = list(argv).index("--") if "--" in argv else len(argv)
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv[:split])
    recipe = list(argv[split + 1 :])
    try:
        _check(arguments, recipe, parser, unknown)
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
        description=__doc__ or "",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="number of processes (or of nodes, with --slurm)")
    parser.add_argument(
        "--hosts", metavar="A,B,...", help="start nothing; print the command for each HOST or HOST:PORT"
    )
    parser.add_argument("--slurm", action="store_true", help="print a script for sbatch instead")
    parser.add_argument(
        "--restarts", type=int, default=3, metavar="N", help="how often the job is started again (default: 3)"
    )
    parser.add_argument(
        "--grace", type=float, default=30.0, metavar="SECONDS", help="time from SIGTERM to SIGKILL (default: 30)"
    )
    parser.add_argument(
        "--logs", metavar="FOLDER", help="folder for worker-0.log ... (default: saved_models/launch/TIME)"
    )
    return parser


def _check(arguments: argparse.Namespace, recipe: Sequence[str], parser: flags.Parser, unknown: Sequence[str]) -> None:
    if unknown:
        raise parser.unknown(unknown, hint=f"The recipe and its flags come after --, as in: {_USAGE}")
    if not recipe:
        raise checks.UserError("--", problem="has no recipe after it", expected=_USAGE, received=None)
    problem = "is a command, which runs in one process" if recipe[0] in _names(commands) else ""
    checks.one_of("RECIPE", recipe[0], _names(recipes), problem=problem, hint="`kvision --help` explains each of them")
    if arguments.workers is None and arguments.hosts is None:
        raise checks.UserError("--workers", problem="is missing", expected="a number of processes", received=None)
    if arguments.workers is not None and arguments.workers < 1:
        raise checks.UserError("--workers", expected="1 or more", received=arguments.workers)
    if arguments.hosts is not None and arguments.slurm:
        raise checks.UserError(
            "--hosts", problem="and --slurm exclude each other", expected="one of them", received=arguments.hosts
        )
    if arguments.restarts < 0:
        raise checks.UserError("--restarts", expected="0 or more", received=arguments.restarts)
    checks.positive({"--grace": arguments.grace})


def _names(package) -> list[str]:
    return [info.name.replace("_", "-") for info in pkgutil.iter_modules(package.__path__)]


def _hosts(arguments: argparse.Namespace) -> list[str]:
    hosts = cluster.parse_hosts(arguments.hosts)
    if arguments.workers not in (None, len(hosts)):
        raise checks.UserError(
            "--workers",
            problem="does not fit --hosts",
            expected=f"{len(hosts)}, one for each host, or no --workers at all",
            received=arguments.workers,
        )
    return hosts


def _launch(arguments: argparse.Namespace, recipe: Sequence[str]) -> int:
    try:
        started = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        logs = Path(arguments.logs or Path("saved_models", "launch", started))
        logs.mkdir(parents=True, exist_ok=True)
        _tell(f"{arguments.workers} workers; their logs are in {logs}")
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
        raise checks.UserError(
            "--logs" if reason.filename else "--workers",
            problem="is not possible here",
            expected="a folder that can be written to, and no more processes than the system allows",
            received=str(reason),
        ) from None


def _show(line: str) -> None:
    _print(line, sys.stdout)


def _tell(text: str) -> None:
    _print(f"[launch] {text}", sys.stderr)


def _print(line: str, stream) -> None:
    """Prints a line. A closed stream or an unknown character must not stop the training."""
    try:
        print(line.encode(stream.encoding, "replace").decode(stream.encoding), file=stream, flush=True)
    except OSError:  # Later output is dropped without an error at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
