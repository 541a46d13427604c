import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kvision import checks
from kvision.launching import cluster


def test_tf_config():
    """That TensorFlow reads it is seen in test_supervisor, where two workers join."""
    assert json.loads(cluster.tf_config(["a:1", "b:2", "c:3"], 2)) == {
        "cluster": {"worker": ["a:1", "b:2", "c:3"]},
        "task": {"type": "worker", "index": 2},
    }


def test_ports_are_distinct_free_and_not_those_to_avoid(monkeypatch):
    ports = cluster.free_ports(50)
    assert len(set(ports)) == 50
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
    monkeypatch.setattr(cluster, "_CANDIDATES", range(ports[0], ports[0] + 1))
    assert cluster.free_ports(1) == [ports[0]]
    with pytest.raises(checks.UserError, match=r"`--workers` .*ports"):
        cluster.free_ports(1, avoid={ports[0]})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", ports[0]))
        listener.listen()
        with pytest.raises(checks.UserError, match="Received: '0 free ports'"):
            cluster.free_ports(1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ports_are_not_those_of_outgoing_connections():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 32768:
        pytest.skip(f"this machine's outgoing connections begin at port {lowest}")
    assert max(cluster.free_ports(100)) < lowest


def test_hosts():
    assert cluster.parse_hosts("a, b.example.org:99,10.0.0.1,[fe80::1]:5") == [
        "a:2222",
        "b.example.org:99",
        "10.0.0.1:2222",
        "[fe80::1]:5",
    ]
    assert cluster.parse_hosts("a,a:2223") == ["a:2222", "a:2223"]


@pytest.mark.parametrize("text", ["", "a,,b", "a:0", "a:65536", "a:x", "a:", "a b", "a;b", "$(a)", "fe80::1", "a/b"])
def test_what_names_no_host_is_refused(text):
    with pytest.raises(checks.UserError, match="`--hosts`"):
        cluster.parse_hosts(text)


def test_one_address_twice_is_refused_with_the_way_out():
    with pytest.raises(checks.UserError, match=r"names a:2222 twice.*host:2222,host:2223"):
        cluster.parse_hosts("a,b,a:2222")


def test_the_commands_run_in_a_shell_and_reach_the_worker_as_they_were(tmp_path):
    kvision = tmp_path / "kvision"
    kvision.write_text(
        f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([os.environ['TF_CONFIG'], sys.argv[1:]]))\n"
    )
    kvision.chmod(0o755)
    recipe = ["transfer", "--data", "it's a folder", "--out", "$HOME"]
    script = cluster.host_commands(["a:1", "b:2"], recipe)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(["sh", "-ec", script], env=environment, capture_output=True, text=True, check=True)
    seen = [json.loads(line) for line in result.stdout.splitlines()]
    assert seen == [[cluster.tf_config(["a:1", "b:2"], i), recipe] for i in range(2)]
    assert "# On a: worker 0, the chief" in script and "# On b: worker 1\n" in script
    assert "--data and --out" in script and len([line for line in script.splitlines() if shlex.split(line, True)]) == 2
