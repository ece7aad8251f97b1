"""Speaks shards: many rows at once, then one file."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bark_batch import shards
from bark_batch.folder import Folder, Job
from bark_batch.rows import Row
from bark_batch.speaking import Clients, Manner, Slots, Spoken, speak_row


@dataclass(frozen=True)
class Orders:
    """What all workers of a job are told."""

    folder: Path
    job: Job
    manner: Manner
    threads: int  #: rows that a worker has in hand at most; those without a slot wait for one


class Desk(Slots, Protocol):
    """What a shard needs of the desk: slots, and that it counts."""

    def begin(self, shard: int) -> None: ...

    def count(self, shard: int, *, failed: bool, seconds: float) -> None: ...


class ShardSpeaker:
    """Speaks shards, in any number of threads at once. All of them share the threads that speak rows."""

    def __init__(self, orders: Orders, desk: Desk) -> None:
        self._orders, self._desk = orders, desk
        self._folder, self._clients = Folder(orders.folder), Clients()
        self._threads = ThreadPoolExecutor(orders.threads)

    def speak(self, shard: int) -> None:
        """Speak a shard and write its file, unless it is there. JobStopped if the job cannot go on."""
        try:
            self._speak(shard)
        except OSError as error:
            where = error.filename or self._folder.path  # a full disk is told without a name
            self._desk.stop(f"can't write or read {where}: {(error.strerror or str(error)).lower()}")
            raise

    def _speak(self, shard: int) -> None:
        job = self._orders.job
        if self._folder.is_done(shard):
            return
        start = time.time()
        if (path := self._folder.data(shard, shards=job.shards)).exists():  # killed between its last two steps
            self._folder.note_done(shard, shards.account_of(shards.read(path)) | {"begun": start, "ended": start})
            return
        rows = self._folder.rows(shard)
        self._desk.begin(shard)
        spoken = list(self._threads.map(lambda row: self._row(shard, row), rows))
        table = shards.table_of(
            spoken,
            sample_rate=job.sample_rate,
            format=job.format,
            tokens=job.tokens,
        )
        self._folder.write_data(shard, shards.to_parquet(table), shards=job.shards)
        self._folder.note_done(shard, shards.account_of(table) | {"begun": start, "ended": time.time()})

    def _row(self, shard: int, row: Row) -> Spoken:
        spoken = speak_row(row, manner=self._orders.manner, slots=self._desk, clients=self._clients)
        self._desk.count(shard, failed=spoken.error is not None, seconds=spoken.seconds)
        return spoken
