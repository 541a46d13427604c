"""All workers of one attempt: read together, ended together."""

import os
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kvision import exit_codes
from kvision.launching import cluster, cores
from kvision.launching.logs import Log
from kvision.launching.worker import Worker

__all__ = ["Team"]

_TICK = 0.05  # seconds between two looks at who has ended
_REST = 2.0  # seconds for the output of workers that are gone, where a process that escaped holds it open


class Team:
    """Workers that form one cluster on this machine. Use as a context: whatever happens in it, no worker stays."""

    def __init__(self, command: Sequence[str], ports: Sequence[int], logs: Path, show: Callable[[str], None]):
        """A worker for each of `ports`, all running `command`; they differ in TF_CONFIG.

        logs: an existing folder for worker-0.log, worker-1.log ...; show: takes a line of output without its end.
        """
        self._command, self._logs, self._show = list(command), logs, show
        self._addresses = [f"127.0.0.1:{port}" for port in ports]
        self._selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []

    def __enter__(self) -> "Team":
        try:
            for index in range(len(self._addresses)):
                log = Log(self._logs / f"worker-{index}.log", self._prefixed(index))
                worker = Worker(index, self._command, self._environment(os.environ, index), log)
                self.workers.append(worker)
                self._selector.register(worker, selectors.EVENT_READ)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for worker in self.workers:
            worker.kill()
        deadline = time.monotonic() + _REST
        while self._selector.get_map() and time.monotonic() < deadline:
            self.pump()
        for worker in self.workers:
            worker.close()
        self._selector.close()

    @property
    def running(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.code is None]

    @property
    def failed(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.code not in (None, 0)]

    def pump(self) -> None:
        """Shows what the workers wrote and looks who has ended; returns within some 50 ms."""
        for key, _ in self._selector.select(_TICK):
            if not key.fileobj.read():
                self._selector.unregister(key.fileobj)
        for worker in self.workers:
            worker.log.tick()
            worker.poll()

    def end(self, number: int, grace: float, hurry: Callable[[], bool]) -> None:
        """Sends signal `number` to all that run; kills who runs after `grace` seconds, or when `hurry` says so."""
        for worker in self.running:
            worker.send(number)
        deadline = time.monotonic() + grace
        while self.running and time.monotonic() < deadline and not hurry():
            self.pump()
        for worker in self.running:
            worker.kill()

    def cause(self) -> Worker | None:
        """The worker whose failure explains the others', None if none failed.

        An input to mend and Ctrl-C come first: nobody is to be started again. "Run me again" comes last: that is what
        a worker says whose peer died. What our own signals ended explains nothing. Else the first in time.
        """
        return min(self.failed, key=lambda worker: (_rank(worker), worker.ended), default=None)

    def _environment(self, environment: Mapping[str, str], index: int) -> dict[str, str]:
        own = {"TF_CONFIG": cluster.tf_config(self._addresses, index)}
        # a pipe is not a terminal: Python would hold lines back
        return {"PYTHONUNBUFFERED": "1", **environment, **cores.share(environment, len(self._addresses)), **own}

    def _prefixed(self, index: int) -> Callable[[str], None]:
        return lambda line: self._show(f"[worker {index}] {line}")


def _rank(worker: Worker) -> int:
    if worker.was_ended:
        return 4
    order = {exit_codes.USER_ERROR: 0, exit_codes.INTERRUPTED: 1, exit_codes.RUN_AGAIN: 3}
    return order.get(worker.code or 0, 2)
