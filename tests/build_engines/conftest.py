"""A small bundle, a folder for its engines, and TensorRT for RTX, which builds without a GPU."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from bark_serving.bundle import Bundle
from build_engines.errors import BuildError
from build_engines.tensorrt import library
from tests.bundles import random_bundle, small_spec


@pytest.fixture(scope="session")
def rtx() -> library.Library:
    try:
        return library.load_library("tensorrt_rtx")
    except BuildError:
        if (sys.platform, platform.machine()) == ("linux", "x86_64"):
            raise  # there it is part of the [dev] extra
        pytest.skip("TensorRT for RTX has wheels for x86-64 Linux only")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("commands") / "bundle", small_spec())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "engines"
