"""Small jobs, which must leave nobody behind."""

from collections.abc import Iterator

import pytest
from processes import Job, alive, wait_until


@pytest.fixture
def job(tmp_path, monkeypatch) -> Iterator[Job]:
    monkeypatch.setenv("FOLDER", str(tmp_path))
    job = Job(tmp_path)
    yield job
    assert wait_until(lambda: not [pid for pid in job.pids() if alive(pid)]), "no worker outlives its launcher"
