"""All networks as small as possible, and a store in which each of their engines is built once per session."""

from __future__ import annotations

import pytest

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from tests.bundles import random_bundle, small_spec


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Treat it as read-only."""
    return random_bundle(tmp_path_factory.mktemp("export") / "bundle", small_spec())


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    return EngineStore(tmp_path_factory.mktemp("export-engines"))
