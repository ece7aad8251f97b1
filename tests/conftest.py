"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bark_serving.bundle import Bundle

# Tests start commands while a gRPC server runs in their own process. In the fork, before the command begins, gRPC's
# support of forks starts threads again, and some of them abort it: "epoll_wait error: Bad file descriptor".
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
#: torch's threads, here and in the commands that tests run. Two threads of networks of this size wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server-url", metavar="HOST:PORT", help="run tests/system/test_speech.py against this server (gRPC)"
    )
    parser.addoption("--gpu-device", default="cuda:0", help="device of tests/gpu; cpu tries the tests without a GPU")


#: Their tests share servers, or measure how long a server takes to come and go: one process runs all of them.
_ONE_AFTER_THE_OTHER = ("system", "bark_serving/server", "docker")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests run in one process, where several run tests: those of a file, since they share its fixtures.

    Those of the servers take longest, so they begin.
    """
    items.sort(key=lambda item: not _needs_servers(item))
    for item in items:
        item.add_marker(pytest.mark.xdist_group("servers" if _needs_servers(item) else _path(item)))


def _needs_servers(item: pytest.Item) -> bool:
    return any(_path(item).startswith(f"{folder}/") for folder in _ONE_AFTER_THE_OTHER)


def _path(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).as_posix()


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A miniature Bark of random weights (`bark-build tiny`), made once per session. Treat it as read-only."""
    from build_engines.bundles.random_weights import make_random_bundle

    return make_random_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def vocabulary() -> Path:
    """The real vocabulary of Bark's tokenizer, bert-base-multilingual-cased."""
    return Path(__file__).parent / "data" / "bert-base-multilingual-cased-vocab.txt"
