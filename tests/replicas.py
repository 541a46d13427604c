"""Code in forked processes, on several logical devices or as several workers; a strategy lasts as long as a process."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Sequence

import forks

_BEFORE = """
import json, os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import warnings
import keras, numpy as np, tensorflow as tf
if {devices} > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * {devices})
import kvision as kv

def answer(**found):
    print("\\nANSWER " + json.dumps(found))

strategy = kv.distribute.pick_strategy({kind!r})
"""


def _ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def run(
    code: str, *, devices: int = 1, workers: int = 1, arguments: Sequence[str] = (), seconds: float = 300
) -> list[dict]:
    """Runs `code` in `workers` processes with `devices` logical CPUs each -> what each passed to `answer(**found)`.

    `strategy` is there: single, mirrored or multiworker, as the numbers say. An error in one raises with its output.
    """
    kind = "multiworker" if workers > 1 else "mirrored" if devices > 1 else "single"
    text = _BEFORE.format(devices=devices, kind=kind) + textwrap.dedent(code)
    addresses = [f"127.0.0.1:{port}" for port in _ports(workers)]
    processes = []
    for index in range(workers):
        environment = dict(os.environ)
        if workers > 1:
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment["TF_CONFIG"] = json.dumps(task)
        command = [sys.executable, "-W", "ignore", "-c", text, *arguments]
        processes.append(
            forks.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    try:
        outputs = [process.communicate(timeout=seconds)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    found = []
    for process, output in zip(processes, outputs, strict=True):
        lines = [line for line in output.splitlines() if line.startswith("ANSWER ")]
        assert process.returncode == 0 and lines, f"exit {process.returncode}\n{output[-4000:]}"
        found.append(json.loads(lines[-1].removeprefix("ANSWER ")))
    return found
