"""The commands that images, services and pods start, parsed by the package's own command lines without running them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import typer
from dockerfile_parse import DockerfileParser
from typer.core import TyperGroup

from bark_client.cli.main import app as bark
from bark_serving.cli import app as bark_serve
from bark_serving.profiles import TABLE as PROFILES
from build_engines.cli import app as bark_build

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
APPS = {"bark": bark, "bark-serve": bark_serve, "bark-build": bark_build}


def parse(words: list[str]) -> None:
    """Fail as the command would, on an option, a value or a subcommand that it does not know."""
    program, *arguments = words
    if program == "build-engines":
        assert arguments[0] in PROFILES, f"build-engines: no profile {arguments[0]}"
        return
    command = typer.main.get_command(APPS[program])
    while isinstance(command, TyperGroup) and arguments[0] in command.commands:
        command = command.commands[arguments.pop(0)]
    with suppress(typer.Exit):  # after --help
        command.make_context(program, arguments)
        assert not isinstance(command, TyperGroup), f"{program}: no command {arguments[0]}"


def dockerfile(image: str) -> DockerfileParser:
    return DockerfileParser(fileobj=(DOCKER / f"Dockerfile.{image}").open("rb"))


def image_command(image: str, instruction: str) -> list[str]:
    """The words of a Dockerfile's last ``CMD`` or ``HEALTHCHECK``."""
    values = [line["value"] for line in dockerfile(image).structure if line["instruction"] == instruction]
    return list(json.loads(values[-1][values[-1].index("[") :]))
