"""In-flight batching: one thread runs one loop. Sequences join and leave the batch at every decode step."""

from __future__ import annotations

import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from bark_serving.arrays import Ids
from bark_serving.decoding.sampler import Sampler, SampleRequest
from bark_serving.decoding.scheduler import Scheduler
from bark_serving.decoding.sequence import Generation, Sequence, State

log = logging.getLogger(__name__)

#: How long a held row waits for its continuation. The continuation follows at once unless its client has gone.
HOLD_S = 30.0


@dataclass(frozen=True)
class _Stop:
    request_id: str


class _Close:
    """The last message."""


class DecodeLoop:
    """Runs generations on a `Sampler`, as many at once as its runtime has rows.

    The rest wait; the earliest `due` is next, equal ones by arrival.

    Each turn of the loop is: take messages in, give rows to waiting sequences, prefill at most one of them, decode one
    token for every running sequence, and take the sampled tokens in.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._scheduler = Scheduler(sampler.runtime.rows)
        self._inbox: queue.SimpleQueue[Sequence | _Stop | _Close] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="decode-loop", daemon=True)
        self._thread.start()

    def submit(self, generation: Generation) -> Future[Ids]:
        """Queue a generation. The future gives its tokens [at most max_tokens], without the end token.

        It fails with `StageFailed` if the runtime fails or the loop is closed.
        """
        sequence = Sequence(generation)
        self._inbox.put(sequence)
        return sequence.answer

    def stop(self, request_id: str) -> None:
        """End every generation of that request id at its next step; its future gives the tokens so far."""
        self._inbox.put(_Stop(request_id))

    def close(self) -> None:
        """End the loop. Whatever is not finished fails."""
        self._closing = True
        self._inbox.put(_Close())
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._receive(timeout_s=self._scheduler.idle_s(time.monotonic()))
            try:
                self._step()
            except Exception as error:
                log.exception("a decode step failed; its sequences are given up")
                self._scheduler.fail(f"the runtime failed: {error}")
        self._receive(timeout_s=0.0)
        for sequence in self._scheduler.batch + self._scheduler.waiting:
            sequence.fail("the server is shutting down")

    def _receive(self, *, timeout_s: float | None) -> None:
        """Take all messages in; wait at most ``timeout_s`` seconds (None: forever) for the first one."""
        while True:
            try:
                message = self._inbox.get(block=timeout_s != 0, timeout=timeout_s)
            except queue.Empty:
                break
            timeout_s = 0.0
            if isinstance(message, Sequence):
                self._scheduler.add(message)
            elif isinstance(message, _Stop):
                self._scheduler.stop(message.request_id)
        self._scheduler.expire(time.monotonic())

    def _step(self) -> None:
        """Schedule, prefill, decode."""
        self._free_rows()
        row = self._scheduler.schedule()
        if row is not None:
            self._prefill(row)
            self._free_rows()
        if any(sequence.state is State.RUNNING for sequence in self._scheduler.batch):
            self._decode()

    def _free_rows(self) -> None:
        """Close the gaps that finished sequences leave in the batch."""
        for source, target in self._scheduler.remove_finished():
            self._sampler.runtime.move(source, target, self._scheduler.batch[target].length)

    def _prefill(self, row: int) -> None:
        """Fill a row's cache with its prompt, and sample the first token."""
        sequence = self._scheduler.batch[row]
        try:
            sampled = self._sampler.prefill_and_sample(row, sequence.generation.prompt, self._request(sequence))
        except Exception as error:
            log.exception("a prefill failed; its sequence is given up")
            sequence.fail(f"the runtime failed: {error}")
            return
        sequence.length = len(sequence.generation.prompt)
        self._append(sequence, int(sampled.tokens[0]), float(sampled.end_probabilities[0]))

    def _decode(self) -> None:
        """Decode one token for every row. A held row is decoded too; its continuation begins with the same step."""
        batch = self._scheduler.batch
        last = np.array([sequence.last_token for sequence in batch], np.int32)
        lengths = np.array([sequence.length for sequence in batch], np.int32)
        sampled = self._sampler.decode_and_sample(last, lengths, [self._request(sequence) for sequence in batch])
        for sequence, token, end_probability in zip(batch, sampled.tokens, sampled.end_probabilities, strict=True):
            if sequence.state is State.RUNNING:
                sequence.length += 1
                self._append(sequence, int(token), float(end_probability))

    def _request(self, sequence: Sequence) -> SampleRequest:
        """How a sequence's next token is sampled."""
        id_set = self._sampler.rule.next_set(sequence.last_token)
        return SampleRequest(id_set, sequence.generation.sampling, float(sequence.uniforms[len(sequence.tokens)]))

    def _append(self, sequence: Sequence, token: int, end_probability: float) -> None:
        """Append a sampled token, and end the sequence where it is complete."""
        requested = sequence.generation
        if self._sampler.rule.ends(token, end_probability, min_eos_p=requested.min_eos_p):
            sequence.finish()
            return
        sequence.tokens.append(token)
        cache_is_full = sequence.length >= self._sampler.runtime.capacity
        if cache_is_full or len(sequence.tokens) >= requested.max_tokens:
            if requested.hold and not cache_is_full:
                sequence.hold(until=time.monotonic() + HOLD_S)
            else:
                sequence.finish()
