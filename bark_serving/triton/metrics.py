"""What ``/metrics`` says about speech. Triton's own statistics of ``bark`` end when a request is taken in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import triton_python_backend_utils as pb_utils

Outcome = Literal["spoken", "refused", "cancelled", "failed"]
_OUTCOMES: tuple[Outcome, ...] = ("spoken", "refused", "cancelled", "failed")

_SECONDS = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
_FACTORS = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]


class SpeechMetrics:
    """Prometheus metrics of the requests that one model has answered.

    Of all requests, ``bark_requests_total{outcome}``. Of those spoken to their end, ``bark_audio_seconds_total``,
    ``bark_stage_seconds_total{stage}`` and ``bark_stage_calls_total{stage}`` (sentences in flight add up), and the
    histograms ``bark_first_audio_seconds`` (from the request until its first audio was made) and
    ``bark_real_time_factor`` (seconds from the request to its last audio, for one of audio; below 1 is faster).
    """

    def __init__(self) -> None:
        # families are kept: one that is collected takes its metrics along
        self._requests = _family("bark_requests_total", "Speech requests by how they ended.")
        self._stage_seconds = _family(
            "bark_stage_seconds_total", "Seconds in each stage of the requests spoken to their end."
        )
        self._stage_calls = _family(
            "bark_stage_calls_total", "Calls of each stage of the requests spoken to their end."
        )
        self._audio = _family("bark_audio_seconds_total", "Seconds of speech of the requests spoken to their end.")
        self._first = _family(
            "bark_first_audio_seconds", "Seconds from a request until its first audio was made.", histogram=True
        )
        self._factors = _family(
            "bark_real_time_factor", "Seconds from a request to its last audio, for one of audio.", histogram=True
        )

        self._audio_seconds = self._audio.Metric(labels={})
        self._first_audio = self._first.Metric(labels={}, buckets=_SECONDS)
        self._factor = self._factors.Metric(labels={}, buckets=_FACTORS)
        # a series that begins at 0 can be alerted on before the first of its kind happens
        self._ends = {outcome: self._requests.Metric(labels={"outcome": outcome}) for outcome in _OUTCOMES}
        self._stages: dict[str, tuple[Any, Any]] = {}

    def ended(self, outcome: Outcome) -> None:
        """Count a request."""
        self._ends[outcome].increment(1)

    def spoke(self, report: Mapping[str, Any]) -> None:
        """Take in the report of a request's last answer."""
        audio = report["audio_seconds"]
        self._audio_seconds.increment(audio)
        if audio:
            self._factor.observe(report["seconds"] / audio)
        if report["first_audio_seconds"] is not None:
            self._first_audio.observe(report["first_audio_seconds"])
        for stage, times in report["stages"].items():
            seconds, calls = self._stage(stage)
            seconds.increment(times["seconds"])
            calls.increment(times["calls"])

    def _stage(self, stage: str) -> tuple[Any, Any]:
        if stage not in self._stages:
            labels = {"stage": stage}
            self._stages[stage] = self._stage_seconds.Metric(labels=labels), self._stage_calls.Metric(labels=labels)
        return self._stages[stage]


def _family(name: str, description: str, *, histogram: bool = False) -> Any:
    kind = pb_utils.MetricFamily.HISTOGRAM if histogram else pb_utils.MetricFamily.COUNTER
    return pb_utils.MetricFamily(name=name, description=description, kind=kind)
