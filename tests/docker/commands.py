"""The commands that images, services and pods start, parsed by the package's own command lines without running them."""

from __future__ import annotations

import json
from pathlib import Path

from dockerfile_parse import DockerfileParser

from bark_serving.profiles import TABLE as PROFILES
from tests import command_lines

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


def parse(words: list[str]) -> None:
    """Fail as the command would, on an option, a value or a subcommand that it does not know."""
    if words[0] == "build-engines":
        assert words[1] in PROFILES, f"build-engines: no profile {words[1]}"
    else:
        command_lines.parse(words)


def dockerfile(image: str) -> DockerfileParser:
    return DockerfileParser(fileobj=(DOCKER / f"Dockerfile.{image}").open("rb"))


def image_command(image: str, instruction: str) -> list[str]:
    """The words of a Dockerfile's last ``CMD`` or ``HEALTHCHECK``."""
    values = [line["value"] for line in dockerfile(image).structure if line["instruction"] == instruction]
    return list(json.loads(values[-1][values[-1].index("[") :]))
