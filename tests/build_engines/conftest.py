"""TensorRT for RTX, which builds without a GPU."""

from __future__ import annotations

import platform
import sys

import pytest

from build_engines.errors import BuildError
from build_engines.tensorrt import library


@pytest.fixture(scope="session")
def rtx() -> library.Library:
    try:
        return library.load_library("tensorrt_rtx")
    except BuildError:
        if (sys.platform, platform.machine()) == ("linux", "x86_64"):
            raise  # there it is part of the [dev] extra
        pytest.skip("TensorRT for RTX has wheels for x86-64 Linux only")
