"""The C++ sources: their style, and the same tests under sanitizers and with the AVX-512 sources on any processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "kernels/src").glob("*.*"))
BIN = Path(sys.executable).parent
TESTS = [ROOT / "tests/bark_kernels" / f"test_{name}.py" for name in ("products", "attention", "gpt", "borders")]


def run(*command: str | Path, **variables: str) -> None:
    """Run a command; its output is the message if it fails."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def build(folder: Path, *options: str) -> Path:
    """The library, built with CMake options."""
    run("cmake", "-S", ROOT / "kernels", "-B", folder, "-G", "Ninja", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
    run("cmake", "--build", folder)
    return folder / "libbark_kernels.so"


def test_sources_are_formatted() -> None:
    run(BIN / "clang-format", "--dry-run", "--Werror", *SOURCES)


@pytest.mark.slow
def test_sources_have_no_warnings(tmp_path: Path) -> None:
    """GCC's or clang's -Wall -Wextra, then clang-tidy."""
    build(tmp_path, "-DBARK_WARNINGS_ARE_ERRORS=ON")
    units = [path for path in SOURCES if path.suffix == ".cpp"]
    run(BIN / "clang-tidy", "-p", tmp_path, "--quiet", "--extra-arg=-Wno-unknown-warning-option", *units)


@pytest.mark.slow
@pytest.mark.parametrize(("sanitizers", "runtime"), [("address,undefined", "libasan.so"), ("thread", "libtsan.so")])
def test_sanitizers_find_nothing(tmp_path: Path, sanitizers: str, runtime: str) -> None:
    library = build(tmp_path, "-DCMAKE_BUILD_TYPE=RelWithDebInfo", f"-DBARK_SANITIZE={sanitizers}")
    preload = subprocess.run(["c++", f"-print-file-name={runtime}"], capture_output=True, text=True, check=True)
    run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *TESTS,
        BARK_KERNELS_LIBRARY=str(library),
        LD_PRELOAD=preload.stdout.strip(),
        ASAN_OPTIONS="detect_leaks=0",  # Python itself leaks at its end
        UBSAN_OPTIONS="halt_on_error=1",
        TSAN_OPTIONS="halt_on_error=1 ignore_noninstrumented_modules=1",
        OPENBLAS_NUM_THREADS="1",
        BARK_TEST_EXAMPLES="4",
    )


@pytest.mark.slow
def test_the_avx512_sources_are_right_on_any_processor(tmp_path: Path) -> None:
    """SIMDe translates their instructions to AVX2. All tests run, that of equal bits among them."""
    simde = [path.parent for path in BIN.parent.glob("lib/python*/site-packages/cmeel.prefix/include/simde")]
    assert simde, "install the extra dev"
    library = build(tmp_path, f"-DBARK_SIMDE={simde[0]}")
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, BARK_KERNELS_LIBRARY=str(library))
