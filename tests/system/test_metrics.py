"""The metrics of speech as a scraper reads them."""

from __future__ import annotations

import re
import time
import urllib.request

import pytest

from bark_client import BarkClient, InvalidRequest
from tests.system.conftest import RealServer

_SAMPLE = re.compile(r'^(bark_\w+)(?:\{(?:\w+="(\w+)")?[^}]*\})? (\S+)$', re.MULTILINE)


def counted(server: RealServer) -> dict[str, float]:
    """The server's metrics of speech by name and label, without a histogram's buckets."""
    text = urllib.request.urlopen(server.metrics_url, timeout=10).read().decode()
    return {
        f"{name} {label}".strip(): float(value)
        for name, label, value in _SAMPLE.findall(text)
        if not name.endswith("_bucket")
    }


def test_metrics_count_what_was_said_and_how_requests_ended(triton: RealServer) -> None:
    with BarkClient(triton.url) as bark:
        before = counted(triton)
        speech = bark.speak("Here the first sentence is counted. The second one is, too.", seed=1, max_duration=1.0)
        with pytest.raises(InvalidRequest):
            bark.speak("Not this.", voice="nobody")
        with bark.stream("Left alone. " * 40, seed=2, min_eos_p=1.0) as stream:
            next(iter(stream))
    deadline = time.monotonic() + 20
    while counted(triton)["bark_requests_total cancelled"] == before["bark_requests_total cancelled"]:
        assert time.monotonic() < deadline, "the request that was left was never counted"
        time.sleep(0.05)
    grown = {name: value - before.get(name, 0) for name, value in counted(triton).items()}
    assert grown["bark_requests_total spoken"] == 1 and grown["bark_requests_total refused"] == 1
    assert grown["bark_requests_total failed"] == 0 and grown["bark_requests_total cancelled"] == 1
    assert grown["bark_audio_seconds_total"] == pytest.approx(speech.seconds)
    assert grown["bark_first_audio_seconds_count"] == grown["bark_real_time_factor_count"] == 1
    assert grown["bark_first_audio_seconds_sum"] == pytest.approx(speech.timings.first_audio_seconds, abs=1e-4)
    assert sum(value for name, value in grown.items() if name.startswith("bark_pieces_total")) == 2
    assert grown["bark_pieces_total cut"] >= 1 and grown["bark_retries_total"] == 0
    for stage, times in speech.timings.stages.items():
        assert grown[f"bark_stage_seconds_total {stage}"] == pytest.approx(times.seconds, abs=1e-4)
        assert grown[f"bark_stage_calls_total {stage}"] == times.calls


def test_checks_of_the_server_are_not_counted_as_speech(triton: RealServer) -> None:
    before = counted(triton)
    assert before["bark_requests_total check"] >= 1  # the word that a server says before it counts as started
    with BarkClient(triton.url) as bark:
        assert bark.health(deep=True).ok
    deadline = time.monotonic() + 20
    while counted(triton)["bark_requests_total check"] == before["bark_requests_total check"]:
        assert time.monotonic() < deadline, "the check was never counted"
        time.sleep(0.05)
    grown = {name: value - before.get(name, 0) for name, value in counted(triton).items()}
    assert {name for name, value in grown.items() if value} == {"bark_requests_total check"}
