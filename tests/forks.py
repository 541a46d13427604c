"""Processes in which TensorFlow or JAX is imported already: forked from a server, for a fifth of the time.

`run` and `Popen` are those of `subprocess`. What a test says about a process that has imported nothing yet (which
modules a command imports, how a runtime is set up before the import) needs `subprocess` itself.
"""

import atexit
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
_PYTHON = sys.executable
_BACKENDS = {
    "tensorflow": {},
    # compiled without LLVM's optimization, which takes longer than what tests run
    "jax": {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"},
}


def jax_environment() -> dict[str, str]:
    """The environment of a process with Keras on JAX."""
    return {**os.environ, "KERAS_BACKEND": "jax", **_BACKENDS["jax"]}


class Popen(subprocess.Popen):
    """`subprocess.Popen`; `[sys.executable, ...]` with `-c`, `-m` or a file is forked by the server of its backend."""

    _connection: socket.socket | None = None  # None: an ordinary process

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest):
        if args[0] != _PYTHON:
            super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest)
            return
        assert not preexec_fn and not pass_fds, "not passed on"
        _, _, _, *pipes, _, _, _, _, _, new_session, _ = rest  # in the order of Python 3.11 and later
        (stdin, _, _, stdout, _, stderr) = pipes
        environment = dict(os.environ if env is None else env)
        request = {
            "arguments": [os.fspath(argument) for argument in args[1:]],
            "environment": environment,
            "folder": os.fspath(cwd or Path.cwd()),
            "new_session": bool(new_session),
        }
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server(environment.get("KERAS_BACKEND", "tensorflow")))
        files = [own if asked == -1 else asked for own, asked in enumerate((stdin, stdout, stderr))]
        socket.send_fds(self._connection, [json.dumps(request).encode()], files)
        self.pid = self._number()
        self._child_created = True
        self._close_pipe_fds(*pipes)

    def _number(self) -> int:
        found = self._connection.recv(4, socket.MSG_WAITALL)
        assert len(found) == 4, "the server that forks has ended"
        return int.from_bytes(found, "little", signed=True)

    def _try_wait(self, flags):  # `wait` of subprocess ends here; the process is the server's child
        if self._connection is None:
            return super()._try_wait(flags)
        self._connection.setblocking(not flags & os.WNOHANG)
        try:
            return self.pid, self._number()
        except BlockingIOError:
            return 0, 0

    def _internal_poll(self, *options, **named):
        if self._connection is None:
            return super()._internal_poll(*options, **named)
        if self.returncode is None:
            found, status = self._try_wait(os.WNOHANG)
            if found:
                self._handle_exitstatus(status)
        return self.returncode

    def _handle_exitstatus(self, status):
        super()._handle_exitstatus(status)
        if self._connection is not None:
            self._connection.close()


def run(arguments, *, capture_output=False, timeout=None, input=None, check=False, **options):
    """`subprocess.run` in a forked process."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with Popen(arguments, **options) as process:
        try:
            out, error = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, out, error)
    return subprocess.CompletedProcess(arguments, process.returncode, out, error)


@functools.cache
def _server(backend: str) -> str:
    """Starts the server of a backend when it is first asked for; its socket."""
    folder = tempfile.mkdtemp()
    path = str(Path(folder, "socket"))
    environment = {**os.environ, "KERAS_BACKEND": backend, **_BACKENDS[backend]}
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("fork_server.py")), path]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )

    def end() -> None:
        process.communicate()  # closes its input, at which it ends
        shutil.rmtree(folder)

    atexit.register(end)
    assert process.stdout.readline() == b"ready\n"
    return path
