"""The builder's script: what is missing is made, what is there is left, what cannot be is refused."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docker.commands import complaint, fake_programs
from tests.docker.dockerfile import DOCKER


class Builder:
    """The script, with a `bark-build` that only writes down what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.bundles, self._log = folder / "bundles", folder / "log"
        self._environment = fake_programs(folder / "bin", "bark-build", log=self._log)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**self._environment, "BARK_BUNDLES": str(self.bundles), **variables}
        return subprocess.run(
            [DOCKER / "build-engines.sh", *arguments], env=environment, capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_without_a_name_the_miniature_that_comes_along_is_built(builder: Builder) -> None:
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


def test_the_torch_profile_needs_a_bundle_only(builder: Builder) -> None:
    chosen = {"BARK_BUNDLE": "bark-small", "BARK_CHECKPOINT": "suno/bark-small"}
    assert builder.run("torch", **chosen).returncode == 0
    assert builder.calls == [f"bark-build import suno/bark-small {builder.bundles / 'bark-small'}"]


@pytest.mark.parametrize(
    ("arguments", "variables", "problem"),
    [
        (["cpu"], {"BARK_CHECKPOINT": "suno/bark-small"}, "Name it: BARK_BUNDLE=bark-small"),
        (["cpu"], {"BARK_BUNDLE": "mine"}, "BARK_CHECKPOINT says what to import"),
        (["tpu"], {}, "there is no profile tpu"),
        ([], {}, "usage: build-engines cpu | tensorrt | torch"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_line(
    builder: Builder, arguments: list[str], variables: dict[str, str], problem: str
) -> None:
    done = builder.run(*arguments, **variables)
    assert done.returncode != 0
    assert problem in done.stderr
    assert builder.calls == []


def test_every_command_in_the_script_is_one_that_bark_build_has() -> None:
    calls = re.findall(r"\bbark-build [^;#\n]+", (DOCKER / "build-engines.sh").read_text())
    assert len(calls) == 2
    for call in calls:
        words = call.replace("${BARK_PRECISION:+--precision", "--precision").split()
        assert complaint(words) is None, call
