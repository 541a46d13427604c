"""Lets the processes of a job wait for each other. TensorFlow's own wait blocks Python and has no time limit."""

import contextlib
import hashlib
import socket
import time
from collections.abc import Sequence

__all__ = ["missing"]

_POLL_SECONDS = 0.1
_GO = b"go\n"


def missing(workers: Sequence[str], index: int, seconds: float) -> list[str]:
    """Waits until all processes of a job have started. The function returns on all processes at the same time.

    The first process listens on its port, and the other processes connect to it. The port is free again afterwards.

    Args:
        workers: "host:port" of each process. All processes must pass the same list.
        index: Number of this process.
        seconds: Longest time to wait, in seconds.

    Returns:
        An empty list if all processes have come, else the names of the missing processes, if they are known.
    """
    deadline = time.monotonic() + seconds
    job = hashlib.sha256("\n".join(workers).encode()).hexdigest()[:16]  # because a different job may use the same port
    if index == 0:
        return [workers[i] for i in _gather(_port(workers[0]), len(workers), job, deadline)]
    return _report(workers, f"{job} {index}\n".encode(), deadline)


def _port(worker: str) -> tuple[str, int]:
    host, _, port = worker.rpartition(":")
    return host.strip("[]"), int(port)


def _gather(address: tuple[str, int], count: int, job: str, deadline: float) -> list[int]:
    came: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        server = None
        while time.monotonic() < deadline:
            if server is None:
                with contextlib.suppress(OSError):  # The process that used the port before may still be ending.
                    server = stack.enter_context(_listen(address[1]))
                    server.settimeout(_POLL_SECONDS)
                if server is None:
                    time.sleep(_POLL_SECONDS)
                    continue
            for index in [index for index, known in came.items() if _gone(known)]:
                came.pop(index).close()
            if len(came) == count - 1:
                break
            with contextlib.suppress(OSError):
                visitor = stack.enter_context(server.accept()[0])
                visitor.settimeout(1)
                with visitor.makefile("rb") as said:
                    name, _, number = said.readline(64).decode("ascii", "replace").strip().partition(" ")
                if name == job and number.isdecimal() and 0 < int(number) < count:
                    came[int(number)] = visitor
        absent = [index for index in range(1, count) if index not in came]
        for known in [] if absent else came.values():
            with contextlib.suppress(OSError):
                known.sendall(_GO)
                known.recv(1)  # The other processes close the connection first, so that the port is free at once.
        return absent


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _gone(peer: socket.socket) -> bool:
    """Returns whether the other side has closed the connection. It sends nothing until it gets the signal to go on."""
    peer.setblocking(False)
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        peer.settimeout(1)


def _report(workers: Sequence[str], hello: bytes, deadline: float) -> list[str]:
    met = False
    while (left := deadline - time.monotonic()) > 0:
        address = _port(workers[0])
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=left) as first:
            first.sendall(hello)
            met = True
            first.settimeout(max(deadline - time.monotonic(), _POLL_SECONDS))
            with first.makefile("rb") as said:
                if said.readline(len(_GO)) == _GO:
                    return []
            met = False
        time.sleep(_POLL_SECONDS)
    return [f"workers other than {workers[0]}"] if met else [workers[0]]
