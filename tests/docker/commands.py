"""What the images start, held against the commands that the package really has."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from bark_client.cli.main import app as bark
from bark_serving.cli import app as bark_serve
from build_engines.cli import app as bark_build
from tests.docker.dockerfile import DOCKER

APPS = {"bark": bark, "bark-serve": bark_serve, "bark-build": bark_build}


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command line, without running it: program, subcommand, options; None if nothing is."""
    program, *arguments = words
    if program == "build-engines":
        return None if (DOCKER / "build-engines.sh").stat().st_mode & 0o111 else "build-engines.sh is not executable"
    if program not in APPS:
        return f"{program} is none of {', '.join(APPS)}"
    command = typer.main.get_command(APPS[program])
    while arguments and arguments[0] in getattr(command, "commands", {}):
        command = command.commands[arguments.pop(0)]  # type: ignore[attr-defined]
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    unknown = [word for word in arguments if word.startswith("-") and word.split("=")[0] not in known]
    if unknown:
        return f"{program} has no {', '.join(unknown)}"
    if hasattr(command, "commands") and arguments != ["--help"]:
        return f"{program} has no command {arguments[:1]}"
    return None


def fake_programs(folder: Path, *names: str, log: Path) -> dict[str, str]:
    """An environment whose PATH begins with programs that only write down how they were called."""
    folder.mkdir()
    for name in names:
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\n')
        program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
