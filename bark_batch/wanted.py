"""What a command line asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bark_batch.folder import Folder
from bark_batch.rows import Columns


@dataclass(frozen=True)
class Wanted:
    """A command line."""

    inputs: list[Path]
    output: Path
    columns: Columns
    voice: str | None
    seed: int | None
    format: str
    tokens: bool
    shard_rows: int | None
    options: dict[str, Any]  #: of each request; those that are not given are left out
    resume: bool
    servers: list[str]
    slots: int
    workers: int | None
    address: str | None
    patience: float
    timeout: float | None
    answer_timeout: float


def how_far(wanted: Wanted) -> str | None:
    """How much of a job is done; None if it has not begun, or if this command line is not its own."""
    folder = Folder(wanted.output)
    if not folder.begun:
        return None
    job = folder.job()
    rows = sum(one["rows"] for one in folder.accounts().values())
    return f"{rows} of {job.rows} rows are done" if rows < job.rows else None
