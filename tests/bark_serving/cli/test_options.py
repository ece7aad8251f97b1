"""The options of ``bark-serve up`` and ``render``: what a profile, or a rendered repository, has no use for."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bark_serving.cli.main import app
from bark_serving.profiles import PROFILES


def refusal(command: str, *options: str | Path) -> str:
    """What the command says. It must be wrong usage."""
    done = CliRunner().invoke(app, [command, *map(str, options)])
    assert done.exit_code == 2, done.output
    return done.output


@pytest.mark.parametrize("command", ["up", "render"])
@pytest.mark.parametrize(
    ("profile", "option", "users"),
    [
        ("cpu", ("--gpu-architecture", "sm90"), "rtx, tensorrt, trtllm"),
        ("torch", ("--gpu-architecture", "sm90"), "rtx, tensorrt, trtllm"),
        ("rtx", ("--threads", "2"), "cpu, torch"),
        ("trtllm", ("--threads", "2"), "cpu, torch"),
    ],
)
def test_options_that_a_profile_would_ignore_are_refused(
    command: str, profile: str, option: tuple[str, str], users: str
) -> None:
    said = f"{option[0]}: Only the profiles {users} use it, not {profile}. Leave it out."
    assert said in refusal(command, "--profile", profile, *option)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("architecture", ["foo", "90", "sm80,sm90", ""])
def test_what_is_no_gpu_architecture_is_refused_with_every_profile(profile: str, architecture: str) -> None:
    said = refusal("render", "--profile", profile, "--gpu-architecture", architecture)
    assert f"{architecture!r} is not a GPU architecture such as sm90." in said


def test_an_architecture_has_one_name_however_it_is_written(tmp_path: Path) -> None:
    options = ("--profile", "trtllm", "--gpu-architecture", "SM_90", "--engines", str(tmp_path))
    assert "--gpu sm90" in CliRunner().invoke(app, ["render", *options, "-o", str(tmp_path / "out")]).output


def test_a_batch_that_no_plan_takes_is_refused_before_the_build(tmp_path: Path) -> None:
    said = refusal("up", "--build", "--profile", "rtx", "--max-batch", "64", "--engines", tmp_path)
    assert "--max-batch: a plan of the rtx profile decodes at most 32 sequences at once: give 32" in said


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("--bundle", "b"), "--bundle"),
        (("--profile", "torch", "--precision", "fp32", "--build"), "--profile, --precision, --build"),
        (("--profile", "rtx", "--gpu-architecture", "sm86"), "--profile, --gpu-architecture"),
        (("--max-voice-mb", "1", "--max-batch", "2"), "--max-voice-mb, --max-batch"),
    ],
)
def test_options_that_a_rendered_repository_would_ignore_are_refused(
    tmp_path: Path, given: tuple[str, ...], named: str
) -> None:
    said = f"{tmp_path} is served as it was rendered. Leave {named} out."
    assert said in refusal("up", "--repository", tmp_path, *given)


def test_a_variable_that_names_the_engines_is_no_option_beside_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BARK_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setenv("BARK_STATE", str(tmp_path / "state"))
    done = CliRunner().invoke(app, ["up", "--repository", str(tmp_path / "none")])
    assert done.exit_code == 1 and "served as it was rendered" not in done.output
