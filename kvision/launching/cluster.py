"""Addresses of the workers of a job, TensorFlow's TF_CONFIG, and the command of each host."""

import json
import random
import re
import shlex
import socket
from collections.abc import Collection, Sequence

from kvision import checks, exit_codes

__all__ = ["PORT", "free_ports", "host_commands", "parse_hosts", "tf_config"]

PORT = 2222  # The port for a host without a port, as in TensorFlow's examples.
# These ports are below the ports that Linux uses for outgoing connections. TensorFlow needs seconds to import before it
# listens on a port, and meanwhile an outgoing connection could use the port.
_CANDIDATES = range(20000, 32768)


def tf_config(workers: Sequence[str], index: int) -> str:
    """Returns the value of TF_CONFIG for a worker.

    Args:
        workers: Addresses "host:port" of all workers. The first one is the chief.
        index: Number of this worker, from 0.
    """
    return json.dumps({"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": index}})


def free_ports(count: int, *, avoid: Collection[int] = ()) -> list[int]:
    """Finds ports on which no process listens.

    Args:
        count: Number of ports.
        avoid: Ports that must not be chosen.

    Returns:
        `count` different ports, in random order.

    Raises:
        UserError: If there are fewer than `count` free ports.
    """
    found: list[int] = []
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if len(found) == count:
            break
        if port not in avoid and _is_free(port):
            found.append(port)
    if len(found) < count:
        raise checks.UserError(
            "--workers",
            problem="needs more ports than are free",
            expected=f"{count} free ports between {_CANDIDATES.start} and {_CANDIDATES.stop - 1}",
            received=f"{len(found)} free ports",
        )
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))  # TensorFlow listens on every interface.
        except OSError:
            return False
        return True


def parse_hosts(text: str) -> list[str]:
    """Returns the addresses "host:port" in the text of the flag `--hosts`.

    Args:
        text: Hosts with or without a port, as "host,host:port,[IPv6]:port". The default port is 2222.

    Raises:
        UserError: If a host is not valid, or if an address occurs twice.
    """
    hosts = []
    for name in text.split(","):
        match = re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?", name.strip(), re.ASCII)
        port = int(match[2] or PORT) if match else 0
        if not match or not 1 <= port <= 65535:
            raise checks.UserError("--hosts", expected="HOST,HOST:PORT,... with ports up to 65535", received=text)
        hosts.append(f"{match[1]}:{port}")
    if twice := next((host for host in hosts if hosts.count(host) > 1), None):
        raise checks.UserError(
            "--hosts",
            problem=f"names {twice} twice",
            expected="a different address for each worker",
            received=text,
            hint="Workers on one host need different ports: host:2222,host:2223",
        )
    return hosts


def host_commands(hosts: Sequence[str], recipe: Sequence[str]) -> str:
    """Returns a text with the command that starts the worker of each host.

    Args:
        hosts: Addresses "host:port" of all workers.
        recipe: Name of the recipe, then its flags.
    """
    lines = [
        f"# {len(hosts)} workers. Start all of them within 2 minutes (KVISION_JOIN_TIMEOUT seconds).",
        "# --data and --out must be folders that every host sees under the same path.",
        f"# Nothing restarts them. If one dies or ends with {exit_codes.RUN_AGAIN}, end the others and start all.",
    ]
    for index, host in enumerate(hosts):
        lines += ["", f"# On {host.rpartition(':')[0]}: worker {index}{', the chief' if index == 0 else ''}"]
        lines.append(f"TF_CONFIG={shlex.quote(tf_config(hosts, index))} {shlex.join(['kvision', *recipe])}")
    return "\n".join(lines)
