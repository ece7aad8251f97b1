"""One row, against stand-ins for servers."""

from __future__ import annotations

import io
from typing import Any

import grpc
import pytest
import soundfile

from bark_batch.desk import Slot
from bark_batch.rows import Row
from bark_batch.speaking import MAX_ATTEMPTS, Clients, JobStopped, Manner, Spoken, speak_row
from tests.client import fake_triton
from tests.client.fake_triton import SAMPLE_RATE, FakeTriton, started

ROW = Row("7", "One. Two.", "joe", 5)


class OneSlot:
    """A desk with one server that notes what it hears."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.taken = 0
        self.problems: list[str] = []
        self.stopped = ""

    def take(self) -> Slot:
        self.taken += 1
        return Slot(self.taken, self._url)

    def give(self, slot: Slot, *, problem: str = "") -> None:
        assert slot.number == self.taken
        self.problems.append(problem)

    def stop(self, reason: str) -> None:
        self.stopped = reason


triton = pytest.fixture(started)


def speak(row: Row, desk: OneSlot, **manner: Any) -> Spoken:
    settings = {"checkpoint": "", "sample_rate": SAMPLE_RATE, "format": "flac", "options": {"return_tokens": True}}
    delays: list[float] = []
    return speak_row(row, manner=Manner(**{**settings, **manner}), slots=desk, clients=Clients(), sleep=delays.append)


def test_a_row_becomes_audio_tokens_and_pieces(triton: FakeTriton) -> None:
    desk = OneSlot(triton.url)
    spoken = speak(ROW, desk, options={"return_tokens": True, "top_k": 3})
    assert spoken.audio is not None and spoken.error is None and spoken.tokens is not None
    samples, rate = soundfile.read(io.BytesIO(spoken.audio))
    assert rate == SAMPLE_RATE and samples.size == round(spoken.seconds * rate) > 0
    assert [piece.text for piece in spoken.pieces] == ["One. Two."]
    (request,) = triton.requests
    assert (request["voice"], request["seed"], request["top_k"]) == (b"joe", 5, 3)
    assert desk.problems == [""]


@pytest.mark.parametrize(
    "failure",
    [
        fake_triton.say_error("[INTERNAL] it broke"),
        fake_triton.say_error("[CANCELLED] the server stops", after_chunks=1),
        fake_triton.abort(grpc.StatusCode.UNAVAILABLE, after_chunks=1),
        fake_triton.end_early(after_chunks=1),
    ],
)
def test_a_row_is_spoken_again_when_its_server_failed(triton: FakeTriton, failure: fake_triton.Behaviour) -> None:
    triton.plan.append(failure)
    desk = OneSlot(triton.url)
    spoken = speak(ROW, desk)
    assert spoken.audio is not None and spoken.attempts == len(desk.problems) == 2
    assert spoken.audio == speak(ROW, OneSlot(triton.url)).audio


def test_the_desk_hears_of_a_server_that_was_lost(triton: FakeTriton) -> None:
    triton.plan.append(fake_triton.abort(grpc.StatusCode.UNAVAILABLE, after_chunks=1))
    desk = OneSlot(triton.url)
    speak(ROW, desk)
    assert "the connection was lost" in desk.problems[0] and desk.problems[1] == ""


def test_a_row_that_no_server_can_speak_has_an_error_at_last(triton: FakeTriton) -> None:
    triton.plan.extend([fake_triton.say_error("[INTERNAL] it broke")] * MAX_ATTEMPTS)
    spoken = speak(ROW, OneSlot(triton.url))
    assert spoken.error == f"it broke (tried {MAX_ATTEMPTS} times)" and spoken.audio is None
    assert len(triton.requests) == MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("code", "words"), [("INVALID_ARGUMENT", "there is no voice 'joe'"), ("SPEECH_FAILED", "piece 1 failed 3 times")]
)
def test_a_row_that_would_fail_again_is_sent_once(triton: FakeTriton, code: str, words: str) -> None:
    triton.plan.append(fake_triton.say_error(f"[{code}] {words}"))
    spoken = speak(ROW, OneSlot(triton.url))
    assert (spoken.error, spoken.attempts, len(triton.requests)) == (words, 1, 1)


def test_a_row_with_an_error_is_not_sent(triton: FakeTriton) -> None:
    desk = OneSlot(triton.url)
    assert speak(Row("1", "", error="text: empty"), desk).error == "text: empty"
    assert desk.taken == 0 == len(triton.requests)


def test_a_row_without_speech_is_an_error_with_the_servers_reason(triton: FakeTriton) -> None:
    triton.plan.append(fake_triton.say_nothing)
    spoken = speak(ROW, OneSlot(triton.url))
    assert (spoken.error, spoken.audio) == ("nothing was spoken: it ended before it began", None)


def test_another_checkpoint_stops_the_job(triton: FakeTriton) -> None:
    desk = OneSlot(triton.url)
    with pytest.raises(JobStopped):
        speak(ROW, desk, checkpoint="bark 0123")
    assert desk.stopped.endswith("the job began with bark 0123") and desk.problems == [""]
