"""Runs one job of several workers to its end: all are started again when one dies, with back-off, so many times."""

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

_PEERS = 3.0  # seconds for the peers of a dead worker: what they wait for in a collective never comes
_LONGEST_PAUSE = 60.0  # seconds


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
    """Runs `command` in `workers` processes until all have ended with 0; returns the job's exit status.

    When a worker dies, or ends with RUN_AGAIN unasked, all are ended and started again on new ports, `restarts` times
    over the whole job: the count is not taken back by progress, which the supervisor cannot see. Between two attempts
    lie `pause` seconds, then twice as many each time, at most 60. USER_ERROR and INTERRUPTED are final.

    SIGTERM (a cluster that takes the machine back) goes to all workers, which get `grace` seconds to write a
    checkpoint; the status is RUN_AGAIN then. So does SIGINT, and the status is INTERRUPTED; a second one kills at once.
    Otherwise the status is 0, or the failed worker's, 128 + N for a signal N.

    logs: an existing folder for worker-<i>.log, each of which holds all attempts. show: takes each line of the workers'
    output, prefixed; tell: what the supervisor itself has to say. Main thread only. Raises OSError if no process can be
    started or no log be written.
    """
    taken: set[int] = set()
    with SignalWatch() as watch:
        for attempt in range(restarts + 1):
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
            tell(f"{cause.describe()}. All start again in {seconds:g} s (restart {attempt + 1} of {restarts})")
            _sleep(seconds, watch)
            if watch.first:
                return _stopped(watch.first, tell)
    raise AssertionError("the last attempt returns")


def _run(team: Team, watch: SignalWatch, grace: float, tell: Callable[[str], None]) -> None:
    """Until nobody runs: by themselves, or ended because one failed or a signal came."""
    while team.running and not team.failed and not watch.first:
        team.pump()
    if not team.running:
        return
    before = watch.interrupts
    if watch.first:
        name = signal.Signals(watch.first).name
        tell(f"{name}: the workers have {grace:g} s to end" + (" (Ctrl-C again: at once)" if before else ""))
        team.end(watch.first, grace, lambda: watch.interrupts > before)
    else:
        team.end(signal.SIGTERM, min(grace, _PEERS), lambda: watch.interrupts > before)


def _stopped(number: int, tell: Callable[[str], None]) -> int:
    tell("stopped. The same command goes on" + (" where it can" if number == signal.SIGINT else ""))
    return exit_codes.INTERRUPTED if number == signal.SIGINT else exit_codes.RUN_AGAIN


def _report(cause: Worker, code: int, attempt: int) -> str:
    why = ""
    if code == exit_codes.USER_ERROR:
        why = ", which a restart does not mend"
    elif attempt:
        why = f", after {attempt} restart{'s' if attempt > 1 else ''}"
    last = "".join(f"\n    {line}" for line in cause.log.last) or " nothing"
    return f"{cause.describe()}{why}. It said last:{last}\nAll that it said: {cause.log.path}"


def _sleep(seconds: float, watch: SignalWatch) -> None:
    deadline = time.monotonic() + seconds
    while not watch.first and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
