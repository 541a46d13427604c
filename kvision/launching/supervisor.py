"""Runs a job of several workers, and restarts all of them when one dies."""

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kvision import exit_codes
from kvision.launching import cluster
from kvision.launching.signals import SignalWatch
from kvision.launching.team import Team
from kvision.launching.worker import Worker

__all__ = ["supervise"]

_PEERS = 3.0  # Seconds for the remaining workers to end after one died: they wait for it in vain.
_LONGEST_PAUSE = 60.0  # Seconds.


def supervise(
    command: Sequence[str],
    *,
    workers: int,
    logs: Path,
    restarts: int = 3,
    grace: float = 30.0,
    pause: float = 1.0,
    show: Callable[[str], None],
    tell: Callable[[str], None],
) -> int:
    """Runs a command in several processes until all have ended with 0. Call this function in the main thread.

    If a worker dies, all workers are ended and started again on new ports. The same happens if a worker ends with
    RUN_AGAIN although this function sent no signal to it. The pause before a restart doubles each time, up to 60
    seconds. A job that ended with USER_ERROR or INTERRUPTED is not restarted.

    On SIGTERM (a cluster needs the machine) or SIGINT (Ctrl-C), all workers get the signal and have time to write a
    checkpoint. A second SIGINT kills the workers.

    Args:
        command: Program and arguments of every worker.
        workers: Number of workers.
        logs: An existing folder for worker-<i>.log. Each file holds all attempts.
        restarts: Number of restarts in the whole job. Progress does not reset the count.
        grace: Seconds after the signal until workers that still run are killed.
        pause: Seconds before the first restart.
        show: Function that shows a line of a worker's output, with a prefix.
        tell: Function that shows a message of the supervisor.

    Returns:
        The exit status of the job: 0 for success, RUN_AGAIN after SIGTERM, INTERRUPTED after SIGINT. Otherwise the exit
        status of the worker that failed, or 128 + N if signal N ended this worker.

    Raises:
        OSError: If a process cannot be started, or a log cannot be written.
    """
    taken: set[int] = set()
    attempt = 0
    with SignalWatch() as watch:
        while True:
            ports = cluster.free_ports(workers, avoid=taken)
            taken.update(ports)
            with Team(command, ports, logs, show) as team:
                _run(team, watch, grace, tell)
            cause = team.cause()
            if cause is None:
                return 0
            if watch.first:
                return _stopped(watch.first, tell)
            code = cause.code or 0
            if attempt == restarts or code in (exit_codes.USER_ERROR, exit_codes.INTERRUPTED):
                tell(_report(cause, code, attempt))
                return code if code > 0 else 128 - code
            seconds = min(pause * 2**attempt, _LONGEST_PAUSE)
            tell(f"{cause.describe()}. All workers restart in {seconds:g} s (restart {attempt + 1} of {restarts})")
            _sleep(seconds, watch)
            if watch.first:
                return _stopped(watch.first, tell)
            attempt += 1


def _run(team: Team, watch: SignalWatch, grace: float, tell: Callable[[str], None]) -> None:
    """Runs the workers until all have ended. If one fails or a signal arrives, ends the remaining workers."""
    while team.running and not team.failed and not watch.first:
        team.pump()
    if not team.running:
        return
    before = watch.interrupts
    if watch.first:
        name = signal.Signals(watch.first).name
        again = "; press Ctrl-C again to kill them now" if before else ""
        tell(f"{name}: the workers have {grace:g} s to write a checkpoint and end{again}")
        team.end(watch.first, grace, lambda: watch.interrupts > before)
    else:
        team.end(signal.SIGTERM, min(grace, _PEERS), lambda: watch.interrupts > before)


def _stopped(number: int, tell: Callable[[str], None]) -> int:
    tell("Stopped. Run the same command again to continue from the last checkpoint")
    return exit_codes.INTERRUPTED if number == signal.SIGINT else exit_codes.RUN_AGAIN


def _report(cause: Worker, code: int, attempt: int) -> str:
    why = ""
    if code == exit_codes.USER_ERROR:
        why = ". A restart does not help"
    elif attempt:
        why = f", after {attempt} restart{'s' if attempt > 1 else ''}"
    last = "".join(f"\n    {line}" for line in cause.log.last) or " nothing"
    return f"{cause.describe()}{why}. Its last output:{last}\nIts whole output: {cause.log.path}"


def _sleep(seconds: float, watch: SignalWatch) -> None:
    deadline = time.monotonic() + seconds
    while not watch.first and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
