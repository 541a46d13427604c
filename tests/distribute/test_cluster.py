import json
import os
import socket
import sys

import forks
import pytest
import tensorflow as tf

from kvision.checks import UserError
from kvision.distribute import cluster


def config(workers=("a:1", "b:2"), **task) -> str:
    return json.dumps({"cluster": {"worker": list(workers)}, "task": {"type": "worker", "index": 0, **task}})


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    for name in list(os.environ):
        if name == "TF_CONFIG" or name.startswith("SLURM_"):
            monkeypatch.delenv(name)


def test_a_cluster_is_read_and_one_worker_is_none(monkeypatch):
    assert cluster.from_environment() is None
    monkeypatch.setenv("TF_CONFIG", config(index=1))
    found = cluster.from_environment()
    assert found == {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", config(["a:1"]))
    assert cluster.from_environment() is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        '{"cluster": {"worker": ["a:1", "b:2"], "ps": ["c:3"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": {"a:1": 0, "b:2": 1}}, "task": {"type": "worker", "index": 0}}',
        config(type="chief"),
        config(index=2),
        config(index=-1),
        config(index="0"),
        config(index=0.5),
        config(index=True),
        config(["a:1", "a:1"]),
        config(["a:1", "b"]),
        config(["a:1", 7]),
    ],
    ids=range(16),
)
def test_what_is_no_cluster_is_shown(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r"`TF_CONFIG` is not valid. Expected .*host:port") as problem:
        cluster.from_environment()
    assert text[:20] in str(problem.value)


def slurm(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))


def step(nodes="n[1-2]", each="1(x2)", tasks=2, rank=1, **more) -> dict:
    return {"STEP_NODELIST": nodes, "STEP_TASKS_PER_NODE": each, "STEP_NUM_TASKS": tasks, "PROCID": rank, **more}


def test_a_slurm_step_gives_the_same_form(monkeypatch):
    slurm(monkeypatch, **step())
    workers = ["n1:20000", "n2:20000"]
    assert cluster.from_environment() == {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", config())
    assert cluster.from_environment()["cluster"]["worker"] == ["a:1", "b:2"], "TF_CONFIG goes before"


def test_slurms_order_of_nodes_is_kept_and_a_node_may_hold_several(monkeypatch):
    slurm(monkeypatch, **step("n[9-10],gpu03", "2,1(x2)", 4, 3, NODEID=2, LOCALID=0))
    assert cluster.from_environment()["cluster"]["worker"] == ["n9:20000", "n9:20001", "n10:20000", "gpu03:20000"]


def test_jobs_that_share_a_node_have_ports_of_their_own(monkeypatch):
    ports = set()
    for job in range(1_000_000, 1_000_625):
        slurm(monkeypatch, **step("n1", "16", 16, 0), JOB_ID=job)
        ports |= set(cluster.from_environment()["cluster"]["worker"])
    assert len(ports) == 10_000 and min(ports) == "n1:20000" and max(ports) == "n1:29999"


def test_control_tensorflows_own_resolver_numbers_the_nodes_otherwise(monkeypatch):
    slurm(monkeypatch, **step("n[9-10]", "1(x2)", 2, 0))
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=20000, gpus_per_node=1, gpus_per_task=1, auto_set_gpu=False
    )
    theirs = resolver.cluster_spec().as_dict()["worker"]
    assert theirs == ["n10:20000", "n9:20000"] != cluster.from_environment()["cluster"]["worker"]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("n[1-2],m5,o[3-4,06-07]", ["n1", "n2", "m5", "o3", "o4", "o06", "o07"]),
        ("rack[1-2]n[01-02]-ib", ["rack1n01-ib", "rack1n02-ib", "rack2n01-ib", "rack2n02-ib"]),
        ("n[098-101]", ["n098", "n099", "n100", "n101"]),
    ],
)
def test_lists_of_hosts(monkeypatch, text, hosts):
    slurm(monkeypatch, **step(text, f"1(x{len(hosts)})", len(hosts), 0))
    assert cluster.from_environment()["cluster"]["worker"] == [f"{host}:20000" for host in hosts]


@pytest.mark.parametrize(
    "wrong",
    [
        step("n[1-x]"),
        step(each="2(y)"),
        step(each="1"),
        step(tasks=3),
        step(rank=2),
        step(""),
        step("n[1-2]", "2(x2)", 4, 1, NODEID=1, LOCALID=0),  # --distribution=cyclic
    ],
    ids=range(7),
)
def test_a_step_that_cannot_be_understood_is_an_error(monkeypatch, wrong):
    slurm(monkeypatch, **wrong)
    with pytest.raises(UserError, match=r"SLURM_STEP_NODELIST.*node by node.*TF_CONFIG"):
        cluster.from_environment()


def test_one_task_is_no_cluster(monkeypatch):
    slurm(monkeypatch, **step("n1", "1", 1, 0))
    assert cluster.from_environment() is None


def test_a_lost_peer_is_told_from_other_errors(monkeypatch):
    gone = tf.errors.UnavailableError(None, None, "gone")
    assert not cluster.lost_peer(gone), "alone, nobody can be lost"
    monkeypatch.setenv("TF_CONFIG", config())
    assert cluster.lost_peer(gone) and cluster.lost_peer(tf.errors.AbortedError(None, None, "gone"))
    assert not cluster.lost_peer(ValueError("gone"))
    assert not cluster.lost_peer(tf.errors.InvalidArgumentError(None, None, "a shape"))


@pytest.mark.multiworker
def test_a_peer_that_never_comes_ends_the_process_with_75_and_a_message():
    with socket.create_server(("127.0.0.1", 0)) as mine, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [each.getsockname()[1] for each in (mine, other)]
    workers = [f"127.0.0.1:{port}" for port in ports]
    environment = {**os.environ, "TF_CONFIG": config(workers), "KVISION_JOIN_TIMEOUT": "2"}
    code = "import kvision as kv; kv.distribute.pick_strategy('multiworker')"
    result = forks.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 75, result.stderr[-2000:]
    assert f"Worker 0 ({workers[0]}) waited 2 s and did not meet all of its peers: {workers[1]}." in result.stderr
    assert "KVISION_JOIN_TIMEOUT" in result.stderr
