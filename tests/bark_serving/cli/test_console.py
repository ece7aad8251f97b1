"""What the commands print on stderr."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel, Field

from bark_serving.cli.console import errors_shown, steps
from bark_serving.errors import UserError


class Settings(BaseModel):
    grpc_port: int = Field(le=65_535)


def test_an_error_is_shown_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, errors_shown():
        raise UserError("The disk [/dev/x] is full.", remedy="Make room.")
    assert left.value.exit_code == 1
    assert capsys.readouterr().err == "error: The disk [/dev/x] is full.\nMake room.\n"


def test_a_wrong_option_is_named_and_ends_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, errors_shown():
        Settings(grpc_port=100_000)
    assert left.value.exit_code == 2
    assert capsys.readouterr().err == "error: --grpc-port: Input should be less than or equal to 65535\n"


def test_an_error_of_the_system_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_shown():
        raise OSError("it failed")
    assert capsys.readouterr().err == "error: it failed\n"


def test_a_full_disk_has_a_remedy_also_where_the_system_names_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_shown(), Path("/dev/full").open("w") as file:
        file.write("text")
        file.flush()
    first, remedy = capsys.readouterr().err.splitlines()
    assert first == "error: No space left on device." and remedy.startswith("`df -h` shows which disk is full.")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EACCES, "This command runs as user 12345. Give that user /, .*: `chown 12345 /`"),
        (errno.EROFS, "Mount it for writing"),
        (errno.ENOSPC, "Make room on its disk"),
        (errno.ENOTDIR, "^$"),
    ],
)
def test_an_error_of_a_file_is_a_sentence_with_a_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(typer.Exit), errors_shown():
        raise OSError(code, os.strerror(code), "/no-such-folder/.locks/x")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == f"error: /no-such-folder/.locks/x: {os.strerror(code)}."
    assert re.search(remedy, "".join(rest))


def test_other_errors_are_shown_only_if_they_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LookupError), errors_shown():
        raise LookupError("a bug")
    with pytest.raises(typer.Exit), errors_shown(LookupError):
        raise LookupError("expected")
    assert capsys.readouterr().err == "error: expected\n"


def test_steps_are_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with steps(2) as step:
        step("first")
        step("second")
    with steps() as step:
        step("waiting")
    assert capsys.readouterr().err == "[1/2] first\n[2/2] second\nwaiting\n"


@pytest.mark.parametrize(("name", "place"), [("new", "."), ("file", "file")])
def test_the_owner_of_a_folder_is_told_of_its_mode_not_of_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, place: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda *_: name == "file")  # whether the folder may be written
    with pytest.raises(typer.Exit), errors_shown():
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / name))
    remedy = capsys.readouterr().err.splitlines()[1]
    assert remedy.endswith(f"its mode forbids it: `chmod u+rwX {tmp_path / place}`. Or name another.")
