"""Metrics of speech on ``/metrics``. Triton's own statistics of ``bark`` stop when ``execute`` returns."""

from __future__ import annotations

from typing import Any, Literal, get_args

import triton_python_backend_utils as pb_utils

from bark_serving.speech.guard import VERDICTS
from bark_serving.speech.report import SpeechSummary

Outcome = Literal["spoken", "refused", "cancelled", "failed", "check"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_BUCKETS_S = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
_BUCKETS_FACTOR = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]


class SpeechMetrics:
    """Prometheus metrics of the requests that one model has answered.

    All requests: ``bark_requests_running``, and once they have ended ``bark_requests_total{outcome}``; that of a check
    is ``check``, however it ended, and a check is in no other metric. Requests spoken to their end:
    ``bark_audio_seconds_total``, ``bark_stage_seconds_total{stage}`` and ``bark_stage_calls_total{stage}`` (pieces run
    side by side, and their seconds add up), ``bark_pieces_total{verdict}`` (what became of each piece of the texts),
    ``bark_retries_total`` (takes beyond the first one of a piece), and two histograms: ``bark_first_audio_seconds``
    (from the request to its first audio) and ``bark_real_time_factor`` (seconds from the request to its last audio, per
    second of audio; below 1 is faster).

    One thread at a time may use it: Triton (24.10) does not keep apart what two threads of a model send.
    """

    def __init__(self) -> None:
        # The families are kept in attributes: when one is garbage-collected, its metrics go too.
        self._requests = _family("bark_requests_total", "Speech requests by how they ended.")
        self._now = _family("bark_requests_running", "Speech requests that run now.", kind="GAUGE")
        self._stage_seconds = _family(
            "bark_stage_seconds_total", "Seconds in each stage of the requests spoken to their end."
        )
        self._stage_calls = _family(
            "bark_stage_calls_total", "Calls of each stage of the requests spoken to their end."
        )
        self._pieces = _family("bark_pieces_total", "Pieces of texts by what became of them.")
        self._more_takes = _family("bark_retries_total", "Takes beyond the first one of a piece.")
        self._audio = _family("bark_audio_seconds_total", "Seconds of speech of the requests spoken to their end.")
        self._first = _family(
            "bark_first_audio_seconds", "Seconds from a request to its first audio.", kind="HISTOGRAM"
        )
        self._factors = _family(
            "bark_real_time_factor", "Seconds from a request to its last audio, per second of audio.", kind="HISTOGRAM"
        )

        self._audio_seconds = self._audio.Metric(labels={})
        self._retries = self._more_takes.Metric(labels={})
        self._verdicts = {verdict: self._pieces.Metric(labels={"verdict": verdict}) for verdict in VERDICTS}
        self._first_audio = self._first.Metric(labels={}, buckets=_BUCKETS_S)
        self._factor = self._factors.Metric(labels={}, buckets=_BUCKETS_FACTOR)
        # Every outcome starts at 0, so that an alert on it works before it happens for the first time.
        self._ends = {outcome: self._requests.Metric(labels={"outcome": outcome}) for outcome in OUTCOMES}
        self._stages: dict[str, tuple[Any, Any]] = {}
        self._running = {check: self._now.Metric(labels={"check": str(check).lower()}) for check in (False, True)}
        self._count_those_of_a_dead_process()

    def _count_those_of_a_dead_process(self) -> None:
        """Triton keeps the metrics of a process that died. The requests that ran in it have failed."""
        for check, metric in self._running.items():
            self._ends["check" if check else "failed"].increment(metric.value())
            metric.set(0)

    def begun(self, *, check: bool) -> None:
        """Count a request that begins."""
        self._running[check].increment(1)

    def ended(self, outcome: Outcome) -> None:
        """Count a request that ends."""
        self._ends[outcome].increment(1)
        self._running[outcome == "check"].increment(-1)

    def spoke(self, summary: SpeechSummary) -> None:
        """Count a request that was spoken to its end."""
        self._audio_seconds.increment(summary.audio_seconds)
        if summary.audio_seconds:
            self._factor.observe(summary.seconds / summary.audio_seconds)
        if summary.first_audio_seconds is not None:
            self._first_audio.observe(summary.first_audio_seconds)
        for piece in summary.pieces:
            self._verdicts[piece.verdict].increment(1)
            self._retries.increment(piece.attempts - 1)
        for stage, time in summary.stages.items():
            seconds, calls = self._stage(stage)
            seconds.increment(time.seconds)
            calls.increment(time.calls)

    def _stage(self, stage: str) -> tuple[Any, Any]:
        if stage not in self._stages:
            labels = {"stage": stage}
            self._stages[stage] = self._stage_seconds.Metric(labels=labels), self._stage_calls.Metric(labels=labels)
        return self._stages[stage]


def _family(name: str, description: str, *, kind: Literal["COUNTER", "GAUGE", "HISTOGRAM"] = "COUNTER") -> Any:
    return pb_utils.MetricFamily(name=name, description=description, kind=getattr(pb_utils.MetricFamily, kind))
