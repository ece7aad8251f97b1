"""Fixtures that every test may use."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bark_serving.bundle import Bundle
from tests.turns import turn

# Tests start commands while a gRPC server runs in their own process. In the fork, before the command begins, gRPC's
# support of forks starts threads again, and some of them abort it: "epoll_wait error: Bad file descriptor".
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
#: torch's threads, here and in the commands that tests run. Two threads of networks of this size wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if find_spec("hypothesis"):  # `make gpu-check` does without it
    from hypothesis import HealthCheck, settings

    # A busy machine draws examples slowly. That is no fault of a test.
    settings.register_profile("bark", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("bark")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server-url", metavar="HOST:PORT", help="run tests/system/test_speech.py against this server (gRPC)"
    )
    parser.addoption("--gpu-device", default="cuda:0", help="device of tests/gpu; cpu tries the tests without a GPU")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.scheduling import ByFile  # `make gpu-check` does without pytest-xdist

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn(item.nodeid))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A miniature Bark of random weights (`bark-build tiny`), made once per session. Treat it as read-only."""
    from build_engines.bundles.random_weights import make_random_bundle

    return make_random_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def vocabulary() -> Path:
    """The real vocabulary of Bark's tokenizer, bert-base-multilingual-cased."""
    return Path(__file__).parent / "data" / "bert-base-multilingual-cased-vocab.txt"
