import multiprocessing

import pytest

from kvision.checks import UserError
from kvision.runs.lock import alone


def hold(folder, ready, done):
    with alone(folder):
        ready.set()
        done.wait(60)


def test_another_process_is_told_and_the_end_of_the_first_gives_it_free(tmp_path):
    context = multiprocessing.get_context("fork")  # without importing anything
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, done))
    other.start()
    assert ready.wait(60)
    with (
        pytest.raises(UserError, match=r"`--out` holds this very run, and another process is at work on it"),
        alone(tmp_path),
    ):
        pass
    other.kill()
    other.join()
    with alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
