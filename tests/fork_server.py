"""A process that has imported what takes seconds, and forks a child for each request.

Run as `python fork_server.py SOCKET`; `forks.py` sends the requests. A child is as a new interpreter is: its own
environment, arguments, working directory and standard files, and no TensorFlow runtime yet. Only the imports are there.
"""

import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import types
from pathlib import Path

# of kvision what commands and tests use; sklearn and matplotlib are imported by what uses them
PARTS = ("backbones", "data", "decoders", "distribute", "export.saved_model", "export.rerun", "heads")
PARTS += (
    "layers",
    "losses",
    "metrics",
    "plots",
    "runs",
    "schedules",
    "segmentation",
    "selfsup",
    "training",
    "transfer",
)
PARTS += ("augment", "features", "tasks")


def preload() -> None:
    """Imports; nothing here may start TensorFlow's or JAX's runtime, whose threads do not live through a fork."""
    import keras  # noqa: F401

    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import tensorflow  # noqa: F401
        from tensorflow.python.eager import context  # not public
    for part in PARTS:
        importlib.import_module(f"kvision.{part}")
    if "tensorflow" in sys.modules:
        assert context.context()._context_handle is None, "an import has started TensorFlow's runtime"


def serve(listener: socket.socket) -> dict:
    """Forks a child a request, and tells the sender its process id and later its status; returns in each child."""
    children: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:  # who started this process is gone
                raise SystemExit
            if key.fileobj is woken:
                woken.recv(4096)
                for pid in list(children):
                    found, status = os.waitpid(pid, os.WNOHANG)
                    if found:
                        with children.pop(pid) as connection:
                            _tell(connection, status)
                continue
            connection, _ = listener.accept()
            text, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                for each in (*children.values(), listener, connection, woken, wake):
                    each.close()
                return {**json.loads(text), "files": files}
            for file in files:
                os.close(file)
            _tell(connection, pid)
            children[pid] = connection


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # it does not want to know any more
        connection.sendall(number.to_bytes(4, "little", signed=True))


def become(request: dict) -> None:
    """Makes this process the one that was asked for."""
    if request["new_session"]:
        os.setsid()
    for target, file in enumerate(request["files"]):
        os.dup2(file, target)
        os.close(file)
    # those of the server belong to other files; these stay open as long as the process
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])


def run(arguments: list[str]) -> None:
    """What `python ARGUMENTS` runs: `-c CODE`, `-m MODULE` or a file; of flags `-W ignore` and `-P` alone."""
    if arguments[0] == "-P":  # of `kvision.child`, which finds kvision by itself
        arguments = arguments[1:]
    if arguments[:2] == ["-W", "ignore"]:
        import warnings

        warnings.simplefilter("ignore")
        arguments = arguments[2:]
    kind, *rest = arguments
    sys.path.append(sys.path[0])  # the tests' own modules
    sys.path[0] = ""
    if kind == "-c":
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    elif kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(kind).parent)
        sys.argv = arguments
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as entrance:
        entrance.bind(sys.argv[1])
        entrance.listen(64)
        preload()
        print("ready", flush=True)
        asked = serve(entrance)
    become(asked)
    run(asked["arguments"])
