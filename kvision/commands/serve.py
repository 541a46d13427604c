"""Serves a SavedModel over gRPC as TF Serving does, to try clients.

MODEL is a version folder, or the folder above it, whose newest version is taken. Its SavedModel is loaded, which is
code that can read and write your files: serve only those whose origin you know. It speaks TF Serving's own messages:
`PredictionService.Predict` and `GetModelMetadata`, with every input checked against the signature. Requests may hold
256 MiB (gRPC's own limit is 4 MiB). It has no batching, no reload and no access control: for production take TF
Serving. Ctrl-C stops it.
"""

import argparse
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from kvision import checks, flags, installation

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs until SIGINT or SIGTERM; returns the exit status: 0, or 2 for a wrong call."""
    parser = flags.Parser(prog="kvision serve", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="SavedModel folder, or the folder of its versions")
    parser.add_argument("--name", help="the model's name in requests (default: the name of the folder of versions)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8500, help="0 takes a free one (default: 8500)")
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # before the slow start: it can be stopped too
        signal.signal(number, lambda *_: stop.set())
    try:
        server, line = _start(arguments)
    except checks.UserError as problem:
        print(f"kvision serve: {problem}", file=sys.stderr)
        return 2
    print(line, flush=True)
    stop.wait()
    server.stop(grace=5).wait()  # what runs may finish
    return 0


def _start(arguments: argparse.Namespace):
    if not 0 <= arguments.port <= 65535:
        raise checks.error("--port", expected="a number from 0 to 65535", received=arguments.port)
    from kvision.export import versions

    folder = versions.require(Path(arguments.model).resolve())
    for package in ("grpc", "tensorflow_serving"):
        if importlib.util.find_spec(package) is None:
            raise checks.error(
                package,
                problem="is not installed",
                expected="the packages of the extra `serving`",
                received="an installation without it",
                hint=f"Run: {installation.extra('serving')}",
            )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from kvision.serving import server, service

    name = arguments.name or (folder.parent.name if folder.name.isdecimal() else folder.name)
    model = service.Service(folder, name)
    running, port = server.start(model, arguments.host, arguments.port)
    signatures = ", ".join(model.signatures)
    return running, f"Serving {name} version {model.version} on {arguments.host}:{port} (gRPC): {signatures}"
