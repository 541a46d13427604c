import os
import subprocess
import sys

import pytest

from kvision.launching import cores

NAMES = {"TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"}


def test_workers_share_what_this_process_may_use():
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores.share({}, 1) == dict.fromkeys(NAMES, str(may))
    assert cores.share({}, 10_000) == dict.fromkeys(NAMES, "1")


def test_what_the_user_set_stays():
    shared = cores.share({"OMP_NUM_THREADS": "5", "TF_NUM_INTRAOP_THREADS": ""}, 1)
    assert set(shared) == NAMES - {"OMP_NUM_THREADS"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_tensorflow_keeps_to_them():
    program = """
import pathlib
import tensorflow as tf
tf.function(lambda x: tf.reduce_sum(tf.nn.relu(x @ x)))(tf.ones((64, 64)))
names = [task.joinpath("comm").read_text() for task in pathlib.Path("/proc/self/task").iterdir()]
print(len(names), len([name for name in names if "tf_Compute" in name]))"""
    variables = {"TF_NUM_INTRAOP_THREADS": "80", "TF_NUM_INTEROP_THREADS": "40"}
    result = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    threads, between = map(int, result.stdout.split())
    assert between == 40 and 79 <= threads - between < 100
