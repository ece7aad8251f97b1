"""Takes of one piece: it is spoken and judged, and spoken again where it failed.

A further take has seeds of its own that derive from the request's. So the same request gives the same speech, however
many takes it needs. Semantic tokens are judged before the coarse stage begins. Audio is judged before it leaves only
where a request wants one answer. A stream has sent it by then, so there the verdict is only reported. With low latency
audio leaves before the semantic tokens are all made, so a piece has one take, and its verdict is only reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bark_serving.arrays import Floats, Ids, Tokenise
from bark_serving.errors import SpeechFailed
from bark_serving.spec import Spec
from bark_serving.speech.guard import VERDICTS, Verdict, judge_audio, judge_tokens, worse
from bark_serving.speech.parts import Emit, without_codes
from bark_serving.speech.prompt import PromptRun, max_semantic_tokens
from bark_serving.speech.request import SpeechRequest
from bark_serving.speech.stage_client import Stages
from bark_serving.speech.text import pace
from bark_serving.speech.text.cutting import Room, cut
from bark_serving.speech.text.planning import Piece
from bark_serving.speech.text.signs import quoted
from bark_serving.voices import Voice

#: A piece that did not end by itself is spoken in halves if it should take at least this share of the longest one.
MIN_HALVED = 1 / 3
MAX_HALF = 2 / 3  #: of the whole that a half may have, so that it can be cut at a clause


@dataclass(frozen=True)
class Take:
    """The take of a piece that is heard. Its tokens can be the voice of another piece."""

    tokens: Voice
    verdict: Verdict
    attempts: int
    limit_s: float  #: where speech was cut, if the verdict is ``cut``


@dataclass(frozen=True)
class _Part:
    """The semantic tokens of a piece or, where it was halved, of a part of it."""

    numbers: tuple[int, ...]  #: what its seeds derive from, beside the piece's index
    semantic: Ids


@dataclass(frozen=True)
class _Draft:
    """A take as far as it had to be made to be judged."""

    parts: Sequence[_Part]
    verdict: Verdict
    tokens: Voice | None = None  #: None: only the semantic tokens were made
    audio: Sequence[Floats] = field(default=())


class PieceRun:
    """Speaks one piece. ``index`` is its number: each piece has its own random numbers."""

    def __init__(
        self,
        piece: Piece,
        *,
        index: int,
        voice: Voice | None,
        request: SpeechRequest,
        spec: Spec,
        stages: Stages,
        tokenise: Tokenise,
        language: str,
    ) -> None:
        self._piece, self._index, self._voice, self._language = piece, index, voice, language
        self._request, self._spec, self._stages, self._tokenise = request, spec, stages, tokenise
        max_tokens = max_semantic_tokens(request, spec=spec)
        self._limit_s = max_tokens / spec.semantic.rate_hz
        self._limited = max_tokens < spec.semantic.max_steps  # by the request: speech cut there has not failed

    async def run(self, emit: Emit) -> Take:
        """Speak. Calls ``emit(audio, last)`` in order with final audio [n].

        Raises `SpeechFailed` if every take failed and the request says so.
        """
        if self._request.latency == "low":
            return await self._streamed(emit)
        drafts: list[_Draft] = []
        while not drafts or (self._failed(drafts[-1]) and len(drafts) <= self._retries):
            drafts.append(await self._draft(drafts))
        best = min(drafts, key=lambda draft: VERDICTS.index(draft.verdict))
        if self._failed(best) and self._request.on_failure == "error":
            raise SpeechFailed(
                f"piece {self._index + 1} ({quoted([self._piece.text])}) failed {len(drafts)} times: its last take is "
                f"{drafts[-1].verdict}; try another seed or another text."
            )
        if self._failed(best) and self._request.on_failure == "skip":
            emit(np.empty(0, np.float32), True)
            return self._take(best, without_codes(np.empty(0, np.int32), spec=self._spec), attempts=len(drafts))
        if best.tokens is None:
            best = await self._spoken(best, emit)
        else:
            emit(np.concatenate(best.audio), True)
        assert best.tokens is not None
        return self._take(best, best.tokens, attempts=len(drafts))

    async def _streamed(self, emit: Emit) -> Take:
        """The only take of low latency, judged when it has been heard."""
        audio: list[Floats] = []

        def take_in(samples: Floats, last: bool) -> None:
            audio.append(samples)
            emit(samples, last)

        text_tokens = np.array(self._tokenise(self._piece.text), np.int32)
        semantic, ended, said = await self._run((), self._voice).stream(text_tokens, take_in)
        verdict = self._judge_heard(self._judge(semantic, ended=ended, share=1.0), audio)
        draft = _Draft([_Part((), semantic)], verdict, tokens=said, audio=audio)
        if self._failed(draft) and self._request.on_failure == "error":
            raise SpeechFailed(
                f"piece {self._index + 1} ({quoted([self._piece.text])}) failed: it is {verdict}; try another seed or "
                "another text, or leave out latency low, which has one take only."
            )
        return self._take(draft, said, attempts=1)

    def _take(self, draft: _Draft, tokens: Voice, *, attempts: int) -> Take:
        return Take(tokens, draft.verdict, attempts, self._limit_s)

    @property
    def _retries(self) -> int:
        return self._request.retries if self._spec.guard else 0

    def _failed(self, draft: _Draft) -> bool:
        return draft.verdict != "good" and not (draft.verdict == "cut" and self._limited)

    async def _draft(self, earlier: Sequence[_Draft]) -> _Draft:
        """The next take, as far as it has to be made to be judged."""
        texts = self._halves() if earlier and earlier[-1].verdict == "cut" else [self._piece.text]
        parts: list[_Part] = []
        verdict: Verdict = "good"
        for number, text in enumerate(texts):
            numbers = (len(earlier), number) if earlier else ()
            voice = self._voice
            if voice is None and parts and len(parts[-1].semantic):
                voice = without_codes(parts[-1].semantic, spec=self._spec)
            semantic, ended = await self._run(numbers, voice).semantic(np.array(self._tokenise(text), np.int32))
            verdict = worse(verdict, self._judge(semantic, ended=ended, share=len(text) / len(self._piece.text)))
            parts.append(_Part(numbers, semantic))
        draft = _Draft(parts, verdict)
        return draft if self._request.stream or self._failed(draft) else await self._spoken(draft)

    def _halves(self) -> Sequence[str]:
        """The piece in two parts or a few, cut at clauses where possible; whole if it is short."""
        if self._piece.seconds < MIN_HALVED * self._limit_s:
            return [self._piece.text]
        length_s = pace.seconds(self._piece.text, language=self._language)
        room = Room(self._spec.semantic.text_context, longest_s=MAX_HALF * length_s, target_s=length_s / 2)
        return cut(self._piece.text, tokenise=self._tokenise, language=self._language, room=room)

    def _judge(self, semantic: Ids, *, ended: bool, share: float) -> Verdict:
        if self._spec.guard is None:
            return "empty" if not len(semantic) else "good" if ended else "cut"
        return judge_tokens(
            semantic,
            ended=ended,
            expected_s=self._piece.seconds * share,
            rate_hz=self._spec.semantic.rate_hz,
            limits=self._spec.guard,
        )

    async def _spoken(self, draft: _Draft, emit: Emit | None = None) -> _Draft:
        """The draft with its audio, judged; its audio also goes to ``emit`` as it is made."""
        said: list[Voice] = []
        audio: list[Floats] = []
        for part in draft.parts:
            final = part is draft.parts[-1]

            def take_in(samples: Floats, last: bool, final: bool = final) -> None:
                audio.append(samples)
                if emit is not None:
                    emit(samples, last and final)

            voice = self._voice or (said[-1] if said and said[-1].frames else None)
            said.append(await self._run(part.numbers, voice).speak(part.semantic, take_in))
        verdict = self._judge_heard(draft.verdict, audio)
        return _Draft(draft.parts, verdict, tokens=joined(said), audio=audio)

    def _judge_heard(self, verdict: Verdict, audio: Sequence[Floats]) -> Verdict:
        """The verdict on the semantic tokens, or a worse one on the audio."""
        if self._spec.guard is None:
            return verdict
        rate = self._spec.encodec.sample_rate
        return worse(verdict, judge_audio(np.concatenate(audio), sample_rate=rate, limits=self._spec.guard))

    def _run(self, numbers: tuple[int, ...], voice: Voice | None) -> PromptRun:
        return PromptRun(self._stages, self._request, spec=self._spec, index=self._index, voice=voice, take=numbers)


def joined(said: Sequence[Voice]) -> Voice:
    """The tokens of pieces, one after the other."""
    by_stage = zip(*(one.arrays.values() for one in said), strict=True)
    return Voice(*(np.concatenate(arrays, axis=-1) for arrays in by_stage))
