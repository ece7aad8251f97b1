"""In-flight batching: one thread, one loop; sequences join and leave the batch at every decode step.

The runtime keeps a KV cache row a sequence. Active rows are always the first ones, so that a decode step works on one
contiguous block: when a sequence ends, the last row moves into its place.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats, Ids
from bark_serving.decoding import sampling
from bark_serving.decoding.rules import Rule
from bark_serving.decoding.sampler import Drawing, DrawingRuntime, HostDrawing, Runtime, Wish
from bark_serving.decoding.sampling import Sampling
from bark_serving.errors import StageFailed

log = logging.getLogger(__name__)

#: How long a kept row waits for its continuation, which follows at once unless its client has gone.
KEEP_SECONDS = 30.0


@dataclass(frozen=True)
class Generation:
    """One sequence to generate. ``prompt`` holds [n, width] token-embedding sums."""

    prompt: Floats
    ids: Ids  #: the prompt's ids, which a rule and a continuation look at
    max_tokens: int
    sampling: Sampling
    min_eos_p: float = 1.1  #: above 1: only a drawn end token ends speech
    request_id: str = ""
    keep: bool = False  #: hold the cache when done, for a generation of the same request id that goes on from it


@dataclass
class _Sequence:
    generation: Generation
    answer: Future[Ids]
    tokens: list[int] = field(default_factory=list)
    length: int = 0  #: positions in the cache
    done: bool = False  #: its row is free
    parked_until: float | None = None  #: its answer is out, its row is held until then (`time.monotonic`)
    uniforms: npt.NDArray[np.float64] = field(init=False)  #: one a step, and one for a parked sequence to draw unheard

    def __post_init__(self) -> None:
        self.uniforms = sampling.step_uniforms(self.generation.sampling.seed, self.generation.max_tokens + 1)

    @property
    def last_token(self) -> int:
        return self.tokens[-1] if self.tokens else int(self.generation.ids[-1])

    def is_continued_by(self, generation: Generation) -> bool:
        """Whether a prompt is exactly what is said so far: all of it is in the cache but the last token."""
        return len(generation.ids) == self.length + 1 and np.array_equal(
            generation.ids, np.concatenate([self.generation.ids, self.tokens])
        )


@dataclass(frozen=True)
class _Stop:
    request_id: str


class DecodeLoop:
    """Runs generations on a `Runtime`, up to its rows at once; the rest wait in order of arrival.

    A window of the coarse stage often begins with all that the window before it saw and made. So a sequence may ask to
    be kept: it stays in its row, *parked*, and decodes along unheard until its continuation comes, which then needs no
    prefill. A kept row is never taken by another sequence, so that whether a cache is reused, and with it every
    rounding, depends on the request alone and not on the load.
    """

    def __init__(self, runtime: Runtime, rule: Rule) -> None:
        self._drawing: Drawing = runtime if isinstance(runtime, DrawingRuntime) else HostDrawing(runtime, rule)
        self._rule = rule
        self._inbox: queue.SimpleQueue[_Sequence | _Stop | None] = queue.SimpleQueue()
        self._waiting: list[_Sequence] = []
        self._active: list[_Sequence] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="decode-loop", daemon=True)
        self._thread.start()

    def submit(self, generation: Generation) -> Future[Ids]:
        """Queue a generation. The future gives its tokens [≤ max_tokens], without the end token.

        It fails with `StageFailed` when the runtime does or the loop is closed.
        """
        answer: Future[Ids] = Future()
        self._inbox.put(_Sequence(generation, answer))
        return answer

    def stop(self, request_id: str) -> None:
        """End every generation with that request id at its next step; its future gives what it has so far."""
        self._inbox.put(_Stop(request_id))

    def close(self) -> None:
        """End the loop; whatever is not finished fails."""
        self._closing = True
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._receive()
            try:
                self._admit()
                self._step()
            except Exception as error:
                log.exception("a decode step failed; its sequences are given up")
                self._fail(self._active, f"the runtime failed: {error}")
        self._receive(block=False)
        self._fail(self._active + self._waiting, "the server is shutting down")

    def _receive(self, *, block: bool = True) -> None:
        """Take messages in; wait for one when there is nothing else to do."""
        parked = [sequence.parked_until for sequence in self._active if sequence.parked_until is not None]
        block = block and len(parked) == len(self._active) and not self._can_admit()
        timeout = max(0.0, min(parked) - time.monotonic()) if parked else None
        while True:
            try:
                message = self._inbox.get(block=block, timeout=timeout)
            except queue.Empty:
                break
            block = False
            if isinstance(message, _Sequence):
                self._waiting.append(message)
            elif isinstance(message, _Stop):
                for sequence in self._active + self._waiting:
                    if sequence.generation.request_id == message.request_id and not sequence.done:
                        self._finish(sequence)
        self._waiting = [sequence for sequence in self._waiting if not sequence.done]
        for sequence in self._active:
            if sequence.parked_until is not None and sequence.parked_until < time.monotonic():
                sequence.done = True
        self._compact()

    def _admit(self) -> None:
        """Let every continuation go on, and prefill at most one sequence: those in flight wait for one at a time."""
        waiting, self._waiting = self._waiting, []
        prefilled = False
        for sequence in waiting:
            row = self._row_for(sequence)
            if row < len(self._active) and self._active[row].is_continued_by(sequence.generation):
                sequence.length = self._active[row].length
                self._active[row] = sequence
            elif row < self._drawing.rows and not prefilled:
                self._prefill(row, sequence)
                prefilled = True
            else:
                self._waiting.append(sequence)
        self._compact()

    def _can_admit(self) -> bool:
        """Whether there is a row for any that waits."""
        return any(self._row_for(sequence) < self._drawing.rows for sequence in self._waiting)

    def _row_for(self, sequence: _Sequence) -> int:
        """The row that was kept for a sequence, else the first free one; `rows` or more when there is none."""
        for row, other in enumerate(self._active):
            if other.parked_until is not None and other.generation.request_id == sequence.generation.request_id:
                return row
        return len(self._active)

    def _prefill(self, row: int, sequence: _Sequence) -> None:
        """Take a row and draw the first token."""
        try:
            drawn = self._drawing.prefill_and_draw(row, sequence.generation.prompt, self._wish(sequence))
        except Exception as error:
            log.exception("a prefill failed; its sequence is given up")
            self._fail([sequence], f"the runtime failed: {error}")
            return
        self._active[row : row + 1] = [sequence]
        sequence.length = len(sequence.generation.prompt)
        self._advance(sequence, int(drawn.tokens[0]), float(drawn.last_chances[0]))

    def _step(self) -> None:
        """Decode one token for every active sequence. What a parked one gets is what its continuation will feed."""
        if all(sequence.parked_until is not None for sequence in self._active):
            return
        last = np.array([sequence.last_token for sequence in self._active], np.int32)
        lengths = np.array([sequence.length for sequence in self._active], np.int32)
        drawn = self._drawing.decode_and_draw(last, lengths, [self._wish(sequence) for sequence in self._active])
        for sequence, token, chance in zip(self._active, drawn.tokens, drawn.last_chances, strict=True):
            if sequence.parked_until is None:
                sequence.length += 1
                self._advance(sequence, int(token), float(chance))
        self._compact()

    def _wish(self, sequence: _Sequence) -> Wish:
        """How a sequence's next token is drawn."""
        turn = self._rule.next_set(sequence.last_token)
        return Wish(turn, sequence.generation.sampling, float(sequence.uniforms[len(sequence.tokens)]))

    def _advance(self, sequence: _Sequence, token: int, last_chance: float) -> None:
        """Take a drawn token in; finish the sequence where it ends."""
        wanted = sequence.generation
        if self._rule.ends(token, last_chance, min_eos_p=wanted.min_eos_p):
            self._finish(sequence)
            return
        sequence.tokens.append(token)
        full = sequence.length >= self._drawing.capacity
        if len(sequence.tokens) >= wanted.max_tokens or full:
            self._finish(sequence, keep=wanted.keep and not full)

    def _compact(self) -> None:
        """Close the gaps that finished sequences leave among the active rows."""
        for row in reversed(range(len(self._active))):
            if self._active[row].done:
                last = self._active.pop()
                if not last.done:
                    self._drawing.move(len(self._active), row, last.length)
                    self._active[row] = last

    @staticmethod
    def _finish(sequence: _Sequence, *, keep: bool = False) -> None:
        sequence.done = not keep
        if not sequence.answer.done():
            sequence.parked_until = time.monotonic() + KEEP_SECONDS if keep else None
            sequence.answer.set_result(np.array(sequence.tokens, np.int32))

    @staticmethod
    def _fail(sequences: list[_Sequence], reason: str) -> None:
        for sequence in sequences:
            sequence.done = True
            if not sequence.answer.done():
                sequence.answer.set_exception(StageFailed(reason))
        sequences.clear()
