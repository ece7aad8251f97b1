"""The images: their files pass the linters, and what they name exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.exceptions import TyperException

from build_engines.trtllm.versions import DEFAULT, TABLE
from tests.docker.commands import DOCKER, ROOT, dockerfile, image_command, parse
from tests.docker.podman import PACKAGES

BIN = Path(sys.executable).parent
each_image = pytest.mark.parametrize("image", ["builder", "cpu", "gpu", "trtllm", "gateway"])


def test_hadolint_and_shellcheck_find_nothing() -> None:
    scripts = [*DOCKER.glob("*.sh"), *Path(__file__).parent.glob("*.sh"), ROOT / ".ci/run"]
    for linter, files in (("hadolint", DOCKER.glob("Dockerfile.*")), ("shellcheck", scripts)):
        found = subprocess.run([BIN / linter, *files], capture_output=True, text=True, check=False)
        assert found.stdout + found.stderr == ""


def test_continuous_integration_installs_what_the_docs_name_for_images() -> None:
    words = " ".join((ROOT / "docs/deployment.md").read_text().split())
    [named] = re.findall(r"`apt-get install (podman [^`]*)`", words)
    [installed] = re.findall(r"^packages=\((.*)\)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert set(named.split()) <= set(installed.split())
    assert set(PACKAGES) <= set(named.split())


def pyproject(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


@each_image
def test_what_an_image_copies_exists(image: str) -> None:
    copies = [line["value"].split() for line in dockerfile(image).structure if line["instruction"] == "COPY"]
    sources = [source for words in copies if not words[0].startswith("--from=") for source in words[:-1]]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


@each_image
def test_an_image_copies_what_its_wheels_are_built_of(image: str) -> None:
    lines = [(line["instruction"], line["value"].split()) for line in dockerfile(image).structure]
    scripts = [words[2:] for what, words in lines if what == "RUN" and words[0] == "docker/build-wheel.sh"]
    built = [source for sources in scripts for source in sources]
    copied = {Path(source) for what, words in lines if what == "COPY" for source in words[:-1]}
    packages = pyproject(ROOT)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = [source for source in built if source != "."] + (packages if "." in built else [])
    assert "client" in built and [source for source in needed if Path(source) not in copied] == []


@each_image
def test_the_context_of_a_build_holds_what_an_image_copies(image: str) -> None:
    context = set((ROOT / ".dockerignore").read_text().split())
    copies = [line["value"].split() for line in dockerfile(image).structure if line["instruction"] == "COPY"]
    sources = [source for words in copies if not words[0].startswith("--from=") for source in words[:-1]]
    assert {f"!{Path(source).parts[0]}" for source in sources} <= context


@each_image
def test_an_image_starts_from_one_python_pinned_by_its_digest(image: str) -> None:
    pinned = [name for name in dockerfile(image).parent_images if not name.startswith("nvcr.io/")]
    [python] = set(pinned)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", python)
    assert python == dockerfile("cpu").parent_images[0]


@pytest.mark.parametrize(
    ("image", "instruction"),
    [
        ("builder", "CMD"),
        ("cpu", "CMD"),
        ("gpu", "CMD"),
        ("trtllm", "CMD"),
        ("gateway", "CMD"),
        ("cpu", "HEALTHCHECK"),
        ("gpu", "HEALTHCHECK"),
        ("trtllm", "HEALTHCHECK"),
    ],
)
def test_an_image_starts_a_command_that_the_package_has(image: str, instruction: str) -> None:
    parse(image_command(image, instruction))


def test_the_trtllm_image_starts_from_the_containers_of_the_default_release() -> None:
    """TensorRT-LLM and the backend for TensorRT plans have to be of one TensorRT."""
    release = TABLE[DEFAULT]
    plans = f"nvcr.io/nvidia/tritonserver:{release.plans}-py3"
    assert [name for name in dockerfile("trtllm").parent_images if "nvidia" in name] == [plans, release.container]


@pytest.mark.parametrize("words", [["bark-serve", "upp"], ["bark-serve", "up", "--bundel=x"]])
def test_a_command_that_does_not_exist_is_noticed(words: list[str]) -> None:
    with pytest.raises((AssertionError, TyperException), match=words[-1].split("=")[0]):
        parse(words)
