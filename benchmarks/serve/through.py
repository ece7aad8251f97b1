"""`serve --through gateway`: what the gateway adds to the first audio, and whether it makes a player wait.

The same requests go to the server by gRPC and through its gateway by HTTP, in turns, so that whatever slows the machine
slows both. Both clients run in one event loop. So neither aiperf nor locust makes the load: they cannot speak gRPC in
the same loop, and their own work per request is larger than what is measured here.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, Final

from bark_client import AsyncBarkClient
from bark_client.protocol import SAMPLE_RATE
from bark_gateway.formats import BIT_RATE
from bark_serving.server.gateway import wait_until_listening
from benchmarks.errors import BenchmarkError
from benchmarks.latency import FIRST, PAUSE, longest_pause
from benchmarks.plots import bar_groups, colours_of, legend_above, server_of, tidy
from benchmarks.results import Measurement, Result
from benchmarks.statistics import is_enough, percentile
from benchmarks.tables import Table, caption, duration

DIRECT: Final = "gRPC"
FORMATS: Final = ("pcm", "opus", "mp3")
#: Bytes per second of audio, where that is constant. The seconds of Opus cannot be told from its bytes.
BYTES_PER_SECOND: Final = {"pcm": 2 * SAMPLE_RATE, "mp3": BIT_RATE // 8}
SUBJECTS: Final = (DIRECT, *(f"gateway, {name}" for name in FORMATS))
TEXT: Final = "I made a cup of tea for my sister this morning."


@dataclass(frozen=True)
class Trial:
    """How many requests are sent at once, and how many in all for each subject."""

    at_once: Sequence[int]
    requests: int
    options: Mapping[str, Any]

    def rounds(self, at_once: int) -> int:
        return max(1, -(-self.requests // at_once))

    @property
    def step_count(self) -> int:
        return sum(self.rounds(count) for count in self.at_once)


@dataclass(frozen=True)
class Heard:
    """Seconds from the request to each arrival, and the seconds of audio that arrived; none of them: not known."""

    arrivals: Sequence[float]
    lengths: Sequence[float]

    @property
    def pause(self) -> float | None:
        """See `latency.longest_pause`; None: not known."""
        return longest_pause(self.arrivals, self.lengths) if self.lengths else None


@contextmanager
def gateway(server: str, *, port: int) -> Iterator[int]:
    """Run a gateway in front of a server; yields its port."""
    command = [sys.executable, "-m", "bark_gateway", "--server", server, "--port", str(port), "--max-active", "1024"]
    with TemporaryFile("w+") as log, subprocess.Popen(command, stderr=log, text=True) as child:

        def lines() -> list[str]:
            log.seek(0)
            return log.read().splitlines()

        try:
            if wait_until_listening(child, lines) is None:
                said = " ".join(lines()[-5:])
                raise BenchmarkError(f"The gateway did not start: {said}", remedy="Try `bark-gateway` by itself.")
            yield port
        finally:
            child.terminate()


async def by_grpc(client: AsyncBarkClient, seed: int, options: Mapping[str, Any]) -> Heard:
    """One request by the SDK."""
    began, arrivals, lengths = time.perf_counter(), list[float](), list[float]()
    async with client.stream(TEXT, seed=seed, **options) as stream:
        async for chunk in stream:
            if chunk.seconds:
                arrivals.append(time.perf_counter() - began)
                lengths.append(chunk.seconds)
    return Heard(arrivals, lengths)


async def by_http(port: int, seed: int, options: Mapping[str, Any], *, name: str) -> Heard:
    """One request by HTTP, on a connection of its own that is open before the clock starts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {("schedule" if option == "speed" else option): value for option, value in options.items()}
    body = json.dumps({"input": TEXT, "seed": seed, "response_format": name, **fields}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-type: application/json\r\n"
    began, arrivals, lengths = time.perf_counter(), list[float](), list[float]()
    rate = BYTES_PER_SECOND.get(name)
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    status = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in status.split(b"\r\n")[0]:
        raise BenchmarkError(f"The gateway answered {status.decode(errors='replace')[:200]}", remedy="See its log.")
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
        arrivals.append(time.perf_counter() - began)
        if rate is not None:
            lengths.append(size / rate)
    writer.close()
    return Heard(arrivals, lengths)


def measure(server: str, port: int, trial: Trial, *, on_step: Callable[[str], None]) -> list[Measurement]:
    """First audio of every subject, and the longest pause of those whose seconds can be counted."""
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    async def run() -> None:
        async with AsyncBarkClient(server) as client:
            await asyncio.gather(by_grpc(client, 0, trial.options), *(_http(port, 0, trial, name) for name in FORMATS))
            for count in trial.at_once:
                case, total = f"{count} at once", trial.rounds(count)
                for turn in range(total):
                    on_step(f"{case}, {turn + 1} of {total}")
                    seeds = range(turn * count, (turn + 1) * count)
                    heard = {DIRECT: await asyncio.gather(*(by_grpc(client, seed, trial.options) for seed in seeds))}
                    for name in FORMATS:
                        asked = [_http(port, seed, trial, name) for seed in seeds]
                        heard[f"gateway, {name}"] = await asyncio.gather(*asked)
                    for subject, ones in heard.items():
                        samples[case, subject, FIRST] += [one.arrivals[0] for one in ones]
                        samples[case, subject, PAUSE] += [one.pause for one in ones if one.pause is not None]

    asyncio.run(run())
    return [
        Measurement(case=case, subject=subject, metric=metric, unit="s", samples=tuple(values))
        for (case, subject, metric), values in samples.items()
        if values
    ]


def _http(port: int, seed: int, trial: Trial, name: str) -> Any:
    return by_http(port, seed, trial.options, name=name)


def table(result: Result) -> Table:
    """One row per load and subject: first audio, what the gateway adds, the longest pause."""
    rows = []
    for case in result.cases(FIRST):
        direct = result.find(case=case, subject=DIRECT, metric=FIRST)
        assert direct is not None
        for subject in SUBJECTS:
            first, pause = (result.find(case=case, subject=subject, metric=metric) for metric in (FIRST, PAUSE))
            if first is None:  # an older result
                continue
            cells = [f"{case}, {subject}", str(len(first.samples))]
            for percent in (50, 95):
                known = is_enough(first.samples, percent)
                value, least = (percentile(one.samples, percent) for one in (first, direct))
                cells += [duration(value), duration(value - least)] if known else ["", ""]
            rows.append([*cells, duration(max(pause.samples)) if pause else ""])
    header = ["load", "requests", "first audio p50", "above gRPC", "p95", "above gRPC", "longest pause"]
    return Table(header, rows, caption(result))


def plot(result: Result, figure: Any) -> None:
    """First audio: one group of bars per load, one bar per subject."""
    colours = colours_of(result.subjects(FIRST))
    axes = figure.subplots(1, 1)
    bar_groups(axes, result, colours, FIRST, lambda m: m.median)
    tidy(axes, f"First audio, s: {server_of(result)}")
    legend_above(figure, axes)
