"""Fixtures of the benchmarks' tests."""

from __future__ import annotations

import pytest

from bark_serving.bundle import Bundle
from benchmarks import bundles, machine
from tests.client.fake_triton import started


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of random weights, of tiny size, whose speech does not end by itself."""
    return bundles.bundle_of("tiny", folder=tmp_path_factory.mktemp("benchmarks"))


triton = pytest.fixture(started)


@pytest.fixture(autouse=True)
def a_quick_look_at_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command measures the machine first. Here that takes moments instead of seconds, and says less."""
    monkeypatch.setattr(machine, "_BANDWIDTH_BYTES", 32 * 2**20)
    monkeypatch.setattr(machine, "_COMPUTE_SIDE", 512)
