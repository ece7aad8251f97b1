"""One row to speech: with a slot of the desk, again where a server failed, and with an error in words at last."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from bark_batch.desk import Slot
from bark_batch.rows import Row
from bark_batch.sound import encode
from bark_client import BarkClient, BarkError, InvalidRequest, Piece, ServerUnavailable, Speech, SpeechFailed, Voice
from bark_client.voice import VoiceLike

MAX_ATTEMPTS: Final = 5  #: that a row gets, if it is servers that fail
_MIN_DELAY_S, _MAX_DELAY_S = 0.5, 8.0  # before another attempt; doubled after each


class JobStopped(Exception):
    """The job cannot go on; the desk says why."""


class Slots(Protocol):
    """What a row needs of the desk."""

    def take(self) -> Slot:
        """Wait for a slot. JobStopped if there will be none."""

    def give(self, slot: Slot, *, problem: str = "") -> None: ...

    def stop(self, reason: str) -> None: ...


@dataclass(frozen=True)
class Spoken:
    """A row and what became of it: audio, or an error."""

    row: Row
    audio: bytes | None = None  #: an encoded file
    seconds: float = 0.0  #: of audio
    pieces: tuple[Piece, ...] = ()
    warnings: tuple[str, ...] = ()
    tokens: Voice | None = None
    error: str | None = None
    attempts: int = 0  #: requests that were sent


@dataclass(frozen=True)
class Manner:
    """How all rows of a job are spoken."""

    checkpoint: str
    sample_rate: int  #: Hz
    format: str
    options: dict[str, Any]
    default_voice: VoiceLike | None = None  #: of rows whose voice is `default_name`: a file is read once
    default_name: str | None = None
    timeout: float | None = None
    answer_timeout: float = 300.0


class Clients:
    """One client per server, for all threads of a worker."""

    def __init__(self) -> None:
        self._clients: dict[str, BarkClient] = {}
        self._lock = threading.Lock()

    def at(self, url: str) -> BarkClient:
        with self._lock:
            if url not in self._clients:
                self._clients[url] = BarkClient(url)
            return self._clients[url]


def speak_row(
    row: Row, *, manner: Manner, slots: Slots, clients: Clients, sleep: Callable[[float], None] = time.sleep
) -> Spoken:
    """Speak a row. Only JobStopped is raised: any other failure is in the result."""
    if row.error is not None:
        return Spoken(row, error=row.error)
    delay = _MIN_DELAY_S
    for attempt in range(1, MAX_ATTEMPTS + 1):
        slot = slots.take()
        problem = ""
        try:
            speech = _request(row, manner=manner, client=clients.at(slot.url), slots=slots)
            break
        except (InvalidRequest, SpeechFailed) as error:
            return Spoken(row, error=str(error), attempts=attempt)
        except BarkError as error:
            failure = str(error)
            problem = failure if isinstance(error, ServerUnavailable) else ""
        finally:
            slots.give(slot, problem=problem)
        if attempt == MAX_ATTEMPTS:
            return Spoken(row, error=f"{failure} (tried {attempt} times)", attempts=attempt)
        sleep(delay * random.uniform(0.5, 1.0))
        delay = min(2 * delay, _MAX_DELAY_S)
    return _spoken(row, speech, manner=manner, attempts=attempt)


def _request(row: Row, *, manner: Manner, client: BarkClient, slots: Slots) -> Speech:
    voice = manner.default_voice if row.voice == manner.default_name else row.voice
    stream = client.stream(
        row.text,
        voice=voice,
        seed=row.seed,
        timeout=manner.timeout,
        answer_timeout=manner.answer_timeout,
        **manner.options,
    )
    with stream:
        for _ in stream:
            pass
        checkpoint = stream.summary.checkpoint
    if checkpoint != manner.checkpoint:
        reason = f"a server speaks with the checkpoint {checkpoint} now, and the job began with {manner.checkpoint}"
        slots.stop(reason)
        raise JobStopped(reason)
    return stream.speech


def _spoken(row: Row, speech: Speech, *, manner: Manner, attempts: int) -> Spoken:
    made = Spoken(row, pieces=speech.pieces, warnings=speech.warnings, tokens=speech.tokens, attempts=attempts)
    if not speech.samples.size:
        return replace(made, error=_silent(speech.warnings))
    audio = encode(speech.samples, sample_rate=speech.sample_rate, format=manner.format)
    return replace(made, audio=audio, seconds=speech.seconds)


def _silent(warnings: tuple[str, ...]) -> str:
    return ": ".join(["nothing was spoken", *warnings[:1]])
