"""What all tests share: quiet TensorFlow, and the folder of shared data where it is present."""

import functools
import os
import sys
import typing
from pathlib import Path

import forks
import pytest
from small_backbone import in_the_zoo, small_encoders  # noqa: F401 - fixtures

import kvision  # noqa: F401 - before any test imports TensorFlow, as README tells its readers to

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core, and those that tests start: one thread each
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

if sys.version_info < (3, 12):  # TensorFlow asks it for each tensor; later versions of Python remember the answer
    typing._get_protocol_attrs = functools.cache(typing._get_protocol_attrs)

# whose files take minutes; they come first, so that no process is left alone with one of them at the end
LONG = ("recipes", "commands", "export", "backbones", "selfsup", "runs", "segmentation", "distribute")


def pytest_collection_modifyitems(items):
    folders = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: folders.get(item.path.relative_to(Path(__file__).parent).parts[0], len(LONG)))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """How a process of the tests died: pytest-xdist says only that it did. `.ci/run` looks for the mark."""
    if error is not None:
        mark = node.config.rootpath / ".pytest_cache" / "died"
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        status = node.gateway._io.popen.wait(timeout=60)
        print(f"\n{node.gateway.id} ended with status {status} (negative: the signal)", file=sys.stderr)


@pytest.fixture(scope="session", autouse=True)
def forked_checks():
    """The process that checks an export is forked; tests/export has one that is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kvision.export.reloaded.subprocess", forks)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ../shared beside the checkout; absent elsewhere, unless KVISION_REQUIRE_SHARED=1 forbids that."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        message = f"needs the folder {folder}, which is not part of the project"
        if os.environ.get("KVISION_REQUIRE_SHARED") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture
def eager(monkeypatch):
    """Networks train and answer without a graph, whose trace takes longer than a few steps."""
    import keras

    monkeypatch.setattr(keras.Model, "run_eagerly", property(lambda self: True, lambda self, value: None))
