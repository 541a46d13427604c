"""Serves an exported model over gRPC, like TensorFlow Serving. For tests.

MODEL is the folder of an exported model or of one version. The newest version is served.
The server answers `PredictionService.Predict` and `GetModelMetadata`. It has no batching, no reload
and no access control: use TensorFlow Serving for production. Ctrl-C stops it. Needs the extra
`serving`.

A SavedModel is code that can read and write your files. Serve a model only if you know where it
comes from.

Run:      kvision serve saved_models/transfer
          kvision serve saved_models/transfer --port 9000
          kvision serve saved_models/transfer/3 --host 0.0.0.0 --name flowers
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

# The flag or argument of this command for each parameter of the library.
_FLAGS = {"folder": "MODEL", "port": "--port"}


def main(argv: Sequence[str]) -> int:
    """Serves until SIGINT or SIGTERM.

    Args:
        argv: The command line after `kvision serve`.

    Returns:
        The exit status: 0, or 2 for invalid input.
    """
    parser = flags.Parser(prog="kvision serve", description=__doc__ or "", usage="%(prog)s MODEL [flags]")
    parser.add_argument("model", metavar="MODEL", help="folder of an exported model, or of one version")
    parser.add_argument("--name", metavar="NAME", help="the model's name in requests (default: the folder's name)")
    parser.add_argument("--host", metavar="HOST", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=int, default=8500, help="0 takes a free port (default: 8500)")
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    # Set before the start, which is slow, so that the start can be stopped too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        server, line = _start(arguments)
    except checks.UserError as problem:
        print(f"kvision serve: {problem.renamed(_FLAGS.get(problem.argument, problem.argument))}", file=sys.stderr)
        return 2
    print(line, flush=True)
    stop.wait()
    server.stop(grace=5).wait()  # Running requests may finish.
    return 0


def _start(arguments: argparse.Namespace):
    if not 0 <= arguments.port <= 65535:
        raise checks.UserError("--port", expected="a number from 0 to 65535", received=arguments.port)
    from kvision.export import versions

    folder = versions.require(Path(arguments.model).resolve(), argument="MODEL")
    for package in ("grpc", "tensorflow_serving"):
        if importlib.util.find_spec(package) is None:
            raise checks.UserError(
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
