"""Dockerfiles as lists of instructions, for tests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        return [word for word in self.text.split() if not word.startswith("--")]

    @property
    def command(self) -> list[str]:
        """The words of ``CMD [...]``, also within a ``HEALTHCHECK``."""
        return list(json.loads(self.text[self.text.index("[") :]))


def read(path: Path) -> list[Instruction]:
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


def final_stage(instructions: list[Instruction]) -> list[Instruction]:
    last = max(i for i, instruction in enumerate(instructions) if instruction.name == "FROM")
    return instructions[last:]


def in_context(path: str) -> bool:
    """Whether ``.dockerignore`` lets a path of the repository into the build: its last pattern that matches decides."""
    allowed = True
    for pattern in (ROOT / ".dockerignore").read_text().splitlines():
        if pattern and not pattern.startswith("#"):
            name = pattern.removeprefix("!").removeprefix("**/")
            if fnmatch(path.split("/")[0], name) or fnmatch(path.split("/")[-1], name):
                allowed = pattern.startswith("!")
    return allowed
