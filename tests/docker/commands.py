"""The commands that images, services and pods start, parsed by the package's own command lines without running them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

from bark_serving.profiles import TABLE as PROFILES
from bark_serving.server.gateway import STOP_TIMEOUT_S
from tests import command_lines

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


def parse(words: list[str]) -> dict[str, Any]:
    """The values of the command's options. Fails as the command would, on one that it does not know."""
    if words[0] == "build-engines":
        assert words[1] in PROFILES, f"build-engines: no profile {words[1]}"
        return {}
    return command_lines.parse(words)


def grace_s(words: list[str]) -> float:
    """What running requests get when `bark-serve up` or `bark-gateway` is told to stop."""
    return float(parse(words)["grace"])


def stop_s(words: list[str]) -> float:
    """How long it may take to end, from SIGTERM on."""
    return grace_s(words) + (parse(words)["stop_timeout"] if words[0] == "bark-serve" else STOP_TIMEOUT_S)


def dockerfile(image: str) -> DockerfileParser:
    return DockerfileParser(fileobj=(DOCKER / f"Dockerfile.{image}").open("rb"))


def image_command(image: str, instruction: str) -> list[str]:
    """The words of a Dockerfile's last ``CMD`` or ``HEALTHCHECK``."""
    values = [line["value"] for line in dockerfile(image).structure if line["instruction"] == instruction]
    return list(json.loads(values[-1][values[-1].index("[") :]))
