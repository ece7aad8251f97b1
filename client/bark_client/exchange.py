"""One request without a connection: what an answer means, how long to wait for it, whether to send again.

Both clients use these objects; they differ only in how they read and wait.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from bark_client import pieces, protocol
from bark_client.errors import (
    BarkError,
    InvalidRequest,
    RequestCancelled,
    RequestTimeout,
    ServerError,
    ServerUnavailable,
)
from bark_client.silence import GONE_S, Silence
from bark_client.speech import Chunk, Speech, Summary
from bark_client.voice import Voice

_MIN_DELAY_S, _MAX_DELAY_S = 0.05, 1.0  # between two attempts; doubled after each
FINAL_GRACE_S = 5.0  #: for Triton's closing message, once the audio is complete
END_GRACE_S = 1.0  #: for the stream to end, once the server has sent its last answer


@dataclass(frozen=True)
class Limits:
    """Seconds to wait; None sets no limit."""

    total: float | None = None  #: for a request from beginning to end
    answer: float | None = 300.0  #: for the next answer
    connect: float = 5.0  #: to keep trying to reach the server

    def __post_init__(self) -> None:
        for name in ("total", "answer", "connect"):
            value = getattr(self, name)
            if value is None and name != "connect":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise InvalidRequest(f"timeout ({name}): expected seconds above 0, not {value!r}")

    def overridden(self, *, total: float | None = None, answer: float | None = None) -> Limits:
        """These limits, except those that a request sets itself."""
        return replace(
            self,
            total=self.total if total is None else total,
            answer=self.answer if answer is None else answer,
        )


class Retries:
    """When to try again: while the server is unavailable, at most `limits.connect` seconds after the first try."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = limits.connect if limits.total is None else min(limits.connect, limits.total)
        self._clock, self._start, self._delay = clock, clock(), _MIN_DELAY_S

    def delay(self, error: BarkError) -> float:
        """Seconds to wait before the next attempt; raises `error` when there must be none."""
        left = self._start + self._window - self._clock()
        if not isinstance(error, ServerUnavailable) or left <= 0:
            raise error
        delay = self._delay * random.uniform(0.5, 1.0)  # jitter, so that many clients don't return at once
        self._delay = min(2 * self._delay, _MAX_DELAY_S)
        return min(delay, left)


def cancelled_error() -> RequestCancelled:
    """The error of a request that was cancelled here."""
    return RequestCancelled("the request was cancelled before it was finished")


class Exchange:
    """One request to speak, and the answers received so far. keep: keep their audio, for `speech`."""

    def __init__(
        self,
        request: service_pb2.ModelInferRequest,
        *,
        text: str,
        limits: Limits,
        url: str,
        keep: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request, self.text, self.limits, self.url = request, text, limits, url
        self.finished = False
        self.settled = False  #: the server has sent its last answer: the stream ends by itself
        self.cancelled = False  #: by the caller: it must not be sent again
        self._error: Exception | None = None  # that ended the request
        self._chunks: list[Chunk] | None = [] if keep else None
        self._heard = pieces.Heard(text)
        self._report: dict[str, Any] | None = None  # of the last chunk
        self.tokens: Voice | None = None  #: the generated ones, once the last chunk has arrived
        self._clock, self._start = clock, clock()
        self._asked = self._start  # when the caller began to wait for the next answer
        self._retries = Retries(limits, clock=clock)
        self.silence = Silence(url=url, clock=clock)

    def time_left(self) -> float | None:
        """Seconds until the request as a whole must be done."""
        return None if self.limits.total is None else max(0.0, self._start + self.limits.total - self._clock())

    def ask(self) -> None:
        """The caller begins to wait for the next answer."""
        self._asked = self._clock()
        self.silence.begin()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around what the caller asks for. An error ends the request, and is raised again however often he asks."""
        if self._error is not None:
            raise self._error.with_traceback(None)  # else it grows each time
        self.ask()
        try:
            yield
        except Exception as error:
            self._error = error
            raise

    def answer_wait(self) -> float | None:
        """Seconds that the next answer may still take. Heartbeats are no answers."""
        limits = [self.limits.answer, None if self._report is None else FINAL_GRACE_S]
        waits = [max(0.0, self._asked + limit - self._clock()) for limit in limits if limit is not None]
        return min((wait for wait in (*waits, self.time_left()) if wait is not None), default=None)

    def wait(self) -> float:
        """Seconds to wait: until the answer is too late, or until the server must be looked at."""
        answer, look = self.answer_wait(), self.silence.wait()
        return look if answer is None else min(answer, look)

    def look_timeout(self) -> float:
        """Seconds that a look at the server may take. Raises RequestTimeout if the answer is too late."""
        left = self.answer_wait()
        if left == 0.0:
            raise self.timed_out()
        return GONE_S if left is None else min(GONE_S, left)

    def timed_out(self) -> RequestTimeout:
        """The error for an answer that took longer than `answer_wait()`."""
        received = f"after {self._heard.seconds:.1f} s of audio" if self._heard.starts else "before any audio"
        if self.time_left() == 0.0:
            return RequestTimeout(
                f"not finished within {self.limits.total:g} s ({received}): raise timeout, or shorten the text"
            )
        if self._report is not None:
            return RequestTimeout("the audio is complete, but the server did not end the stream")
        return RequestTimeout(
            f"no answer for {self.limits.answer:g} s ({received}): raise answer_timeout, or look at the server"
        )

    def receive(self, message: service_pb2.ModelStreamInferResponse) -> Chunk | None:
        """Take the next message and return its audio, if any. Sets `finished`; raises the error that it reports."""
        self.settled = bool(message.error_message)
        answer = protocol.parse_answer(message, url=self.url)
        if answer.heartbeat:
            self.silence.beat()
            return None
        self.silence.begin()
        self.settled = answer.final or (answer.chunk is not None and answer.chunk.last)
        if answer.chunk is not None:
            self._count(answer.chunk)
            if answer.chunk.last:
                self._report, self.tokens = answer.report, answer.tokens
        if answer.final:
            self.ended()
        return answer.chunk

    def ended(self) -> None:
        """The stream has ended. ServerError if the last chunk is missing."""
        if self._report is None:
            raise ServerError(f"the server at {self.url} ended the stream without the last of the audio: see its log")
        self.finished = True

    def failed(self, error: BarkError) -> float | None:
        """Seconds to wait before sending the request again; None if the speech is complete; raises any other error.

        It is never sent again after the first audio, because the caller may have played that.
        """
        self.settled = False
        self.ask()  # if it is sent again, its time begins again
        if self._report is not None:
            self.finished = True  # only Triton's closing message was lost
            return None
        if self._heard.starts:
            if isinstance(error, ServerUnavailable):
                error = ServerUnavailable(
                    f"the connection was lost after {self._heard.seconds:.1f} s of audio: {error}"
                )
            raise error
        if self.cancelled:
            raise cancelled_error()
        return self._retries.delay(error)

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks received so far. InvalidRequest if they are not kept."""
        if self._chunks is None:
            raise InvalidRequest("the client keeps no audio (keep_audio=False): write the chunks as they come")
        return self._chunks

    def speech(self) -> Speech:
        """The whole speech, once `finished`."""
        if not self.finished or self._report is None:
            raise InvalidRequest("the speech isn't complete yet: iterate over the stream to its end first")
        summary = self.summary()
        return Speech(
            text=self.text,
            samples=np.concatenate([chunk.samples for chunk in self.chunks]),
            sample_rate=self.chunks[-1].sample_rate,
            seed=summary.seed,
            timings=summary.timings,
            sentence_starts=self._heard.starts,
            warnings=summary.warnings,
            pieces=summary.pieces,
            tokens=self.tokens,
        )

    def summary(self) -> Summary:
        """What was spoken. Before the last chunk has arrived, it holds the seconds and pieces so far, nothing else."""
        report, seconds, starts = self._report, self._heard.seconds, self._heard.starts
        if report is None:
            return Summary(seconds=seconds, pieces=self._heard.pieces)
        return Summary(
            seconds=seconds,
            seed=int(report.get("seed", 0)),
            timings=protocol.parse_timings(report),
            pieces=pieces.parse(report) or pieces.guess(self.text, starts=starts, seconds=seconds),
            warnings=tuple(str(warning) for warning in report.get("warnings", ())),
            checkpoint=str(report.get("checkpoint", "")),
        )

    def _count(self, chunk: Chunk) -> None:
        self._heard.add(chunk.sentence, chunk.text, seconds=chunk.seconds, of=chunk.sentences)
        if self._chunks is not None:
            self._chunks.append(chunk)
