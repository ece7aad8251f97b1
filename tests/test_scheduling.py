"""`make test`: what runs in which process, and when, with pytest-xdist itself on tests that only wait."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_CONFTEST = """
import os, time
from pathlib import Path
import pytest
from tests.turns import turn

def pytest_xdist_make_scheduler(config, log):
    from tests.scheduling import ByFile
    return ByFile(config, log)

def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: turn(item.nodeid))

def note(name, begun):
    with Path("times.txt").open("a") as file:
        file.write(f"{name} {os.getpid()} {begun} {time.monotonic()}\\n")

@pytest.fixture(scope="session", autouse=True)
def closing():
    yield
    begun = time.monotonic()
    time.sleep(0.2)
    note("closing", begun)

@pytest.fixture(autouse=True)
def timed(request):
    begun = time.monotonic()
    time.sleep(0.05)
    yield
    note(request.node.path.stem, begun)
"""


@dataclass(frozen=True)
class Span:
    name: str
    process: int
    begun: float
    ended: float


def run(folder: Path, files: dict[str, int], *, processes: int) -> list[Span]:
    """Run so many tests of each file. Returns what ran, in order."""
    (folder / "conftest.py").write_text(_CONFTEST)
    for name, count in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"def test_{number}(): pass\n" for number in range(count)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = f"-q -p no:cacheprovider -p xdist.plugin --rootdir . --import-mode=importlib --numprocesses {processes}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options.split(), "--dist", "loadfile", "--no-loadscope-reorder"],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(files.values())} passed" in done.stdout
    lines = [line.split() for line in (folder / "times.txt").read_text().splitlines()]
    return [Span(name, int(pid), float(begun), float(ended)) for name, pid, begun, ended in lines]


@pytest.mark.parametrize("processes", [0, 3])  # with 3, one has nothing to do
def test_what_breaks_servers_runs_when_nothing_else_does(tmp_path: Path, processes: int) -> None:
    files = {"tests/system/test_chaos.py": 2, "tests/a/test_one.py": 5, "tests/docker/test_images.py": 9}
    spans = run(tmp_path, files, processes=processes)
    broken = [span for span in spans if span.name == "test_chaos"]
    [own] = {span.process for span in broken}
    tests = [span for span in spans if span.name not in ("test_chaos", "closing")]
    # A process that had nothing to do may end at any time.
    elsewhere = {span.process for span in tests} - {own}
    closed = [span for span in spans if span.name == "closing" and span.process in elsewhere]
    assert len(closed) == len(elsewhere)
    assert max(span.ended for span in (*tests, *closed)) <= min(span.begun for span in broken)


def test_tests_of_servers_share_a_process_and_others_run_beside_them(tmp_path: Path) -> None:
    servers = ("tests/system/test_voices.py", "tests/docker/test_images.py")
    others = ("tests/a/test_one.py", "tests/docker/test_containers.py")
    spans = run(tmp_path, dict.fromkeys((*servers, *others), 8), processes=2)
    processes = {name: {span.process for span in spans if span.name == name} for name in ("test_voices", "test_images")}
    assert processes["test_voices"] == processes["test_images"] and len(processes["test_voices"]) == 1
    [beside] = {span.process for span in spans} - processes["test_voices"]
    assert [span.name for span in spans if span.process == beside][:9] == ["test_containers"] * 8 + ["test_one"]
