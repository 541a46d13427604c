"""Who is in the job: addresses, TensorFlow's TF_CONFIG, and the command of each host."""

import json
import random
import re
import shlex
import socket
from collections.abc import Collection, Sequence

from kvision import checks, exit_codes

__all__ = ["PORT", "free_ports", "host_commands", "parse_hosts", "tf_config"]

PORT = 2222  # of hosts that name none, as in TensorFlow's own examples
# Below the range from which Linux takes ports for outgoing connections: between the moment a port is found free and
# the moment TensorFlow listens on it lie seconds of imports.
_CANDIDATES = range(20000, 32768)


def tf_config(workers: Sequence[str], index: int) -> str:
    """TF_CONFIG of worker `index` among `workers`, each "host:port"; worker 0 is the chief."""
    return json.dumps({"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": index}})


def free_ports(count: int, *, avoid: Collection[int] = ()) -> list[int]:
    """`count` distinct ports on which nobody listens, none of them in `avoid`, in no order.

    Raises checks.UserError if there are not that many.
    """
    found: list[int] = []
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if len(found) == count:
            break
        if port not in avoid and _is_free(port):
            found.append(port)
    if len(found) < count:
        raise checks.error(
            "--workers",
            problem="is more than there are free ports",
            expected=f"free ports between {_CANDIDATES.start} and {_CANDIDATES.stop - 1}",
            received=f"{len(found)} of them",
        )
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))  # TensorFlow listens on every interface
        except OSError:
            return False
        return True


def parse_hosts(text: str) -> list[str]:
    """["host:port", ...] of "host,host:port,[IPv6]:port"; the default port is 2222. Raises checks.UserError."""
    hosts = []
    for name in text.split(","):
        match = re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?", name.strip(), re.ASCII)
        port = int(match[2] or PORT) if match else 0
        if not match or not 1 <= port <= 65535:
            raise checks.error("--hosts", expected="host,host:port,... with ports up to 65535", received=text)
        hosts.append(f"{match[1]}:{port}")
    if twice := next((host for host in hosts if hosts.count(host) > 1), None):
        raise checks.error(
            "--hosts",
            problem=f"names {twice} twice",
            expected="an address for each worker",
            received=text,
            hint="Workers on one host need ports of their own: host:2222,host:2223",
        )
    return hosts


def host_commands(hosts: Sequence[str], recipe: Sequence[str]) -> str:
    """What to type on each of `hosts` ("host:port") to run `recipe`, a shell script's text with a comment each."""
    lines = [
        f"# {len(hosts)} workers. Start all of them within 2 minutes (KVISION_JOIN_TIMEOUT seconds).",
        "# --data and --out must name folders that every host sees under the same path.",
        f"# Nobody watches them: if one dies, or ends with {exit_codes.RUN_AGAIN}, end the others and start all again.",
    ]
    for index, host in enumerate(hosts):
        lines += ["", f"# on {host.rpartition(':')[0]}: worker {index}{', the chief' if index == 0 else ''}"]
        lines.append(f"TF_CONFIG={shlex.quote(tf_config(hosts, index))} {shlex.join(['kvision', *recipe])}")
    return "\n".join(lines)
