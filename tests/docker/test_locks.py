"""The exact versions that images install, against what pyproject.toml asks for."""

from __future__ import annotations

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docker.commands import DOCKER, ROOT

PROJECT, CLIENT = (
    tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"] for folder in (".", "client")
)
LINUX = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}


def required(*extras: str) -> list[Requirement]:
    """What the server with these extras and the client need, extras that they include followed."""
    found: list[Requirement] = []
    texts = [*PROJECT["dependencies"], *CLIENT["dependencies"]]
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, texts):
        if requirement.name == PROJECT["name"]:
            found += required(*requirement.extras)
        elif requirement.name == CLIENT["name"]:
            continue  # its wheel is built beside ours
        elif requirement.marker is None or requirement.marker.evaluate(LINUX):
            found.append(requirement)
    return found


def locked(name: str) -> dict[str, str]:
    """The versions that a file names, those of the packages that it leaves out too."""
    lines = [line.removeprefix(LEFT_OUT) for line in (DOCKER / name).read_text().splitlines()]
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if not line.startswith("#")}


LEFT_OUT = "# left out: "
LOCKS = [
    ("serve", "requirements-cpu.txt"),
    ("build", "requirements-builder.txt"),
    ("gateway", "requirements-gateway.txt"),
]


@pytest.mark.parametrize(("extra", "lock"), LOCKS)
def test_a_lock_holds_a_version_that_each_requirement_allows(extra: str, lock: str) -> None:
    versions = locked(lock)
    for requirement in required(extra):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {lock}: run docker/lock.sh"
        assert version in requirement.specifier, f"{lock} has {version}, not {requirement}: run docker/lock.sh"


def test_the_gpu_image_holds_a_version_that_each_requirement_allows() -> None:
    files = ("requirements-builder.txt", "requirements-cpu.txt", "requirements-gpu.txt")
    versions = {name: version for file in files for name, version in locked(file).items()}
    for requirement in required("build", "rtx", "tensorrt"):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None and version in requirement.specifier, f"{requirement} is not in {files}"


def test_both_locks_hold_the_same_versions() -> None:
    builder, server = locked("requirements-builder.txt"), locked("requirements-cpu.txt")
    assert {name: builder.get(name) for name in server} == server


def test_an_image_that_brings_its_own_triton_installs_no_other_and_keeps_its_numpy() -> None:
    needed = {requirement.name: requirement for requirement in required()}
    assert "nvidia-pytriton" not in needed
    assert "torch" not in needed
    assert {"1.26.4", "2.3.5"} <= set(needed["numpy"].specifier.filter(["1.26.4", "2.3.5"]))
