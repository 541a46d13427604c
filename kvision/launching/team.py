"""All workers of one attempt of a job."""

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

_TICK = 0.05  # Seconds between two checks for workers that have ended.
_REST = 2.0  # Seconds to read the output of ended workers. A process that was not killed may keep it open.


class Team:
    """Context that runs workers as one cluster on this machine. At its end all workers are killed.

    Args:
        command: Program and arguments of every worker. The workers differ in TF_CONFIG.
        ports: The port of each worker.
        logs: An existing folder for worker-0.log, worker-1.log and so on.
        show: Function that shows a line of output. It gets the line without its end.
    """

    def __init__(self, command: Sequence[str], ports: Sequence[int], logs: Path, show: Callable[[str], None]):
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
        """The workers that are running."""
        return [worker for worker in self.workers if worker.code is None]

    @property
    def failed(self) -> list[Worker]:
        """The workers that have ended with an error."""
        return [worker for worker in self.workers if worker.code not in (None, 0)]

    def pump(self) -> None:
        """Shows new output and checks for workers that have ended. Takes about 50 ms."""
        for key, _ in self._selector.select(_TICK):
            if not key.fileobj.read():
                self._selector.unregister(key.fileobj)
        for worker in self.workers:
            worker.poll()

    def end(self, number: int, grace: float, hurry: Callable[[], bool]) -> None:
        """Ends all workers.

        Args:
            number: The signal that running workers get.
            grace: Seconds after which workers that still run are killed.
            hurry: Function that returns whether to kill the workers now.
        """
        for worker in self.running:
            worker.send(number)
        deadline = time.monotonic() + grace
        while self.running and time.monotonic() < deadline and not hurry():
            self.pump()
        for worker in self.running:
            worker.kill()

    def cause(self) -> Worker | None:
        """Returns the worker that caused the failure of all workers, or None if no worker failed.

        An input error and Ctrl-C come first, because a restart does not help. RUN_AGAIN comes late, because a worker
        ends with this status when a different worker died. A worker that the launcher ended comes last. Among equal
        causes, the earliest one is chosen.
        """
        return min(self.failed, key=lambda worker: (_rank(worker), worker.ended), default=None)

    def _environment(self, environment: Mapping[str, str], index: int) -> dict[str, str]:
        own = {"TF_CONFIG": cluster.tf_config(self._addresses, index)}
        # By default Python buffers its output to a pipe.
        return {"PYTHONUNBUFFERED": "1", **environment, **cores.share(environment, len(self._addresses)), **own}

    def _prefixed(self, index: int) -> Callable[[str], None]:
        return lambda line: self._show(f"[worker {index}] {line}")


def _rank(worker: Worker) -> int:
    if worker.was_ended:
        return 4
    order = {exit_codes.USER_ERROR: 0, exit_codes.INTERRUPTED: 1, exit_codes.RUN_AGAIN: 3}
    return order.get(worker.code or 0, 2)
