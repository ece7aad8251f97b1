"""The clients: each speaks one request after the other and compares every answer with its solo answer."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bark_client import BarkClient, BarkError
from bark_serving.arrays import Floats
from benchmarks.errors import BenchmarkError

Outcome = Literal["finished", "failed"]
ANSWER_TIMEOUT_S = 30.0  #: that a client waits for the next answer; a stream that hangs fails then
CONNECT_TIMEOUT_S = 2.0  #: that a client tries to reach the server; a request in an outage fails then
_PAUSE_S = 0.2  #: of a client after an error
_PROBE_PAUSE_S = 0.1
_PROBE_TIMEOUT_S = 5.0  #: of one try: a request that the server lost must not hide that it speaks again
_SENTENCES = (
    "I made a cup of tea for my sister this morning.",
    "The cat sat by the door and looked at the rain.",
    "We walked along the river to the old stone bridge.",
    "Good morning to you.",
)
#: Signs of an error that nobody worded: a trace of a program, or an address in memory.
_UNWORDED = re.compile(r"Traceback|File \"|terminate called|\b0x[0-9a-f]{6,}|^\W*$")


@dataclass(frozen=True)
class Case:
    """One request, which speaks the same samples each time."""

    text: str
    options: Mapping[str, Any]


PROBE = Case(_SENTENCES[-1], {"seed": 0, "speed": "fast", "language": "en"})


def cases(count: int) -> list[Case]:
    """Requests of one, two and four sentences in turns, every third one with low latency."""
    made = []
    for index in range(count):
        sentences = [_SENTENCES[(index + step) % len(_SENTENCES)] for step in range((1, 2, 4)[index % 3])]
        options = {**PROBE.options, "seed": index, "latency": "low" if index // 3 % 3 == 2 else "normal"}
        made.append(Case(" ".join(sentences), options))
    return made


def solo(url: str, asked: Sequence[Case], *, on_step: Callable[[str], None]) -> list[Floats]:
    """The samples of each request, spoken alone. Raises `BenchmarkError` if a fresh server does not speak."""
    spoken = []
    with BarkClient(url) as client:
        for number, case in enumerate(asked, 1):
            on_step(f"request {number} of {len(asked)}, alone")
            try:
                spoken.append(client.speak(case.text, **case.options).samples)
            except BarkError as error:
                raise BenchmarkError(f"The server failed before any fault: {error}") from error
    return spoken


@dataclass(frozen=True)
class Answer:
    """What became of a request. Times are in seconds since the start of the run."""

    sent: float
    ended: float
    outcome: Outcome
    wrong: bool = False  #: the audio that came is not the solo answer, or not its beginning
    error: str = ""
    worded: bool = True  #: whether the error is one that the client's users can read
    heard: float | None = None  #: when its last audio came


@dataclass
class Streams:
    """A number of clients, for the length of a ``with`` block."""

    url: str
    asked: Sequence[Case]
    alone: Sequence[Floats]  #: the solo answer of each case
    count: int
    seed: int
    clock: Callable[[], float]
    answers: list[Answer] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Streams:
        self._threads = [
            threading.Thread(target=self._speak, args=(number,), name=f"stream-{number}", daemon=True)
            for number in range(self.count)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Let each client finish its request."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _speak(self, number: int) -> None:
        rng = np.random.default_rng([self.seed, number])
        with BarkClient(self.url, answer_timeout=ANSWER_TIMEOUT_S, connect_timeout=CONNECT_TIMEOUT_S) as client:
            while not self._end.is_set():
                index = int(rng.integers(len(self.asked)))
                answer = ask(client, self.asked[index], self.alone[index], clock=self.clock)
                self.answers.append(answer)
                if answer.outcome == "failed":
                    self._end.wait(_PAUSE_S)  # do not flood a server that refuses at once


def ask(client: BarkClient, case: Case, alone: Floats, *, clock: Callable[[], float]) -> Answer:
    """Speak one request and compare what comes with its solo answer."""
    sent, heard, last = clock(), [np.zeros(0, np.float32)], None
    try:
        with client.stream(case.text, **case.options) as stream:
            for chunk in stream:
                heard.append(chunk.samples)
                last = clock()
    except Exception as error:  # noqa: BLE001 - an error that is no BarkError is what this benchmark looks for
        got = np.concatenate(heard)
        message = f"{type(error).__name__}: {error}"
        worded = isinstance(error, BarkError) and not _UNWORDED.search(str(error))
        return Answer(sent, clock(), "failed", not np.array_equal(got, alone[: got.size]), message, worded, last)
    return Answer(sent, clock(), "finished", not np.array_equal(np.concatenate(heard), alone), heard=last)


class Probe:
    """Speaks a short sentence again and again, from a fault on, until one is spoken."""

    def __init__(self, url: str, alone: Floats, *, patience_s: float, clock: Callable[[], float]) -> None:
        self.back: float | None = None  #: when it was spoken; None: not yet
        self.wrong = 0  #: spoken sentences that are not the solo answer
        self._url, self._alone, self._patience_s, self._clock = url, alone, patience_s, clock
        self._thread = threading.Thread(target=self._ask, name="probe", daemon=True)
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended within so many seconds: the sentence was spoken, or there is no patience left."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _ask(self) -> None:
        deadline = time.monotonic() + self._patience_s
        while self.back is None and time.monotonic() < deadline:
            # each try has its own connection: gRPC waits before it tries a broken one again
            with BarkClient(self._url, timeout=_PROBE_TIMEOUT_S, connect_timeout=_PROBE_TIMEOUT_S) as client:
                answer = ask(client, PROBE, self._alone, clock=self._clock)
            if answer.outcome == "finished":
                self.back = answer.ended
            else:
                time.sleep(_PROBE_PAUSE_S)
            self.wrong += answer.wrong
