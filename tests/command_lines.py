"""Parses command lines that documents quote, with the real commands, without running them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from bark_batch.cli import app as bark_batch
from bark_client.cli.main import app as bark
from bark_gateway.cli import app as bark_gateway
from bark_serving.cli.main import app as bark_serve
from benchmarks.cli import app as benchmarks
from build_engines.cli import app as bark_build

#: Programs with subcommands, and all of ours.
GROUPS = {"bark": bark, "bark-serve": bark_serve, "bark-build": bark_build, "python -m benchmarks": benchmarks}
APPS = {**GROUPS, "bark-gateway": bark_gateway, "bark-batch": bark_batch}


def parse(words: list[str]) -> dict[str, Any]:
    """The values of the command's options, given or by default. Raises the command's own error for an unknown one."""
    count = 3 if words[:2] == ["python", "-m"] else 1
    program, arguments = " ".join(words[:count]), words[count:]
    command = typer.main.get_command(APPS[program])
    while isinstance(command, TyperGroup) and arguments and arguments[0] in command.commands:
        command = command.commands[arguments.pop(0)]
        assert not command.hidden, f"{program}: {words} is a command that only names its replacement"
    try:
        values = command.make_context(program, arguments).params
    except typer.Exit:  # after --help
        return {}
    assert not isinstance(command, TyperGroup), f"{program}: no command {arguments[:1]}"
    return values
