"""One request under way: its pieces run side by side, and their audio leaves in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from bark_serving.arrays import Floats, Tokenise
from bark_serving.spec import Spec
from bark_serving.speech.report import PieceReport, SpeechReport, SpeechSummary
from bark_serving.speech.request import SpeechRequest, warnings
from bark_serving.speech.silence import Seams, silence
from bark_serving.speech.slots import Slots
from bark_serving.speech.stage_client import Stages
from bark_serving.speech.takes import PieceRun, Take, joined
from bark_serving.speech.text import Prepared
from bark_serving.speech.text.signs import quoted
from bark_serving.voices import Voice
from bark_serving.voices.history import continued
from bark_tracing import NO_SPAN, Span

#: Audio of a piece and whether it is the piece's last, or the exception that ended the piece.
_Audio = tuple[Floats, bool] | BaseException


@dataclass(frozen=True)
class Answer:
    """One answer to a client: audio [samples] and a report; tokens with the last one when asked for."""

    audio: Floats
    report: SpeechReport
    tokens: Voice | None = None


class SpeechJob:
    """Speaks the pieces of one request's text, and the silence between them.

    voices: by the names that tags of the text give; None is the request's own.

    own_slots, shared_slots: a piece runs while it holds one of each; `own_slots` are this request's, `shared_slots`
    those of all requests. The piece whose audio is due first gets a slot first: the first piece is due when the request
    arrives, each other one when the expected audio before it has been heard. A stream's other pieces begin when its
    first audio is there, so that this comes nearly as soon as if it were alone.
    """

    def __init__(
        self,
        request: SpeechRequest,
        *,
        spec: Spec,
        checkpoint: str,
        stages: Stages,
        tokenise: Tokenise,
        text: Prepared,
        voices: Mapping[str | None, Voice | None],
        own_slots: Slots,
        shared_slots: Slots,
        span: Span = NO_SPAN,
    ) -> None:
        self._span = span
        self._request, self._spec, self._stages, self._tokenise = request, spec, stages, tokenise
        self._checkpoint = checkpoint
        self._text, self._pieces = text, text.pieces
        self._voices = voices
        self._own_slots, self._shared_slots = own_slots, shared_slots
        self._started = time.monotonic()
        expected = (piece.silence_s + piece.seconds for piece in text.pieces)
        self._due = [self._started + before for before in accumulate(expected, initial=0.0)]
        self._tasks: list[asyncio.Task[Take]] = []
        self._chunks: list[asyncio.Queue[_Audio]] = [asyncio.Queue() for _ in text.pieces]
        self._seams = self._make_seams()
        self._has_begun = asyncio.Event()  # the first piece has audio, or has none
        self._first_audio_seconds: float | None = None
        self._samples = 0
        self._spans: dict[int, tuple[int, int]] = {}  # piece → its first sample and the one after its last

    async def answers(self) -> AsyncGenerator[Answer, None]:
        """The answers in order. Closing this iterator stops every piece."""
        self._tasks += [asyncio.create_task(self._speak(index)) for index in range(len(self._pieces))]
        held: list[Floats] = []  # all audio so far, where the client wants one answer
        try:
            async for index, audio, final in self._audio():
                if not self._request.stream:
                    held.append(audio)
                    audio = np.concatenate(held) if final else audio
                if final:
                    yield self._last_answer([await task for task in self._tasks], audio)
                elif self._request.stream and len(audio):
                    yield Answer(audio, self._report(index))
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _audio(self) -> AsyncGenerator[tuple[int, Floats, bool], None]:
        """Audio in order, with the piece that it belongs to and whether it is the last: speech and silence."""
        for index, piece in enumerate(self._pieces):
            yield index, self._silence(piece.silence_s), False
            last, start = False, self._samples
            while not last:
                audio, last = await self._next(index)
                self._spans[index] = start, self._samples
                final = last and index == len(self._pieces) - 1
                if final:
                    audio = np.concatenate([audio, self._silence(self._text.end_silence_s)])
                yield index, audio, final

    def _silence(self, seconds: float) -> Floats:
        audio = silence(seconds, rate=self._spec.encodec.sample_rate)
        self._samples += len(audio)
        return audio

    def _make_seams(self) -> list[Seams]:
        """For each piece, its fades where it meets silence or another piece."""
        rate, final = self._spec.encodec.sample_rate, len(self._pieces) - 1
        trailing = self._text.end_silence_s > 0
        return [
            Seams(rate=rate, begin=index > 0 or piece.silence_s > 0, end=index < final or trailing)
            for index, piece in enumerate(self._pieces)
        ]

    async def _speak(self, index: int) -> Take:
        """Speak one piece as soon as its voice is known and it has its slots."""
        chunks, due = self._chunks[index], self._due[index]

        def emit(audio: Floats, last: bool) -> None:
            chunks.put_nowait((audio, last))
            if index == 0 and (last or len(audio)):
                self._has_begun.set()

        try:
            voice = await self._voice_of(index)
            if index and self._request.stream:
                await self._has_begun.wait()
            async with self._own_slots.hold(due), self._shared_slots.hold(due):
                with self._span.child("bark.piece", index=index, characters=len(self._pieces[index].text)) as span:
                    run = PieceRun(
                        self._pieces[index],
                        index=index,
                        voice=voice,
                        request=self._request,
                        spec=self._spec,
                        stages=self._stages.for_piece(due, span),
                        tokenise=self._tokenise,
                        language=self._text.language,
                    )
                    take = await run.run(emit)
                    span.note(verdict=take.verdict, attempts=take.attempts)
                    return take
        except BaseException as error:
            chunks.put_nowait(_first_cause(error))
            raise

    async def _voice_of(self, index: int) -> Voice | None:
        """The voice of a piece. Waits for earlier pieces where it comes from them."""
        named = self._pieces[index].voice
        voice, earlier = self._voices[named], [n for n in range(index) if self._pieces[n].voice == named]
        if self._request.chain_sentences:
            said = (await self._tasks[earlier[-1]]).tokens if earlier else None
            return continued(voice, said, spec=self._spec, coarse_history=self._request.coarse_history)
        if voice is None and self._request.one_speaker:
            for n in earlier:
                take = await self._tasks[n]
                if take.tokens.frames and take.verdict == "good":
                    return take.tokens
        return voice

    async def _next(self, index: int) -> tuple[Floats, bool]:
        """The next audio of a piece and whether it is its last. Raises the exception that ended the piece."""
        chunk = await self._chunks[index].get()
        if isinstance(chunk, BaseException):
            raise chunk
        audio, last = chunk
        audio = self._seams[index].feed(audio, last=last)
        self._samples += len(audio)
        if len(audio) and self._first_audio_seconds is None:
            self._first_audio_seconds = time.monotonic() - self._started
        return audio, last

    def _last_answer(self, said: Sequence[Take], audio: Floats) -> Answer:
        """The answer that ends the stream, with what the whole request took."""
        pieces = self._piece_reports(said)
        summary = SpeechSummary(
            seed=self._request.seed,
            text=self._request.text,
            stages=self._stages.times.report(),
            seconds=time.monotonic() - self._started,
            first_audio_seconds=self._first_audio_seconds,
            audio_seconds=self._samples / self._spec.encodec.sample_rate,
            warnings=[*self._request_warnings(), *self._text.notes, *_take_warnings(pieces, said)],
            pieces=pieces,
            checkpoint=self._checkpoint,
        )
        tokens = joined([take.tokens for take in said]) if self._request.return_tokens else None
        return Answer(audio, self._report(len(said) - 1, summary), tokens)

    def _report(self, index: int, summary: SpeechSummary | None = None) -> SpeechReport:
        piece = self._pieces[index].text
        return SpeechReport(index, len(self._pieces), self._spec.encodec.sample_rate, summary, piece)

    def _piece_reports(self, said: Sequence[Take]) -> list[PieceReport]:
        rate = self._spec.encodec.sample_rate
        return [
            PieceReport(
                text=piece.text,
                start=self._spans[index][0] / rate,
                seconds=(self._spans[index][1] - self._spans[index][0]) / rate,
                voice=piece.voice or self._request.voice,
                verdict=take.verdict,
                attempts=take.attempts,
            )
            for index, (piece, take) in enumerate(zip(self._pieces, said, strict=True))
        ]

    def _request_warnings(self) -> Sequence[str]:
        return list(warnings(self._request, spec=self._spec, capabilities=self._stages.capabilities))


#: What a warning says about a piece whose takes all failed.
_FAILURES = {
    "short": "is far shorter than its text",
    "long": "is far longer than its text",
    "babble": "is babble",
    "loop": "repeats itself",
    "drone": "is one tone or a hiss",
    "silent": "is silent",
    "empty": "has no audio: it ended at once",
}


def _take_warnings(pieces: Sequence[PieceReport], said: Sequence[Take]) -> list[str]:
    found = []
    for number, (piece, take) in enumerate(zip(pieces, said, strict=True), 1):
        name = f"piece {number} ({quoted([piece.text])})"
        tries = f" in {take.attempts} takes" if take.attempts > 1 else ""
        if take.verdict == "cut":
            found.append(f"{name} was cut at {take.limit_s:.1f} s{tries}; split it or try another seed.")
        elif take.verdict != "good":
            left_out = "" if take.tokens.frames or take.verdict == "empty" else "; it was left out"
            found.append(f"{name} {_FAILURES[take.verdict]}{tries}{left_out}; try another seed.")
    return found


def _first_cause(error: BaseException) -> BaseException:
    """The exception itself, or the first plain one of a task group's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
