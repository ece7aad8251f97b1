"""Ray: a cluster, the desk in it, and a data set of shards that workers map to files."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from bark_batch.desk import Progress, as_actor
from bark_batch.shard_speaker import Orders
from bark_batch.worker import Worker
from bark_client import BarkError

MAX_THREADS: Final = 512  #: of a worker
_SHARDS_AT_ONCE: Final = 2  #: of a worker
_MAX_BLOCKS: Final = 10_000  #: of the data set of shards; a block that is lost is spoken again, but for what is done
_OBJECT_STORE_BYTES: Final = 100 << 20  #: of a local Ray: it holds numbers of shards only
_LOOK_INTERVAL_S: Final = 0.5
_STARTS: Final = 3  #: of a local Ray, which gives up after 30 s on a machine that is full of work


@contextmanager
def cluster(address: str | None, *, cpus: int) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine. Yields the module `ray`.

    cpus: that a local cluster has for workers. BarkError if no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it tells users about the inside of Ray Data
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        options |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    began = not ray.is_initialized()
    try:
        if began:
            init(ray, address=address or "local", **options)
    except Exception as error:  # noqa: BLE001 - Ray raises plain ones
        words = (str(error).splitlines() or [type(error).__name__])[0]
        where = "on this machine" if address is None else f"at {address}"
        raise BarkError(f"no Ray {where}: {words}") from None
    try:
        yield ray
    finally:
        if began:
            ray.shutdown()


def init(ray: Any, *, address: str, **options: Any) -> None:
    """Connect to a cluster, or start a local one. That is tried again where it does not start in time."""
    for attempt in range(1, _STARTS + 1):
        try:
            with _without_stderr():
                ray.init(address=address, **options)
            return
        except Exception:
            ray.shutdown()
            if address != "local" or attempt == _STARTS:
                raise


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Ray's C++ writes a line to standard error when its level of logging is set. Errors come as exceptions."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def workers_of(ray: Any, wanted: int | None) -> int:
    """How many workers a cluster gets: one per node, if nothing else is asked for. BarkError if it has too few CPUs."""
    cpus = int(ray.cluster_resources().get("CPU", 0))
    nodes = sum(1 for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1)
    workers = wanted or max(1, nodes)
    if workers > cpus:
        raise BarkError(f"{workers} workers need as many CPUs, and the Ray cluster has {cpus}: give fewer --workers")
    return workers


def speak_shards(
    ray: Any,
    pending: Sequence[int],
    *,
    orders: Orders,
    servers: Sequence[str],
    slots: int,
    workers: int,
    patience: float,
    silent: Mapping[str, str],
    show: Callable[[Progress], None],
) -> None:
    """Speak the shards that are not done. BarkError if the job cannot go on.

    silent: servers that did not speak before, and why. `show` is called twice a second.
    """
    desk = _desk(ray, servers, slots=slots, patience=patience, silent=silent)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for _ in _dataset(pending, orders=orders, desk=desk, workers=workers).iter_batches(batch_size=None):
                pass
        except BaseException as error:  # noqa: BLE001 - it is raised again below, in the thread that can say it
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_INTERVAL_S)
        progress: Progress = ray.get(desk.progress.remote())
        show(progress)
        if progress.stopped:
            raise BarkError(progress.stopped)
    progress = ray.get(desk.progress.remote())
    if progress.stopped:
        raise BarkError(progress.stopped)
    if failures:
        raise _worded(failures[0])


def _worded(error: BaseException) -> BaseException:
    """An error of Ray as one sentence."""
    if isinstance(error, BarkError | OSError | KeyboardInterrupt):
        return error
    last = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return BarkError(f"Ray could not go on: {last.strip()}. Its logs are in /tmp/ray/session_latest/logs")


def _desk(ray: Any, servers: Sequence[str], **options: Any) -> Any:
    """The desk, on the machine of this command: it lives as long as the command."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return as_actor(ray).options(scheduling_strategy=here).remote(servers, **options)


def _dataset(pending: Sequence[int], *, orders: Orders, desk: Any, workers: int) -> Any:
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    numbers = ray.data.from_items(
        [{"shard": shard} for shard in pending], override_num_blocks=min(len(pending), _MAX_BLOCKS)
    )
    return numbers.map_batches(
        Worker,
        fn_constructor_args=(orders, desk),
        batch_size=1,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(
            size=workers,
            max_tasks_in_flight_per_actor=_SHARDS_AT_ONCE,
            max_concurrent_calls_per_actor=_SHARDS_AT_ONCE,
            enable_true_multi_threading=True,
        ),
    )
