"""What a request to speak returns: chunks while it runs, then the whole speech with its timings."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bark_client import captions
from bark_client.errors import InvalidRequest
from bark_client.pieces import Piece, moved
from bark_client.playable import Playable
from bark_client.voice import Voice


@dataclass(frozen=True)
class StageTime:
    """The work of one stage on the server."""

    seconds: float  #: time spent in it; stages run at the same time, so their sum may exceed `Timings.seconds`
    calls: int  #: requests sent to it
    count: int  #: how many `unit`s it generated
    unit: str  #: "tokens" or "frames"

    def __add__(self, other: StageTime) -> StageTime:
        return StageTime(self.seconds + other.seconds, self.calls + other.calls, self.count + other.count, self.unit)


@dataclass(frozen=True)
class Timings:
    """How long the server took, by its own clock. All in seconds."""

    stages: dict[str, StageTime] = field(default_factory=dict)  #: by name, in order of the pipeline
    seconds: float = 0.0  #: the request as a whole
    first_audio_seconds: float | None = None  #: until the first chunk was ready; None if there was no audio
    audio_seconds: float = 0.0  #: length of the audio

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio: below 1 is faster than playback. NaN without audio."""
        return self.seconds / self.audio_seconds if self.audio_seconds else float("nan")

    @classmethod
    def total(cls, parts: Sequence[Timings]) -> Timings:
        """The timings of requests made one after the other; the first audio is that of the first one."""
        stages: dict[str, StageTime] = {}
        for part in parts:
            for name, stage in part.stages.items():
                stages[name] = stages[name] + stage if name in stages else stage
        return cls(
            stages=stages,
            seconds=sum(part.seconds for part in parts),
            first_audio_seconds=parts[0].first_audio_seconds,
            audio_seconds=sum(part.audio_seconds for part in parts),
        )


@dataclass(frozen=True)
class Summary:
    """What was spoken, without its audio."""

    seconds: float = 0.0  #: of audio
    seed: int | None = None
    timings: Timings = field(default_factory=Timings)
    pieces: tuple[Piece, ...] = ()
    warnings: tuple[str, ...] = ()
    checkpoint: str = ""  #: name and hash of the one that spoke; empty: an older server, which does not say it


@dataclass(frozen=True, eq=False)
class Chunk:
    """One piece of the audio. Chunks arrive in order and without gaps."""

    samples: NDArray[np.float32]  #: [n], -1..1, mono, read-only
    sample_rate: int
    sentence: int  #: the number of the piece it belongs to, from 0
    sentences: int  #: how many pieces the text has; in a long text, how many are known so far
    last: bool  #: the last one. In a long text, no chunk says so: its end may not be known yet
    text: str | None = None  #: of the piece, as it is spoken; None if the server does not say it

    @property
    def seconds(self) -> float:
        return self.samples.size / self.sample_rate

    def __repr__(self) -> str:
        return f"Chunk({self.seconds:.2f} s, sentence {self.sentence + 1} of {self.sentences})"


@dataclass(frozen=True, eq=False)
class Speech(Playable):
    """A finished speech: `.save("x.flac")` writes it, and a notebook shows it as a player.

    Speeches join: `a + b` puts one right after the other, and `Speech.join` adds a pause.
    """

    text: str
    samples: NDArray[np.float32]  #: [n], -1..1, mono
    sample_rate: int  #: in Hz
    seed: int | None  #: the given one, else the server's choice; None if parts with different seeds were joined
    timings: Timings
    sentence_starts: tuple[float, ...] = ()  #: seconds
    warnings: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()  #: in order, with their times
    tokens: Voice | None = None  #: the generated tokens, if `return_tokens` asked for them and there was any speech

    @property
    def title(self) -> str:
        return self.text

    @property
    def caption(self) -> str:
        parts = [f"{self.seconds:.1f} s"]
        if self.seed is not None:
            parts.append(f"seed {self.seed}")
        if self.timings.seconds:
            parts.append(f"real-time factor {self.timings.real_time_factor:.2f}")
        return " · ".join(parts)

    def __repr__(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"Speech({self.seconds:.2f} s at {self.sample_rate} Hz{seed})"

    def __add__(self, other: Speech) -> Speech:
        """One after the other, without a pause: see `join`."""
        return Speech.join([self, other], pause=0.0) if isinstance(other, Speech) else NotImplemented

    @staticmethod
    def join(parts: Iterable[Speech], *, pause: float = 0.2) -> Speech:
        """One speech made of several, such as the lines of a dialogue.

        >>> lines = [bark.speak(line, voice=voice) for voice, line in dialogue]
        >>> Speech.join(lines, pause=0.3).save("dialogue.flac")

        Texts are joined by a space. Sentence starts count from the new beginning. Timings add up. A warning that
        several parts have is kept once. The seed is that of the parts if all have the same one, else None. There are
        no tokens.

        Args:
            parts: at least one, all of the same sample rate.
            pause: seconds of silence between two parts. Default: 0.2.

        Raises:
            InvalidRequest: no parts, different sample rates, or a pause below 0.
        """
        speeches = list(parts)
        if not speeches:
            raise InvalidRequest("nothing to join: give at least one speech")
        rates = {speech.sample_rate for speech in speeches}
        if len(rates) > 1:
            raise InvalidRequest(f"speeches of different sample rates can't be joined: {sorted(rates)} Hz")
        if not 0 <= pause < math.inf:
            raise InvalidRequest(f"pause: expected seconds from 0 on, not {pause!r}")
        (rate,) = rates
        silence = np.zeros(round(pause * rate), dtype=np.float32)
        pieces: list[NDArray[np.float32]] = []
        starts: list[float] = []
        spoken: list[Piece] = []
        length = 0  # samples so far
        for speech in speeches:
            if pieces:
                pieces.append(silence)
                length += silence.size
            starts += [length / rate + start for start in speech.sentence_starts]
            spoken += moved(speech.pieces, length / rate)
            pieces.append(speech.samples)
            length += speech.samples.size
        seeds = {speech.seed for speech in speeches}
        return Speech(
            text=" ".join(speech.text for speech in speeches),
            samples=np.concatenate(pieces),
            sample_rate=rate,
            seed=seeds.pop() if len(seeds) == 1 else None,
            timings=Timings.total([speech.timings for speech in speeches]),
            sentence_starts=tuple(starts),
            warnings=tuple(dict.fromkeys(warning for speech in speeches for warning in speech.warnings)),
            pieces=tuple(spoken),
        )

    @property
    def summary(self) -> Summary:
        """All but the audio."""
        return Summary(self.seconds, self.seed, self.timings, self.pieces, self.warnings)

    def captions(self, *, format: str = "srt") -> str:  # noqa: A002
        """The text with its times, as a file of captions: see `bark_client.captions`.

        Args:
            format: "srt", "vtt" or "json". Default: "srt".

        Raises:
            InvalidRequest: no such format.
        """
        return captions.render(self.pieces, format=format)

    def save_captions(self, path: str | os.PathLike[str]) -> Path:
        """Write a file of captions and return its path. The suffix chooses the format: .srt, .vtt or .json.

        >>> speech.save("story.flac")
        >>> speech.save_captions("story.srt")  # players find it by its name

        Raises:
            InvalidRequest: another suffix.
            OSError: the file can't be written.
        """
        return captions.save(self.pieces, path)

    def as_voice(self) -> Voice:
        """The generated tokens as a voice for further requests: this keeps one speaker through a long dialogue.

        >>> ada = bark.speak("Hello, I am Ada.", return_tokens=True).as_voice()
        >>> replies = [bark.speak(line, voice=ada) for line in ("And this is still me.", "So is this.")]

        `bark.save_voice("ada", ada)` keeps her on the server, under a name.

        Raises:
            InvalidRequest: it has no tokens, because the request did not say `return_tokens=True`, or nothing was
                spoken, or it was joined.
        """
        if self.tokens is None:
            raise InvalidRequest(
                "this speech has no tokens: the request did not say return_tokens=True, nothing was spoken, "
                "or it was joined from others"
            )
        return self.tokens


@dataclass(frozen=True)
class Health:
    """What a server can do now."""

    live: bool  #: the server process answers
    ready: bool  #: the `bark` model says that it takes requests
    server: str = ""  #: name and version
    canary_seconds: float | None = None  #: how long speaking one word took; None if not tried or not finished
    busy: bool = False  #: the word was not finished in time, but the server made speech for others meanwhile
    problem: str = ""  #: one sentence; empty if nothing is wrong

    @property
    def ok(self) -> bool:
        return self.live and self.ready and not self.problem
