"""Fixtures of the benchmarks' tests."""

from __future__ import annotations

import pytest

from bark_serving.bundle import Bundle
from benchmarks import bundles


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of random weights, of tiny size, whose speech does not end by itself."""
    return bundles.bundle_of("tiny", folder=tmp_path_factory.mktemp("benchmarks"))
