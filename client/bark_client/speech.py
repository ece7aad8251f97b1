"""What comes back: chunks while it is spoken, and the whole with its account when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bark_client.errors import InvalidRequest
from bark_client.playable import Playable
from bark_client.voice import Voice


@dataclass(frozen=True)
class StageTime:
    """One stage's share of the work on the server."""

    seconds: float  #: time spent in the stage; stages overlap, so these may add up to more than the whole
    calls: int  #: requests sent to it
    count: int  #: what it made, in `unit`s
    unit: str  #: "tokens" or "frames"


@dataclass(frozen=True)
class Timings:
    """Where the time went, as the server measured it. All in seconds."""

    stages: dict[str, StageTime] = field(default_factory=dict)  #: by name, in order of the pipeline
    seconds: float = 0.0  #: the request as a whole
    first_audio_seconds: float | None = None  #: until the first chunk was ready; None if there was no audio
    audio_seconds: float = 0.0  #: length of the audio

    @property
    def real_time_factor(self) -> float:
        """Seconds of work a second of audio: below 1 is faster than it plays."""
        return self.seconds / self.audio_seconds if self.audio_seconds else float("nan")


@dataclass(frozen=True, eq=False)
class Chunk:
    """The next piece of audio: chunks are gap-free and in order."""

    samples: NDArray[np.float32]  #: [n], -1..1, mono, read-only
    sample_rate: int
    sentence: int  #: which sentence it belongs to, from 0
    sentences: int  #: how many the text has
    last: bool

    @property
    def seconds(self) -> float:
        return self.samples.size / self.sample_rate

    def __repr__(self) -> str:
        return f"Chunk({self.seconds:.2f} s, sentence {self.sentence + 1} of {self.sentences})"


@dataclass(frozen=True, eq=False)
class Speech(Playable):
    """A finished utterance: `.save("x.flac")` writes it, and in a notebook it shows itself as a player."""

    text: str
    samples: NDArray[np.float32]  #: [n], -1..1, mono
    sample_rate: int
    seed: int  #: drawn by the server when none was given; the same seed and options give the same speech
    timings: Timings
    sentence_starts: tuple[float, ...] = ()  #: seconds
    warnings: tuple[str, ...] = ()
    tokens: Voice | None = None  #: the generation itself, where `return_tokens` asked for it and something was spoken

    @property
    def title(self) -> str:
        return self.text

    @property
    def caption(self) -> str:
        parts = [f"{self.seconds:.1f} s", f"seed {self.seed}"]
        if self.timings.seconds:
            parts.append(f"real-time factor {self.timings.real_time_factor:.2f}")
        return " · ".join(parts)

    def __repr__(self) -> str:
        return f"Speech({self.seconds:.2f} s at {self.sample_rate} Hz, seed {self.seed})"

    def as_voice(self) -> Voice:
        """This generation as the voice of further ones: how a long dialogue keeps a speaker.

        >>> ada = bark.speak("Hello, I am Ada.", return_tokens=True).as_voice()
        >>> replies = [bark.speak(line, voice=ada) for line in ("And this is still me.", "So is this.")]

        `bark.save_voice("ada", ada)` keeps her on the server, under a name. Needs `return_tokens=True` when the speech
        was asked for; InvalidRequest without.
        """
        if self.tokens is None:
            raise InvalidRequest(
                "this speech came without tokens: nothing was spoken, or it wasn't asked for with return_tokens=True"
            )
        return self.tokens


@dataclass(frozen=True)
class Health:
    """What a server can do right now."""

    live: bool  #: the server process answers
    ready: bool  #: the `bark` model says that it takes requests
    server: str = ""  #: name and version
    canary_seconds: float | None = None  #: what a real, tiny synthesis took; None if not tried or not finished
    busy: bool = False  #: it was not finished in time, but others' speech was made meanwhile
    problem: str = ""  #: one sentence, where something is wrong

    @property
    def ok(self) -> bool:
        return self.live and self.ready and not self.problem
