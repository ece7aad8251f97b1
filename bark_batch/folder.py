"""A job on disk: what was asked for, its rows cut into shards, and which shards are done.

    out/data/train-00000-of-00013.parquet   a shard, as users read it
    out/README.md                           what the columns mean; `datasets` reads it, too
    out/_job/job.json                       the job; written last, when all rows are there
    out/_job/rows/00000.parquet             the rows of a shard
    out/_job/done/00000.json                a shard is done: what it has, and how long it took
    out/_job/tmp/                           files that are not whole yet

Names that begin with `_` are passed over by pyarrow, Spark and pandas. Each file is written beside, synchronised and
renamed, so that it is whole or not there.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from bark_batch.rows import Row
from bark_client import InvalidRequest
from bark_client.folder_lock import locked

VERSION: Final = 2  #: of the form of `job.json`
MAX_SHARD_ROWS: Final = 1_000  #: of one file, if nothing else is asked for, and of one row group
MAX_SHARD_CHARACTERS: Final = 150_000  #: of one file, if nothing else is asked for: 10 000 s or 230 MB of FLAC, about
_MIN_SHARD_ROWS: Final = 16
_USUAL_SHARDS: Final = 32  #: a small job has about so many, so that little is lost when it is killed
_JOB: Final = "_job"


@dataclass(frozen=True)
class Job:
    """What a job makes. Two runs of one job have equal ones."""

    version: int
    inputs: str  #: hash of the tables
    columns: dict[str, str | None]
    voice: str | None  #: of rows without one: a name, or the hash of a file
    seed: int
    format: str
    tokens: bool  #: whether shards hold the tokens
    options: dict[str, Any]  #: of each request
    checkpoint: str
    sample_rate: int
    rows: int
    shard_rows: int  #: of a shard at most
    shards: int
    voices: dict[str, str] = field(default_factory=dict)  #: hashes of the servers' voices that rows name


class Folder:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._job = path / _JOB

    @property
    def begun(self) -> bool:
        """Whether there is a job in it."""
        return (self._job / "job.json").exists()

    def job(self) -> Job:
        """The job. InvalidRequest if it cannot be read."""
        path = self._job / "job.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.get("version") != VERSION:
                raise InvalidRequest(f"{path}: another version of bark-batch wrote it; name another folder")
            values.setdefault("voices", {})  # a job of an older version
            return Job(**{one.name: values[one.name] for one in fields(Job)})
        except (ValueError, KeyError, AttributeError):
            raise InvalidRequest(f"{path} is damaged; name another folder for a new job") from None

    def begin(self, job: Job) -> None:
        """Note the job, once its rows are written."""
        self._write(self._job / "job.json", json.dumps(asdict(job), indent=2, ensure_ascii=False).encode())

    def write_readme(self, text: str) -> None:
        self._write(self.path / "README.md", text.encode())

    def write_rows(self, shards: Iterable[Sequence[Row]]) -> tuple[int, int]:
        """Write the rows of all shards. Returns how many rows and how many shards there are."""
        count, number = 0, 0
        for number, rows in enumerate(shards, start=1):
            self.write_rows_of(number - 1, rows)
            count += len(rows)
        return count, number

    def write_rows_of(self, shard: int, rows: Iterable[Row]) -> None:
        """Write the rows of one shard."""
        import pyarrow
        import pyarrow.parquet

        types = {
            **{"id": "string", "text": "string", "voice": "string", "seed": "uint64", "error": "string"},
            "number": "int64",
        }
        schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in types.items()])
        buffer = pyarrow.BufferOutputStream()
        table = pyarrow.Table.from_pylist([asdict(row) for row in rows], schema=schema)
        pyarrow.parquet.write_table(table, buffer, compression="zstd")
        self._write(self._rows(shard), buffer.getvalue())

    def rows(self, shard: int) -> list[Row]:
        import pyarrow.parquet

        return [Row(**values) for values in pyarrow.parquet.read_table(self._rows(shard)).to_pylist()]

    def data(self, shard: int, *, shards: int) -> Path:
        """The file of a shard: the usual name of a part of a data set."""
        return self.path / "data" / f"train-{shard:05d}-of-{shards:05d}.parquet"

    def write_data(self, shard: int, content: Any, *, shards: int) -> None:
        """Write the file of a shard. content: anything that `write` takes."""
        self._write(self.data(shard, shards=shards), content)

    def note_done(self, shard: int, account: dict[str, Any]) -> None:
        self._write(self._done(shard), json.dumps(account).encode())

    def is_done(self, shard: int) -> bool:
        return self._done(shard).exists()

    def accounts(self) -> dict[int, dict[str, Any]]:
        """What was noted of each shard that is done."""
        return {int(path.stem): json.loads(path.read_bytes()) for path in sorted(self._job.glob("done/*.json"))}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Only one command works in a folder. InvalidRequest if another one does. Leftovers of a killed one go."""
        self._job.mkdir(parents=True, exist_ok=True)
        with locked(self._job, named=self.path):
            for path in self._job.glob("tmp/*"):
                path.unlink(missing_ok=True)
            yield

    @contextlib.contextmanager
    def emptied_unless_begun(self) -> Iterator[None]:
        """Leave nothing where an error comes before the job has begun."""
        try:
            yield
        except BaseException:
            if not self.begun:
                shutil.rmtree(self._job, ignore_errors=True)
                with contextlib.suppress(OSError):  # it holds what is not ours
                    self.path.rmdir()
            raise

    def _rows(self, shard: int) -> Path:
        return self._job / "rows" / f"{shard:05d}.parquet"

    def _done(self, shard: int) -> Path:
        return self._job / "done" / f"{shard:05d}.json"

    def _write(self, path: Path, content: Any) -> None:
        new = self._job / "tmp" / uuid.uuid4().hex
        new.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def cut(rows: Iterable[Row], *, max_rows: int, max_characters: float = math.inf) -> Iterator[list[Row]]:
    """Cut rows into shards of so many rows and characters at most. A row with more characters is a shard of its own."""
    shard: list[Row] = []
    characters = 0
    for row in rows:
        if shard and (len(shard) == max_rows or characters + len(row.text) > max_characters):
            yield shard
            shard, characters = [], 0
        shard.append(row)
        characters += len(row.text)
    if shard:
        yield shard


def usual_shard_rows(rows: int) -> int:
    """How many rows the shards of a job have at most that asks for no number."""
    return max(_MIN_SHARD_ROWS, min(MAX_SHARD_ROWS, -(-rows // _USUAL_SHARDS)))


def difference(before: Job, now: Job) -> str | None:
    """How a command line differs from that of the job that it wants to go on with. None: not at all."""
    for one in fields(Job):
        old, new = getattr(before, one.name), getattr(now, one.name)
        if old != new:
            return _difference_of(one.name, old, new)
    return None


def _difference_of(name: str, old: Any, new: Any) -> str:
    """How a field of a job differs from what it was."""
    match name:
        case "inputs":
            return "the tables have changed since it began"
        case "checkpoint":
            return f"the servers spoke with the checkpoint {_shown(old)}, and now have {_shown(new)}"
        case "voices":
            return f"the servers' voice {_changed_key(old, new)} was replaced after it began"
        case "options" | "columns":
            key = _changed_key(old, new)
            option = f"{key}_column" if name == "columns" else key
            old, new = old.get(key), new.get(key)
        case _:
            option = name
    return f"--{option.replace('_', '-')} was {_shown(old)} and is {_shown(new)}"


def _changed_key(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return next(key for key in {**old, **new} if old.get(key) != new.get(key))


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)
