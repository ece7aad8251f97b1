"""Prometheus metrics of one gateway. Triton's own are on its port 8002."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bark_client import BarkError, InvalidRequest, RequestTimeout, ServerUnavailable, Summary
from bark_gateway.errors import UNSPEAKABLE, GatewayError

Outcome = Literal["spoken", "refused", "limited", "left", "unavailable", "timeout", "failed"]
ServerOutcome = Literal[Outcome, "moved"]  #: moved: it failed before its first audio, and another server got it
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_FIRST_AUDIO_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)
_FACTORS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)


@dataclass(frozen=True)
class ServerState:
    """What is told of one server. seconds: of speech that it still has to make."""

    url: str
    ready: bool
    active: int
    seconds: float


@dataclass
class Seen:
    """What is seen of one speech while it is made."""

    started: float = field(default_factory=time.monotonic)
    first_audio: float | None = None
    summary: Summary | None = None

    def audio(self) -> bool:
        """Some audio can leave. Returns whether it is the first."""
        if self.first_audio is not None:
            return False
        self.first_audio = time.monotonic()
        return True


class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        speeches = "bark_gateway_speeches_total"
        self._speeches = Counter(speeches, "Speeches by how they ended.", ["outcome"], registry=self.registry)
        for outcome in OUTCOMES:
            self._speeches.labels(outcome)
        self._answers = Counter(
            "bark_gateway_http_requests_total",
            "Answers by path and status.",
            ["path", "status"],
            registry=self.registry,
        )
        self._first_audio = Histogram(
            "bark_gateway_first_audio_seconds",
            "Seconds from a request to the first audio that can leave, with the wait in the queue.",
            buckets=_FIRST_AUDIO_S,
            registry=self.registry,
        )
        self._factor = Histogram(
            "bark_gateway_real_time_factor",
            "Seconds from a request to its last audio, per second of audio. Below 1 is faster than it plays.",
            buckets=_FACTORS,
            registry=self.registry,
        )
        self._audio = Counter("bark_gateway_audio_seconds_total", "Seconds of speech.", registry=self.registry)
        self._characters = Counter(
            "bark_gateway_characters_total", "Characters of texts that were spoken.", registry=self.registry
        )
        self._retries = Counter(
            "bark_gateway_retries_total", "Takes of a piece beyond its first one.", registry=self.registry
        )

        self._on_servers = Counter(
            "bark_gateway_server_speeches_total",
            "Speeches by server and by how they ended there.",
            ["server", "outcome"],
            registry=self.registry,
        )

    def watch_servers(self, states: Callable[[], Sequence[ServerState]]) -> None:
        """Tell the state of each server that there is when the metrics are read."""
        self.registry.register(_OfServers(states))

    def on_server(self, url: str, outcome: ServerOutcome) -> None:
        """Count a speech that a server had."""
        self._on_servers.labels(url, outcome).inc()

    def server_gone(self, url: str) -> None:
        """Forget what is counted of a server that has left."""
        for outcome in get_args(ServerOutcome):
            with suppress(KeyError):
                self._on_servers.remove(url, outcome)

    def gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """A number that is read when the metrics are."""
        Gauge(f"bark_gateway_{name}", description, registry=self.registry).set_function(value)

    def answered(self, path: str, status: int) -> None:
        """Count an answer. path: of the route, with its placeholders."""
        self._answers.labels(path, str(status)).inc()

    @contextmanager
    def speech(self, characters: int) -> Iterator[Seen]:
        """Count a speech, which is made in the block."""
        seen, outcome = Seen(), "left"
        try:
            yield seen
            outcome = "spoken"
        except (GatewayError, BarkError) as error:
            outcome = outcome_of(error)
            raise
        except asyncio.CancelledError:
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._speeches.labels(outcome).inc()
            if seen.first_audio is not None:
                self._first_audio.observe(seen.first_audio - seen.started)
            if seen.summary is not None:
                self._spoke(seen.summary, characters, time.monotonic() - seen.started)

    def _spoke(self, summary: Summary, characters: int, seconds: float) -> None:
        self._characters.inc(characters)
        self._audio.inc(summary.seconds)
        self._retries.inc(sum(piece.attempts - 1 for piece in summary.pieces))
        if summary.seconds:
            self._factor.observe(seconds / summary.seconds)

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self.registry)


class _OfServers(Collector):
    """Gauges of servers, which come and go."""

    def __init__(self, states: Callable[[], Sequence[ServerState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "bark_gateway_server_up", "Whether a server was ready when it was last looked at.", labels=["server"]
        )
        active = GaugeMetricFamily(
            "bark_gateway_server_active", "Requests that a server has.", labels=["server"]
        )  # fmt: skip
        seconds = GaugeMetricFamily(
            "bark_gateway_server_pending_seconds", "Seconds of speech that a server has to make.", labels=["server"]
        )
        for state in self._states():
            up.add_metric([state.url], float(state.ready))
            active.add_metric([state.url], state.active)
            seconds.add_metric([state.url], state.seconds)
        yield from (up, active, seconds)


def outcome_of(error: GatewayError | BarkError) -> Outcome:
    """How a speech ended that raised this."""
    if isinstance(error, GatewayError) and error.status_code == 503:
        return "unavailable"
    if isinstance(error, GatewayError):
        if error.status_code == 429:
            return "limited"
        return "failed" if error.status_code >= 500 or error.status_code == UNSPEAKABLE else "refused"
    if isinstance(error, InvalidRequest):
        return "refused"
    if isinstance(error, ServerUnavailable):
        return "unavailable"
    return "timeout" if isinstance(error, RequestTimeout) else "failed"
