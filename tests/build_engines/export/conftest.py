"""The tiny bundle, and the store that keeps the engines of all tests: each engine is built once."""

from __future__ import annotations

import pytest

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from tests.system.conftest import ENGINES


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Bundle) -> Bundle:
    return tiny_bundle


@pytest.fixture(scope="session")
def store() -> EngineStore:
    return EngineStore(ENGINES)
