"""scikit-build-core's build backend. Where the system has no C++ compiler, it builds with that of the wheel `ziglang`.

``BARK_KERNELS_COMPILER=zig`` asks for that one although there is another: its libraries run on glibc 2.17 and later.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scikit_build_core import build as backend
from scikit_build_core.build import (
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_wheel,  # without it, pip would compile once more to learn the name and the version
)

__all__ = [
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_wheel",
]

COMPILERS = ("c++", "g++", "clang++")
ZIG = "ziglang>=0.13"
#: The oldest glibc that the library runs on, and a processor without extensions: each source file names its own.
ZIG_OPTIONS = "-target x86_64-linux-gnu.2.17 -mcpu=x86_64"


def needs_zig() -> bool:
    """Whether to build with `ziglang`: it is asked for, or there is no other compiler."""
    if wanted := os.environ.get("BARK_KERNELS_COMPILER"):
        if wanted != "zig":
            raise SystemExit(f"BARK_KERNELS_COMPILER is {wanted}; it may be zig. Other compilers: set CXX.")
        return True
    return not os.environ.get("CXX") and not any(shutil.which(name) for name in COMPILERS)


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    return [*backend.get_requires_for_build_wheel(config_settings), *([ZIG] if needs_zig() else [])]


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    with compiler():
        return backend.build_wheel(wheel_directory, config_settings, metadata_directory)


@contextmanager
def compiler() -> Iterator[None]:
    """Sets ``CXX`` to `ziglang`'s compiler for a while, if it is needed. CMake wants one executable file."""
    if not needs_zig():
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "zig-c++"
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ziglang c++ {ZIG_OPTIONS} "$@"\n')
        script.chmod(0o755)
        before = os.environ.get("CXX")
        os.environ["CXX"] = str(script)
        try:
            yield
        finally:
            os.environ.pop("CXX")
            if before is not None:
                os.environ["CXX"] = before
