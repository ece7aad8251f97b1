"""What Ray Data runs: the desk as a worker sees it, and the worker."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any, Final

import ray

from bark_batch.desk import BEAT_INTERVAL_S, Slot
from bark_batch.shard_speaker import Orders, ShardSpeaker
from bark_batch.speaking import JobStopped

_MAX_SILENT_BEATS: Final = 3  #: that the desk may miss; then its job is gone, and so is the worker
_EXIT_NO_DESK: Final = 1


class DeskOfWorker:
    """The desk, as the threads of one worker see it."""

    def __init__(self, desk: Any) -> None:
        self._desk, self._name = desk, uuid.uuid4().hex
        threading.Thread(target=self._beat, daemon=True).start()

    def take(self) -> Slot:
        while True:
            slot = ray.get(self._desk.take.remote(self._name))
            if isinstance(slot, Slot):
                return slot
            if slot is not None:
                raise JobStopped(slot)

    def give(self, slot: Slot, *, problem: str = "") -> None:
        ray.get(self._desk.give.remote(slot, problem=problem))

    def stop(self, reason: str) -> None:
        ray.get(self._desk.stop.remote(reason))

    def begin(self, shard: int) -> None:
        ray.get(self._desk.begin.remote(shard))

    def count(self, shard: int, *, failed: bool, seconds: float) -> None:
        self._desk.count.remote(shard, failed=failed, seconds=seconds)

    def _beat(self) -> None:
        """Tell the desk that this worker is alive. Without a desk there is no job: leave its requests unfinished."""
        silent = 0
        while silent < _MAX_SILENT_BEATS:
            try:
                ray.get(self._desk.beat.remote(self._name), timeout=BEAT_INTERVAL_S)
                silent = 0
            except ray.exceptions.RayError:
                silent += 1
            time.sleep(BEAT_INTERVAL_S)
        os._exit(_EXIT_NO_DESK)


class Worker:
    """Ray Data makes some, and calls each with numbers of shards, for two shards at once.

    The second shard fills the threads that the last rows of the first one leave.
    """

    def __init__(self, orders: Orders, desk: Any) -> None:
        self._speaker = ShardSpeaker(orders, DeskOfWorker(desk))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for shard in map(int, batch["shard"]):
            self._speaker.speak(shard)
        return batch
