"""The options of ``bark-build engines``: what a profile has no use for, and what cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.build_engines.test_commands import run


@pytest.mark.parametrize(
    ("profile", "option", "users"),
    [
        ("cpu", ("--gpu", "sm90"), "profiles rtx, tensorrt, trtllm use"),
        ("cpu", ("--max-batch", "32"), "profile trtllm uses"),
        ("rtx", ("--min-eos-p", "0.1"), "profile trtllm uses"),
        ("tensorrt", ("--temperature", "0.7"), "profile trtllm uses"),
    ],
)
def test_options_that_a_profile_would_ignore_are_refused(
    tmp_path: Path, profile: str, option: tuple[str, str], users: str
) -> None:
    done = run("engines", "--profile", profile, *option, "--engines", tmp_path, "--dry-run")
    assert done.exit_code == 2
    assert f"{option[0]}: Only the {users} it, not {profile}. Leave it out." in " ".join(done.output.split())
