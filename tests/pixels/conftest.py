import corpus
import pytest


@pytest.fixture(scope="session")
def encoded() -> dict[str, bytes]:
    return corpus.decoded()


@pytest.fixture(scope="session")
def refused() -> dict[str, bytes]:
    return corpus.refused()


@pytest.fixture(scope="session")
def encode():
    return corpus.encode
