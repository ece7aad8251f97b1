"""The options of ``bark-build engines``: what a profile has no use for, and what cannot be built."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from bark_serving.host import gpus
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


def test_a_dry_run_says_why_nothing_can_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "architectures", lambda numbers=None: [])
    options = ("--profile", "tensorrt", "--gpu", "sm90", "--engines", tmp_path / "engines")
    done = run("engines", *options, "--dry-run")
    assert done.exit_code == 1
    assert "TensorRT builds on the GPU it builds for, and there is none here." in done.output


def test_a_dry_run_says_that_the_disk_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))
    done = run("engines", "--engines", tmp_path / "engines", "--dry-run")
    assert done.exit_code == 1 and "The engines need about" in done.output


@pytest.mark.parametrize("gpu", ["sm99", "sm80+sm99"])
def test_an_architecture_that_nobody_knows_is_refused_with_those_that_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: str
) -> None:
    monkeypatch.setattr(gpus, "architectures", lambda numbers=None: [])
    options = ("--profile", "tensorrt", "--engines", tmp_path / "engines", "--dry-run")
    done = run("engines", *options, "--gpu", gpu)
    assert done.exit_code == 1
    assert "sm99 is not a GPU architecture that is known here." in done.output and "sm90 (H100" in done.output
    monkeypatch.setattr(gpus, "architectures", lambda numbers=None: ["sm99"])
    assert "known here" not in run("engines", *options, "--gpu", gpu).output
