"""What the commands say of wrong usage where nobody reads it on a terminal."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tests.command_lines import APPS, GROUPS

LONG = "n" * 120


@pytest.mark.parametrize("program", GROUPS)
@pytest.mark.parametrize("arguments", [[LONG], [f"--{LONG}"]])
def test_wrong_usage_is_one_line_in_a_log_file(program: str, arguments: list[str]) -> None:
    result = CliRunner().invoke(APPS[program], arguments, prog_name=program)
    assert result.exit_code == 2
    usage, hint, error = filter(None, result.stderr.splitlines())
    assert usage.startswith(f"Usage: {program} ") and hint == f"Try '{program} --help' for help."
    assert error.startswith("Error: No such ") and LONG in error


@pytest.mark.parametrize(
    ("program", "command"),
    [("bark", "say"), ("bark-serve", "up"), ("bark-build", "engines"), ("python -m benchmarks", "stages")],
)
def test_wrong_options_of_a_command_are_one_line_too(program: str, command: str) -> None:
    result = CliRunner().invoke(APPS[program], [command, f"--{LONG}"], prog_name=program)
    assert result.exit_code == 2
    assert f"Error: No such option: --{LONG}" in result.stderr.splitlines()


@pytest.mark.parametrize("program", GROUPS)
def test_help_ends_with_status_0_and_without_arguments_with_2(program: str) -> None:
    asked, silent = (CliRunner().invoke(APPS[program], words, prog_name=program) for words in (["--help"], []))
    assert (asked.exit_code, silent.exit_code) == (0, 2)
    assert "--help" in asked.stdout and "--help" in silent.output and "Error" not in silent.output
