"""The builder's script makes what is missing, leaves what is there and refuses what cannot be made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.docker.commands import DOCKER, parse


class Builder:
    """The script, with a `bark-build` that only writes down its arguments."""

    def __init__(self, folder: Path) -> None:
        self.bundles, self._log, program = folder / "bundles", folder / "log", folder / "bin/bark-build"
        program.parent.mkdir()
        self._program = program
        self.on_import("exit 0")
        self._environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}

    def on_import(self, script: str) -> None:
        """Have `bark-build import` do this, too."""
        self._program.write_text(
            f'#!/bin/sh\necho "bark-build $*" >> {self._log}\n[ "$1" != import ] || {{ {script}; }}\n'
        )
        self._program.chmod(0o755)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**self._environment, "BARK_BUNDLES": str(self.bundles), **variables}
        return subprocess.run(
            [DOCKER / "build-engines.sh", *arguments], env=environment, capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[str]:
        """What was called, each a command that `bark-build` has."""
        calls = self._log.read_text().splitlines() if self._log.exists() else []
        for call in calls:
            parse(call.split())
        return calls


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_without_a_name_the_packaged_miniature_is_built(builder: Builder) -> None:
    assert builder.run("cpu").returncode == 0
    assert builder.calls == ["bark-build engines --profile cpu --gpu auto --bundle miniature"]


def test_a_checkpoint_is_imported_once(builder: Builder) -> None:
    small = builder.bundles / "bark-small"
    chosen = {"BARK_BUNDLE": "bark-small", "BARK_CHECKPOINT": "suno/bark-small", "BARK_PRECISION": "fp32"}
    builder.run("cpu", **chosen)
    small.mkdir(parents=True)
    (small / "spec.json").touch()
    builder.run("cpu", **chosen)
    engines = f"bark-build engines --profile cpu --gpu auto --bundle {small} --precision fp32"
    assert builder.calls == [f"bark-build import suno/bark-small {small}", engines, engines]


@pytest.mark.parametrize(("status", "made", "expected"), [(3, True, 0), (1, True, 0), (1, False, 1)])
def test_an_import_may_leave_out_voices_or_come_second_but_not_fail(
    builder: Builder, status: int, made: bool, expected: int
) -> None:
    bundle = builder.bundles / "bark-small"
    builder.on_import(f"mkdir -p {bundle}; {f'touch {bundle}/spec.json; ' if made else ''}exit {status}")
    done = builder.run("torch", BARK_BUNDLE="bark-small", BARK_CHECKPOINT="suno/bark-small")
    assert done.returncode == expected


def test_the_torch_profile_needs_only_a_bundle(builder: Builder) -> None:
    chosen = {"BARK_BUNDLE": "bark-small", "BARK_CHECKPOINT": "suno/bark-small"}
    assert builder.run("torch", **chosen).returncode == 0
    assert builder.calls == [f"bark-build import suno/bark-small {builder.bundles / 'bark-small'}"]


@pytest.mark.parametrize(
    ("arguments", "variables", "problem"),
    [
        (["cpu"], {"BARK_CHECKPOINT": "suno/bark-small"}, "Name it: BARK_BUNDLE=bark-small"),
        (["cpu"], {"BARK_BUNDLE": "mine"}, "BARK_CHECKPOINT says what to import"),
        (["tpu"], {}, "there is no profile tpu"),
        ([], {}, "usage: build-engines cpu | rtx | tensorrt | trtllm | torch"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_reason(
    builder: Builder, arguments: list[str], variables: dict[str, str], problem: str
) -> None:
    done = builder.run(*arguments, **variables)
    assert done.returncode != 0
    assert problem in done.stderr
    assert builder.calls == []
