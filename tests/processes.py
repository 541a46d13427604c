"""Jobs of small processes that import nothing heavy, run in this process or below a launcher of their own; tests that
need a process of their own."""

import contextlib
import inspect
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import forks

from kvision.launching import supervisor

# what every worker's program begins with: who it is, where to leave traces, and a wait until all have begun
BEGIN = """
import json, os, pathlib, signal, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index, folder = config["task"]["index"], pathlib.Path(os.environ["FOLDER"])
attempt = len(list(folder.glob(f"begun-{index}-*")))
begun = folder / f"begun-{index}-{attempt}"
begun.with_suffix(".new").write_text(json.dumps([os.getpid(), config["cluster"]["worker"]]))
begun.with_suffix(".new").rename(begun)
while len(list(folder.glob(f"begun-*-{attempt}"))) < len(config["cluster"]["worker"]): time.sleep(0.01)
"""
LAUNCHER = """
import pathlib, sys
from kvision.launching import supervisor
sys.exit(supervisor.supervise(
    [sys.executable, "-c", sys.argv[1]], workers=2, logs=pathlib.Path(sys.argv[2]), grace=float(sys.argv[3]),
    pause=float(sys.argv[4]), show=print, tell=lambda text: print("[launch]", text, flush=True)))
"""


def within(main: Callable[[list[str]], int], *arguments: str | Path) -> subprocess.CompletedProcess:
    """A command in this process, which has imported already what a new one takes seconds for."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        status = main([str(argument) for argument in arguments])
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), error.getvalue())


# a module of tests may ask for pytest's parts when it is imported, and needs none of them to call one function
CALL = "import runpy, sys; sys.path.insert(0, sys.argv[1]); runpy.run_path(sys.argv[2])[sys.argv[3]](*sys.argv[4:])"


def alone(case: Callable[..., None], *arguments: str | Path) -> str:
    """Calls a function of a module of tests in a process of its own; -> its standard error.

    For what raises signals: one that meets no handler ends the tests' process, and says nothing.
    """
    path = Path(inspect.getfile(case)).resolve()
    command = [sys.executable, "-c", CALL, str(Path(__file__).parent), str(path), case.__name__, *map(str, arguments)]
    result = forks.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"exit status {result.returncode}\n{result.stderr}"
    return result.stderr


def _signals_as_usual() -> None:
    """Whoever started the tests may ignore some, as `nohup` does; a process inherits that."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _Launcher(subprocess.Popen):
    """A test that fails ends it, instead of waiting for it."""

    def __exit__(self, kind, *rest) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


class Job:
    """What came of `supervise`, and where to look."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lines: list[str] = []
        self.told: list[str] = []
        self.logs = folder / "logs"
        self.logs.mkdir()

    def run(self, program: str, *, workers: int = 2, **options) -> int:
        options = {"restarts": 0, "pause": 0.01, **options}
        command = [sys.executable, "-c", BEGIN + program]
        return supervisor.supervise(
            command, workers=workers, logs=self.logs, show=self.lines.append, tell=self.told.append, **options
        )

    def launcher(self, program: str, *, grace: float = 30.0, pause: float = 0.01, prefix=()) -> subprocess.Popen:
        """Two workers below a process of its own, in a session of its own: it can be signaled, or killed."""
        command = [*prefix, sys.executable, "-c", LAUNCHER, BEGIN + program, str(self.logs), str(grace), str(pause)]
        return _Launcher(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_signals_as_usual,
        )

    def begun(self) -> list[tuple[int, list[str]]]:
        """(process id, addresses) of every worker that ever began."""
        return [tuple(json.loads(path.read_text())) for path in sorted(self.folder.glob("begun-*[0-9]"))]

    def pids(self) -> list[int]:
        return [pid for pid, _ in self.begun()]


def wait_until(true: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Runs; an orphan that nobody has collected yet does not."""
    try:
        os.kill(pid, 0)
        return sys.platform != "linux" or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
