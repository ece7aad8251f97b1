"""The direction of imports between packages and between their rooms: the contracts in ``.importlinter``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = (ROOT / ".importlinter").read_text(encoding="utf-8")


def broken_contracts(config: Path) -> str:
    """What import-linter finds, as text; empty if every contract is kept."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", "--config", config]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_import_has_an_allowed_direction() -> None:
    assert broken_contracts(ROOT / ".importlinter") == ""


@pytest.mark.parametrize(
    ("allowed", "forbidden"),
    [
        ("    build_engines\n    bark_serving\n", "    bark_serving\n    build_engines\n"),
        ("    cli | triton\n    server | runtimes\n", "    server | runtimes\n    cli | triton\n"),
        ("    commands\n    engine_jobs\n", "    engine_jobs\n    commands\n"),
    ],
)
def test_an_import_in_the_other_direction_is_found(tmp_path: Path, allowed: str, forbidden: str) -> None:
    """If two layers change places in the contract, the imports break it."""
    assert allowed in ALLOWED
    config = tmp_path / "exchanged"
    config.write_text(ALLOWED.replace(allowed, forbidden, 1), encoding="utf-8")
    assert "BROKEN" in broken_contracts(config)
