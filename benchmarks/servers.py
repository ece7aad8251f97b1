"""The server to measure: a running one, or one that is started for the length of a ``with`` block."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bark_client.connection import DEFAULT_URL
from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.host.processes import TRITON, is_running, running_stubs
from bark_serving.server import Server, ServerSettings, running, state
from bark_serving.server.log import relevant_lines
from bark_serving.server.process import find
from bark_serving.server.settings import state_folder
from bark_serving.spec import Spec
from benchmarks.bundles import repository_of
from benchmarks.errors import BenchmarkError
from benchmarks.results import SERVER_AT
from benchmarks.variants import Variant


@dataclass(frozen=True)
class Target:
    """A server to send requests to."""

    url: str  #: host:port of gRPC
    process: psutil.Process | None  #: tritonserver; None: unknown, as on another machine
    start_seconds: float | None = None  #: from launch to the first answer; None: it was running already
    log: Path | None = None  #: its log file; None: unknown
    metrics: str | None = None  #: the URL of its metrics; None: unknown

    def check(self) -> None:
        """Raise `BenchmarkError`, with the relevant lines of the log, if the server's process has ended."""
        if self.process is not None and not is_running(self.process):
            lines = [f"  {line}" for line in relevant_lines(self.log)] if self.log else []
            raise BenchmarkError("\n".join([f"The server (pid {self.process.pid}) ended by itself.", *lines]))

    def memory(self) -> dict[str, int] | None:
        """Bytes by model, with `TRITON` for the server itself; None if unknown."""
        if self.process is None:
            return None
        try:
            return memory_of({self.process: TRITON, **running_stubs(self.process)}) or None
        except psutil.NoSuchProcess:
            return None


def memory_of(processes: Mapping[psutil.Process, str]) -> dict[str, int]:
    """Bytes by name of those processes that run. A page that processes share counts once in all."""
    found: dict[str, int] = {}
    for process, name in processes.items():
        with suppress(psutil.NoSuchProcess):
            info = process.memory_full_info()
            found[name] = found.get(name, 0) + int(getattr(info, "pss", info.rss))
    return found


class MemoryWatch:
    """Reads a server's memory at intervals during a ``with`` block; `peak` is the largest sum, in bytes."""

    def __init__(self, target: Target, *, interval_s: float = 0.5) -> None:
        self.peak: int | None = None
        self._target, self._interval_s = target, interval_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        ended = False
        while not ended:
            ended = self._end.wait(self._interval_s)  # the memory is also read once at the end of the block
            memory = self._target.memory()
            if memory is not None:
                self.peak = max(self.peak or 0, sum(memory.values()))


@contextmanager
def own_settings(
    name: str, bundle: Bundle, variant: Variant, *, store: EngineStore, threads: int | None, max_batch: int = 8
) -> Iterator[ServerSettings]:
    """Settings of a server of a variant, on free ports. Its repository and its folder are deleted after the block."""
    with tempfile.TemporaryDirectory(prefix="bark-benchmark-") as root:
        folder = Path(root)
        repository = repository_of(bundle, variant, store=store, folder=folder, threads=threads, max_batch=max_batch)
        http, grpc, metrics = free_ports(3)
        yield ServerSettings(
            name=name,
            repository=repository,
            folder=folder / "server",
            http_port=http,
            grpc_port=grpc,
            metrics_port=metrics,
        )


@contextmanager
def own_server(
    bundle: Bundle, variant: Variant, *, store: EngineStore, threads: int | None, max_batch: int = 8
) -> Iterator[Target]:
    """Start a server of a variant on free ports. Afterwards it is stopped and its files are deleted."""
    with own_settings("benchmark", bundle, variant, store=store, threads=threads, max_batch=max_batch) as settings:
        started = time.perf_counter()
        with running(settings) as server:
            yield _target(server, time.perf_counter() - started)


def _target(server: Server, seconds: float) -> Target:
    return Target(server.url, server.process, seconds, server.settings.log_path, server.metrics_url)


def _at(url: str) -> Target:
    """A running server. Its process is known if `bark-serve` started it on this machine."""
    port = int(url.rsplit(":", 1)[1]) if url.rsplit(":", 1)[-1].isdigit() else None
    for found in state.running_servers(state_folder()):
        process = find(found.triton_pid, born=found.triton_born)
        if found.settings.grpc_port == port and process is not None:
            return Target(url, process, log=found.settings.log_path, metrics=found.settings.metrics_url)
    return Target(url, None)


@contextmanager
def target(
    url: str | None,
    prepared: tuple[Bundle, EngineStore] | None,
    *,
    variant: Variant,
    threads: int | None,
    max_batch: int = 8,
) -> Iterator[Target]:
    """The server at ``url``, or one that is started with a bundle and its engines."""
    if url is not None or prepared is None:
        yield _at(url or DEFAULT_URL)
    else:
        bundle, store = prepared
        with own_server(bundle, variant, store=store, threads=threads, max_batch=max_batch) as own:
            yield own


def described(url: str | None, variant: Variant, *, bundle: str, **known: Any) -> dict[str, Any]:
    """The server in a result's settings. Of a server at ``url``, the bundle and everything ``known`` are left out."""
    if url is None:
        return {"bundle": bundle, "server": variant.name, **known}
    return {"server": f"{SERVER_AT}{url}" + (f", {variant.label}" if variant.label else "")}


def options_of(prepared: tuple[Bundle, EngineStore] | None, variant: Variant) -> Mapping[str, Any]:
    """A variant's request inputs. A server given by URL is assumed to have Suno's sizes."""
    return variant.options(prepared[0].spec if prepared else Spec(name="suno"))


def free_ports(count: int) -> list[int]:
    """Free ports. All are open at the same time, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]
