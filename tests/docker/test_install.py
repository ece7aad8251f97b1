"""The images' install scripts, run as the Dockerfiles run them, but in fresh virtual environments; then the CPU image's
whole life in a stand-in for a container: user 1000, read-only root, no capabilities."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.commands import DOCKER, image_command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # fixtures that download count as well

ISOLATE = ["unshare", "--mount", "--pid", "--net", "--fork"]


#: By samples: the image has nothing that reads sound files.
CLONE = """import bark_client, soundfile
bark_client.BarkClient().clone_voice(soundfile.read("/tmp/hello.wav"), name="me")"""


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Torch from pip's own index: torch's may be out of reach."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BARK_", "PYTHON"))}
    return subprocess.run(
        command, env={**environment, "TORCH_INDEX": "", **variables}, capture_output=True, text=True, check=False
    )


def succeed(*command: str | Path, **variables: str) -> str:
    done = run(*command, **variables)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def python_in(folder: Path, *packages: str) -> Path:
    """A fresh environment, of the interpreter itself rather than of the one that runs the tests."""
    succeed(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}", "-m", "venv", folder)
    if packages:
        succeed(folder / "bin/python", "-m", "pip", "install", "--quiet", *packages)
    return folder / "bin/python"


def versions(python: Path) -> dict[str, str]:
    found = json.loads(succeed(python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"))
    return {package["name"].lower().replace("_", "-"): package["version"] for package in found}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    python = str(python_in(folder / "environment"))
    succeed(DOCKER / "build-wheel.sh", folder / "wheels", "client", "kernels", ".", PYTHON=python)
    return folder / "wheels"


def image(name: str, folder: Path, wheels: Path) -> Path:
    """An environment with what the steps of an install script put into an image."""
    python = python_in(folder)
    script, lock = DOCKER / "install.sh", DOCKER / f"requirements-{name}.txt"
    succeed(script, "libraries", lock, PYTHON=str(python))
    succeed(script, "package", wheels, folder, PYTHON=str(python))
    succeed(script, "check", lock, PYTHON=str(python))
    return folder


@pytest.fixture(scope="module")
def cpu_image(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    return image("cpu", tmp_path_factory.mktemp("cpu") / "image", wheels)


@pytest.fixture(scope="module")
def builder_image(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    return image("builder", tmp_path_factory.mktemp("builder") / "image", wheels)


def test_the_cpu_image_starts_its_commands_and_knows_no_torch(cpu_image: Path) -> None:
    for command in ("bark", "bark-serve"):
        assert "Usage" in succeed(cpu_image / "bin" / command, "--help")
    assert "torch" not in versions(cpu_image / "bin/python")
    assert succeed(cpu_image / "bin/python", "-c", "import numpy; print(numpy.__version__)") == "1.26.4\n"


def test_the_builder_image_builds_for_cpus_with_a_torch_for_cpus(builder_image: Path) -> None:
    assert "Usage" in succeed(builder_image / "bin/bark-build", "--help")
    assert not {"nvidia-cublas", "nvidia-pytriton"} & set(versions(builder_image / "bin/python"))


def test_the_gateway_image_starts_its_command_without_triton_and_kernels(tmp_path: Path, wheels: Path) -> None:
    own = tmp_path / "wheels"
    own.mkdir()
    for wheel in wheels.glob("bark_triton*.whl"):
        (own / wheel.name).symlink_to(wheel)
    python = image("gateway", tmp_path / "image", own) / "bin/python"
    assert "Usage" in succeed(python.parent / "bark-gateway", "--help")
    assert not {"nvidia-pytriton", "onnxruntime", "bark-kernels"} & set(versions(python))


def test_the_trtllm_image_leaves_what_its_container_came_with_but_for_an_old_grpc(tmp_path: Path, wheels: Path) -> None:
    came_with = {"numpy": "2.2.6", "pydantic": "2.11.7", "psutil": "7.0.0", "protobuf": "5.29.5"}
    python = python_in(
        tmp_path / "container", "grpcio==1.64.0", *(f"{name}=={version}" for name, version in came_with.items())
    )
    folders = {"PYTHON": str(python), "BUILDER": str(tmp_path / "builder"), "BIN": str(tmp_path)}
    succeed(DOCKER / "install-trtllm.sh", "libraries", **folders)
    succeed(DOCKER / "install-trtllm.sh", "package", wheels, **folders)

    serving = versions(python)
    assert came_with.items() <= serving.items()
    assert not {"nvidia-pytriton", "torch", "onnx"} & set(serving)
    assert serving["grpcio"] == "1.67.1"  # the one change: without it no Triton client for this protobuf imports
    for command in ("bark", "bark-serve"):
        assert "Usage" in succeed(python.parent / command, "--help")
    # In the container this environment also sees TensorRT, which is no package of ours.
    assert "include-system-site-packages = true" in (tmp_path / "builder/pyvenv.cfg").read_text()
    assert (tmp_path / "bark-build").resolve() == tmp_path / "builder/bin/bark-build"
    assert "trtllm-checkpoint" in succeed(tmp_path / "bark-build", "--help")


def test_a_container_whose_packages_do_not_fit_fails_the_build(tmp_path: Path, wheels: Path) -> None:
    python = python_in(tmp_path / "container", "typer==0.12.5")
    done = run(DOCKER / "install-trtllm.sh", "package", wheels, PYTHON=str(python), BUILDER=str(tmp_path / "builder"))
    assert done.returncode != 0
    assert "typer" in done.stderr
    assert versions(python)["typer"] == "0.12.5"


@pytest.mark.skipif(
    os.geteuid() != 0
    or subprocess.run([*ISOLATE, "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode != 0,
    reason="a stand-in for a container takes root and namespaces",
)
def test_in_a_container_engines_are_built_served_and_heard(
    tmp_path_factory: pytest.TempPathFactory, builder_image: Path, cpu_image: Path
) -> None:
    data = tmp_path_factory.mktemp("data")
    container = [*ISOLATE, Path(__file__).parent / "container.sh"]
    succeed(*container, builder_image, data, "rw", "/image/build-engines.sh cpu")

    script = f"""
        {shlex.join(image_command("cpu", "CMD"))} & server=$!
        until {shlex.join(image_command("cpu", "HEALTHCHECK"))} 2>/tmp/problem; do kill -0 $server; done
        bark say "Hello from a container." -o /tmp/hello.wav
        python -c '{CLONE}'
        kill -TERM $server
        wait $server
        echo "left in shared memory: $(ls /dev/shm)"
    """
    output = succeed(*container, cpu_image, data, "ro", f"set -e\n{script}")
    assert "spoke a word in" in output
    assert "left in shared memory: \n" in output
    assert [path.name for path in (data / "voices").glob("codec-*/*.npz")] == ["me.npz"]
