"""A job from its command line to its summary."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from rich.console import Console
from rich.markup import escape

from bark_batch import running, tables
from bark_batch.checking import Found, check_servers
from bark_batch.folder import (
    MAX_SHARD_CHARACTERS,
    MAX_SHARD_ROWS,
    VERSION,
    Folder,
    Job,
    cut,
    difference,
    usual_shard_rows,
)
from bark_batch.progress import JobProgress, summary
from bark_batch.readme import readme
from bark_batch.rows import Repeats, Row, broken_row, noting_voices, row_of
from bark_batch.shard_speaker import Orders
from bark_batch.speaking import Manner
from bark_batch.wanted import Wanted
from bark_client import BarkError, InvalidRequest, Voice
from bark_client.voice import resolve, voice_identity


@dataclass(frozen=True)
class Result:
    lines: list[str]  #: the summary
    spoken: bool  #: whether any row was


def run(wanted: Wanted, console: Console) -> Result:
    """Do a job, or what is left of it. BarkError in words where it cannot go on."""
    tables.check(wanted.inputs)
    folder = Folder(wanted.output)
    _check_folder(folder, resume=wanted.resume)
    voice = None if wanted.voice is None else resolve(wanted.voice)
    found = check_servers(wanted.servers, voice=voice, options=wanted.options)
    for url, problem in found.silent.items():
        console.print(f"[yellow]warning:[/] {escape(f'{url} gets no rows yet: {problem}')}", highlight=False)
    with folder.locked(), folder.emptied_unless_begun():
        job = _job(folder, wanted, found, console)
        done = folder.accounts()
        pending = [shard for shard in range(job.shards) if shard not in done]
        if not pending:
            return _result(folder, ["nothing is left to do"])
        return _speak(folder, job, wanted, pending, voice=voice, silent=found.silent, console=console)


def _speak(
    folder: Folder,
    job: Job,
    wanted: Wanted,
    pending: list[int],
    *,
    voice: str | Voice | None,
    silent: dict[str, str],
    console: Console,
) -> Result:
    manner = Manner(
        checkpoint=job.checkpoint,
        sample_rate=job.sample_rate,
        format=job.format,
        options={**job.options, **({"return_tokens": True} if job.tokens else {})},
        default_voice=voice,
        default_name=job.voice,
        timeout=wanted.timeout,
        answer_timeout=wanted.answer_timeout,
    )
    threads = min(running.MAX_THREADS, wanted.slots * len(wanted.servers))
    before = folder.accounts()
    rows, audio = (sum(one[name] for one in before.values()) for name in ("rows", "audio_seconds"))
    bar = JobProgress(console, total=job.rows, done=rows, audio_seconds=audio)
    with running.cluster(wanted.address, cpus=wanted.workers or 1) as ray, bar:
        workers = running.workers_of(ray, wanted.workers)
        start = time.monotonic()
        running.speak_shards(
            ray,
            pending,
            orders=Orders(wanted.output.resolve(), job, manner, threads),
            servers=wanted.servers,
            slots=wanted.slots,
            workers=min(workers, len(pending)),
            patience=wanted.patience,
            silent=silent,
            show=bar.show,
        )
        seconds = time.monotonic() - start
    left = [shard for shard in pending if not folder.is_done(shard)]
    if left:
        raise BarkError(f"{len(left)} shards were not written: Ray's logs in /tmp/ray/session_latest/logs say why")
    return _result(folder, [], seconds=seconds, before=before)


def _check_folder(folder: Folder, *, resume: bool) -> None:
    path = folder.path
    if folder.begun:
        if not resume:
            raise InvalidRequest(f"{path} holds a job already: add --resume to go on with it, or name another folder")
    elif path.exists() and (not path.is_dir() or any(one.name != "_job" for one in path.iterdir())):
        raise InvalidRequest(f"{path} is not an empty folder: name another, which is then made")


def _job(folder: Folder, wanted: Wanted, found: Found, console: Console) -> Job:
    """The job in the folder; a new one if there is none."""
    before = folder.job() if folder.begun else None
    now = Job(
        version=VERSION,
        inputs=tables.fingerprint(wanted.inputs),
        columns={
            "text": wanted.columns.text,
            "voice": wanted.columns.voice,
            "seed": wanted.columns.seed,
            "id": wanted.columns.id,
        },
        voice=voice_identity(wanted.voice),
        seed=_given(wanted.seed, before.seed if before else 0),
        format=wanted.format,
        tokens=wanted.tokens,
        options=wanted.options,
        checkpoint=found.checkpoint,
        sample_rate=found.sample_rate,
        rows=before.rows if before else 0,
        shard_rows=_given(wanted.shard_rows, before.shard_rows if before else 0),
        shards=before.shards if before else 0,
        voices={**before.voices, **found.hashes(before.voices)} if before else {},
    )
    if before:
        if words := difference(before, now):
            raise InvalidRequest(f"{folder.path} can't be resumed: {words}; name another folder for a new job")
        return before
    shard_rows = wanted.shard_rows or usual_shard_rows(_count(wanted, now))
    max_characters = math.inf if wanted.shard_rows else MAX_SHARD_CHARACTERS
    repeats, names = Repeats(), set[str]()
    with console.status("reading the tables …"):
        read = noting_voices(repeats.seen(_rows(wanted, now)), names)
        rows, shards = folder.write_rows(cut(read, max_rows=shard_rows, max_characters=max_characters))
    if not rows:
        raise InvalidRequest("the tables have no rows")
    job = replace(now, rows=rows, shard_rows=shard_rows, shards=shards, voices=found.hashes(names))
    folder.write_readme(readme(job))
    folder.begin(job)
    if warning := repeats.warning():
        console.print(f"[yellow]warning:[/] {warning}", highlight=False)
    return job


def _given(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _rows(wanted: Wanted, job: Job) -> Iterator[Row]:
    for number, values in enumerate(tables.read(wanted.inputs, wanted.columns)):
        if isinstance(values, str):
            yield broken_row(values, number=number)
        else:
            yield row_of(values, number=number, columns=wanted.columns, voice=job.voice, seed=job.seed)


def _count(wanted: Wanted, job: Job) -> int:
    """How many rows there are, as far as it decides how many a shard has."""
    return sum(1 for _ in islice(_rows(wanted, job), 64 * MAX_SHARD_ROWS))


def _result(
    folder: Folder, lines: list[str], *, seconds: float = 0.0, before: dict[int, dict[str, Any]] | None = None
) -> Result:
    accounts = folder.accounts()
    new = 0.0
    if before is not None:
        new = sum(one["audio_seconds"] for shard, one in accounts.items() if shard not in before)
    lines = lines + summary(accounts.values(), seconds=seconds, spoken_seconds=new)
    rows, failed = (sum(one[name] for one in accounts.values()) for name in ("rows", "failed"))
    return Result(lines, spoken=failed < rows)
