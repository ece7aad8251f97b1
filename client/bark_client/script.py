"""A long text, request by request: which comes next, and what was spoken so far. Both clients use these objects."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np

from bark_client import protocol
from bark_client.errors import InvalidRequest
from bark_client.long_text import Passage
from bark_client.pieces import Heard, Piece, moved
from bark_client.protocol import SpeakOptions
from bark_client.speech import Chunk, Speech, Summary, Timings
from bark_client.stream import StreamState
from bark_client.voice import ARRAYS, Voice, VoiceLike, resolve

REQUESTS_AT_ONCE: Final = 2  #: the one that is read, and the one after it
_MIN_SPEAKER_S: Final = 1.0  # of audio that can stand for a speaker


def request_seed(seed: int, index: int) -> int:
    """The seed of a request of a long text: the given one for request 0, else 64 bits of SHA-256("seed:index")."""
    if not index:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:8], "big")


@dataclass(frozen=True, eq=False)
class Finished:
    """A request of a long text has ended."""

    index: int
    passage: Passage
    summary: Summary  #: of this request alone
    tokens: Voice | None  #: what it generated, if it was asked for tokens
    speaker: Voice | None  #: of all requests after it, where no voice was given


#: What a thread or a task tells the caller of a long text; None, or the error, is the last of it.
Event: TypeAlias = tuple[Chunk, Passage] | Finished | BaseException | None


class Script:
    """The arguments of each request of a long text.

    Without a voice, the first request returns its tokens. What its first piece spoke becomes the voice of all later
    requests: one speaker speaks the whole text.

    first, speaker: to go on with a text of which so many requests are done, and the voice that they made.
    """

    def __init__(
        self,
        *,
        voice: VoiceLike | None,
        seed: int | None,
        options: SpeakOptions,
        first: int = 0,
        speaker: Voice | None = None,
    ) -> None:
        if options.get("split_sentences") is False:
            raise InvalidRequest("split_sentences: a text that takes several requests can't be spoken in one piece")
        protocol.speech_request("-", voice=voice, seed=seed, options=options)  # a wrong option is an error at once
        self.voice = None if voice is None else resolve(voice)
        self.seed = secrets.randbits(32) if seed is None else int(seed)
        self.speaker = speaker
        self._options, self._index = options, first

    @property
    def _wants_speaker(self) -> bool:
        return self.voice is None and self.speaker is None and self._options.get("one_speaker") is not False

    def text(self, passage: Passage) -> str:
        """What the request of a passage says, after the pause that the server would make within a request."""
        pauses = {
            "none": 0.0,
            "part": 0.0,
            "sentence": _given(self._options.get("sentence_pause"), protocol.SENTENCE_PAUSE_S),
            "paragraph": _given(self._options.get("paragraph_pause"), protocol.PARAGRAPH_PAUSE_S),
        }
        pause = pauses[passage.gap]
        return (f"[pause {pause:g}s]" if pause else "") + passage.tags + passage.text

    def arguments(self) -> dict[str, Any]:
        """Those of the next request: voice, seed and options."""
        options: dict[str, Any] = dict(self._options)
        if self._wants_speaker:
            options["return_tokens"] = True
        voice = self.speaker if self.voice is None else self.voice
        return {"voice": voice, "seed": request_seed(self.seed, self._index), "options": options}

    def finished(self, passage: Passage, summary: Summary, tokens: Voice | None) -> Finished:
        """Note that the request has ended, and go on to the next."""
        if self._wants_speaker:
            self.speaker = first_speaker(tokens, summary)
        self._index += 1
        return Finished(self._index - 1, passage, summary, tokens, self.speaker)

    def ended(self) -> None:
        """Note that no request follows. InvalidRequest if there was none, because the text has no word."""
        if not self._index:
            raise InvalidRequest(protocol.EMPTY_TEXT)


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def first_speaker(tokens: Voice | None, summary: Summary) -> Voice | None:
    """What the first good piece without a named voice spoke, as a voice. None if there is none.

    tokens: those of all pieces, one after the other. All are taken where all pieces are good but too short.
    """
    pieces, spoken = summary.pieces, [piece.seconds for piece in summary.pieces]
    good = [number for number, piece in enumerate(pieces) if piece.voice is None and piece.verdict in ("good", None)]
    first = next((number for number in good if spoken[number] >= _MIN_SPEAKER_S), None)
    if tokens is None or first is None:
        return tokens if good and len(good) == len(pieces) else None
    start, end = (sum(spoken[:count]) / sum(spoken) for count in (first, first + 1))

    def part(array: Any) -> Any:
        length = array.shape[-1]
        return array[..., round(start * length) : round(end * length)]

    return Voice.from_arrays({name: part(getattr(tokens, name)) for name in ARRAYS})


class LongState(StreamState):
    """What is known of a long text while it is spoken. The two clients differ only in how they wait.

    keep: keep audio and tokens for `speech`. Else memory does not grow with the audio.
    """

    def __init__(self, script: Script, *, keep: bool) -> None:
        self._script, self._keep = script, keep
        self._complete = False  # all of the text is spoken
        self._error: BaseException | None = None  # that ended it before
        self._chunks: list[Chunk] = []
        self._finished: list[Finished] = []
        self._checkpoint = ""
        self._sentence_starts: list[float] = []
        self._pieces: list[Piece] = []
        self._warnings: dict[str, None] = {}  # in order, each once
        self._timings: list[Timings] = []  # none, or one: the sum
        self._samples = self._request_samples = 0  # of all requests; of the one that is read
        self._sample_rate = protocol.SAMPLE_RATE
        self._sentences = self._request_sentences = 0  # those of finished requests; those of the one that is read
        self._characters = 0.0  # of finished requests
        self._heard = Heard("")  # of the request that is read
        self._part = 0.0  # of the characters of the request that is read

    @property
    def spoken_characters(self) -> float:
        """About how many characters of the text are spoken."""
        return self._characters + self._part

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        if not self._keep:
            raise InvalidRequest("the audio of a long text is not kept: write the chunks as they come, or call speak()")
        return tuple(self._chunks)

    @property
    def summary(self) -> Summary:
        return Summary(
            seconds=self._samples / self._sample_rate,
            seed=self._script.seed,
            timings=self._timings[0] if self._timings else Timings(),
            pieces=(*self._pieces, *moved(self._heard.pieces, self._request_start)),
            warnings=tuple(self._warnings),
            checkpoint=self._checkpoint,
        )

    @property
    def speech(self) -> Speech:
        chunks, summary = self.chunks, self.summary
        if not self._complete:
            raise InvalidRequest("the speech isn't complete yet: iterate over the stream to its end first")
        return Speech(
            text=_text_of([one.passage for one in self._finished]),
            samples=np.concatenate([chunk.samples for chunk in chunks]),
            sample_rate=self._sample_rate,
            seed=summary.seed,
            timings=summary.timings,
            sentence_starts=tuple(self._sentence_starts),
            warnings=summary.warnings,
            pieces=summary.pieces,
            tokens=_joined([one.tokens for one in self._finished if one.tokens is not None]),
        )

    def _is_over(self) -> bool:
        """Whether all is read. Raises the error that ended it, however often the caller asks."""
        if self._error is not None:
            raise self._error.with_traceback(None)  # else it grows each time
        return self._complete

    def _take(self, event: Event) -> Chunk | Finished | None:
        """Count an event; returns what the caller gets for it."""
        if isinstance(event, BaseException):
            self._error = event
            raise event
        if isinstance(event, tuple):
            return self._read(*event)
        if event is None:
            self._complete = True
        else:
            self._end(event)
        return event

    def _read(self, chunk: Chunk, passage: Passage) -> Chunk:
        """Count a chunk; returns it as one of the whole text."""
        sentence = self._sentences + chunk.sentence
        if sentence >= len(self._sentence_starts):
            self._sentence_starts.append(self._samples / chunk.sample_rate)
        if not self._request_samples:
            self._heard = Heard(passage.text)
        self._heard.add(chunk.sentence, chunk.text, seconds=chunk.seconds, of=chunk.sentences)
        self._samples += chunk.samples.size
        self._request_samples += chunk.samples.size
        self._sample_rate = chunk.sample_rate
        self._request_sentences = chunk.sentences
        self._part = len(passage.text) * chunk.sentence / max(1, chunk.sentences)
        chunk = replace(chunk, sentence=sentence, sentences=self._sentences + chunk.sentences, last=False)
        if self._keep:
            self._chunks.append(chunk)
        return chunk

    @property
    def _request_start(self) -> float:
        """The second at which the request begins that is read."""
        return (self._samples - self._request_samples) / self._sample_rate

    def _end(self, finished: Finished) -> None:
        """Count a request that was read to its end."""
        self._pieces += moved(finished.summary.pieces, self._request_start)
        self._heard = Heard("")
        self._warnings.update(dict.fromkeys(finished.summary.warnings))
        self._checkpoint = finished.summary.checkpoint
        self._timings = [Timings.total([*self._timings, finished.summary.timings])]
        self._characters += len(finished.passage.text)
        self._sentences += self._request_sentences
        self._part = self._request_samples = self._request_sentences = 0
        if self._keep:
            self._finished.append(finished)


def _text_of(passages: list[Passage]) -> str:
    return "".join(("\n\n" if one.gap == "paragraph" else " ") + one.text for one in passages).strip()


def _joined(tokens: list[Voice]) -> Voice | None:
    """The tokens of all requests, one after the other."""
    if not tokens:
        return None
    return Voice.from_arrays({name: np.concatenate([getattr(one, name) for one in tokens], -1) for name in ARRAYS})
