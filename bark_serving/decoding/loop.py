"""In-flight batching: one thread, one loop; sequences join and leave the batch at every decode step.

The runtime keeps a KV cache row a sequence. Active rows are always the first ones, so that a decode step works on one
contiguous block: when a sequence ends, the last row moves into its place.
"""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bark_serving import sampling
from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.decoding.rules import Rule
from bark_serving.errors import StageFailed
from bark_serving.sampling import Sampling

log = logging.getLogger(__name__)


class Runtime(Protocol):
    """A GPT with a KV cache of ``rows`` sequences, each up to ``capacity`` positions."""

    rows: int
    capacity: int

    def embed(self, ids: Ints) -> Floats:
        """[n] ids → [n, width] token embeddings."""

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        """Fill a row's cache with [n, width] embedding sums; logits [vocab] of the last position."""

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        """One step for rows 0…len(lengths)−1: [n, width] embeddings at positions ``lengths`` → logits [n, vocab]."""

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of one row's cache over another's."""


@dataclass(frozen=True)
class Generation:
    """One sequence to generate. ``prompt`` holds [n, width] token-embedding sums."""

    prompt: Floats
    last_token: int  #: the prompt's last id, which a rule may look at
    max_tokens: int
    sampling: Sampling
    min_eos_p: float = 1.1  #: above 1: only a drawn end token ends speech
    request_id: str = ""


@dataclass
class _Sequence:
    generation: Generation
    answer: Future[Ids]
    tokens: list[int] = field(default_factory=list)
    length: int = 0  #: positions in the cache
    done: bool = False

    @property
    def last_token(self) -> int:
        return self.tokens[-1] if self.tokens else self.generation.last_token


@dataclass(frozen=True)
class _Stop:
    request_id: str


class DecodeLoop:
    """Runs generations on a `Runtime`, up to its rows at once; the rest wait in order of arrival."""

    def __init__(self, runtime: Runtime, rule: Rule) -> None:
        self._runtime = runtime
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
        block = block and not self._active and not self._waiting
        while True:
            try:
                message = self._inbox.get(block=block)
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
        self._compact()

    def _admit(self) -> None:
        """Prefill at most one sequence a step, so that those in flight wait for one prefill at a time."""
        if not self._waiting or len(self._active) >= self._runtime.rows:
            return
        sequence = self._waiting.pop(0)
        try:
            logits = self._runtime.prefill(len(self._active), sequence.generation.prompt)
        except Exception as error:
            log.exception("a prefill failed; its sequence is given up")
            self._fail([sequence], f"the runtime failed: {error}")
            return
        self._active.append(sequence)
        sequence.length = len(sequence.generation.prompt)
        self._advance(sequence, logits)
        self._compact()

    def _step(self) -> None:
        """Decode one token for every active sequence."""
        if not self._active:
            return
        last = np.array([sequence.last_token for sequence in self._active])
        lengths = np.array([sequence.length for sequence in self._active], np.int32)
        logits = self._runtime.decode(self._runtime.embed(last), lengths)
        for sequence, row in zip(self._active, logits, strict=True):
            sequence.length += 1
            self._advance(sequence, row)
        self._compact()

    def _advance(self, sequence: _Sequence, logits: Floats) -> None:
        """Draw a sequence's next token from logits [vocab]; finish it where it ends."""
        wanted = sequence.generation
        ids = self._rule.drawable(sequence.last_token)
        chances = sampling.probabilities(logits[ids], wanted.sampling)
        uniform = sampling.uniforms(wanted.sampling.seed, len(sequence.tokens))
        token = int(ids[sampling.draw(chances, float(uniform))])
        if self._rule.ends(token, chances, min_eos_p=wanted.min_eos_p):
            self._finish(sequence)
            return
        sequence.tokens.append(token)
        if len(sequence.tokens) >= wanted.max_tokens or sequence.length >= self._runtime.capacity:
            self._finish(sequence)

    def _compact(self) -> None:
        """Close the gaps that finished sequences leave among the active rows."""
        for row in reversed(range(len(self._active))):
            if self._active[row].done:
                last = self._active.pop()
                if not last.done:
                    self._runtime.move(len(self._active), row, last.length)
                    self._active[row] = last

    @staticmethod
    def _finish(sequence: _Sequence) -> None:
        sequence.done = True
        sequence.answer.set_result(np.array(sequence.tokens, np.int32))

    @staticmethod
    def _fail(sequences: list[_Sequence], reason: str) -> None:
        for sequence in sequences:
            if not sequence.done:
                sequence.done = True
                sequence.answer.set_exception(StageFailed(reason))
        sequences.clear()
