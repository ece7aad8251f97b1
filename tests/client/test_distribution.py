"""The two wheels: what they hold, and that the client's is enough by itself in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bark_client

ROOT = Path(__file__).parents[2]
MAX_CLIENT_WHEEL_BYTES = 150_000


def succeed(*command: str | Path) -> str:
    """Run a command outside the checkout, with no variable that could make Python find it; its standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BARK_", "PYTHON"))}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of this checkout, by distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    pip_wheel = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    succeed(*pip_wheel, "--wheel-dir", folder, ROOT / "client", ROOT)
    return {path.name.partition("-")[0]: path for path in folder.iterdir()}


def names_in(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_there_are_two_wheels_of_one_version(wheels: dict[str, Path]) -> None:
    assert {name: path.name for name, path in wheels.items()} == {
        name: f"{name}-{bark_client.__version__}-py3-none-any.whl" for name in ("bark_triton", "bark_triton_client")
    }


def test_the_client_wheel_is_small_and_holds_the_client_only(wheels: dict[str, Path]) -> None:
    wheel = wheels["bark_triton_client"]
    assert wheel.stat().st_size < MAX_CLIENT_WHEEL_BYTES
    names = names_in(wheel)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"bark_client"}
    assert {"bark_client/py.typed", "bark_client/cli/main.py"} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


PACKAGES = {"bark_serving", "build_engines", "bark_batch", "bark_gateway", "bark_tracing"}


def test_the_server_wheel_holds_all_that_a_server_needs(wheels: dict[str, Path]) -> None:
    names = names_in(wheels["bark_triton"])
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {
        "bark_serving/py.typed",
        "build_engines/py.typed",
        "bark_gateway/py.typed",
        "bark_tracing/py.typed",
        "bark_gateway/page/index.html",
        "bark_gateway/page/main.js",
        "bark_serving/model_repository/bark/1/model.py",
        "bark_serving/miniature/spec.json",
        "bark_serving/miniature/semantic.safetensors",
        "bark_serving/miniature/voices/jo.npz",
    } <= names


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An environment that holds pip and nothing else; its folder of commands."""
    succeed(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}", "-m", "venv", tmp_path)
    return tmp_path / "bin"


@pytest.mark.slow  # downloads the client's dependencies
@pytest.mark.timeout(1800)
def test_the_client_works_in_an_empty_environment(empty: Path, wheels: dict[str, Path]) -> None:
    succeed(empty / "pip", "install", "--quiet", wheels["bark_triton_client"])
    assert succeed(empty / "bark", "--version") == f"bark {bark_client.__version__}\n"
    assert "--voice" in succeed(empty / "bark", "say", "--help")
    installed = succeed(empty / "pip", "list", "--format=freeze").lower()
    for server_only in ("bark-triton=", "torch", "onnx", "tokenizers", "safetensors", "nvidia"):
        assert server_only not in installed
    speak = "from bark_client import BarkClient; BarkClient('localhost:1', connect_timeout=0.1).speak('Hello.')"
    failed = subprocess.run([empty / "python", "-c", speak], capture_output=True, text=True, check=False)
    assert "no server answers at localhost:1" in failed.stderr


@pytest.mark.slow  # downloads the server's dependencies
@pytest.mark.timeout(1800)
def test_a_checkout_installs_without_the_client_or_an_extra(empty: Path) -> None:
    succeed(empty / "pip", "install", "--quiet", ROOT)
    assert "bark-triton-client" not in succeed(empty / "pip", "list", "--format=freeze")
    for command in ("bark-serve", "bark-build"):
        assert "Usage" in succeed(empty / command, "--help")
