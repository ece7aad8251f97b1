"""A stand-in for Triton as a program: it makes some sentences at once, each in the same time, and without any work.

`python -m tests.system.waiting_server HOST PORT WAIT_S AT_ONCE`
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np

from tests.client import fake_triton
from tests.client.fake_triton import CHUNK, Answers, FakeTriton, chunk, final, last_chunk

_MAX_STREAMS = 64


class WaitingServer(FakeTriton):
    """Its audio depends on the seed and the sentence alone."""

    def __init__(self, host: str, port: int, *, wait_s: float, at_once: int) -> None:
        self._wait_s, self._free = wait_s, threading.BoundedSemaphore(at_once)
        super().__init__(port, host=host, at_once=_MAX_STREAMS)

    def speak(self, inputs: dict[str, Any]) -> Answers:
        sentences = inputs["text"].decode().count(".")
        for sentence in range(sentences):
            with self._free:
                time.sleep(self._wait_s)
            last = sentence == sentences - 1
            answer = last_chunk(inputs, sentence, sentences) if last else chunk(sentence, sentences)
            noise = np.random.default_rng([int(inputs["seed"]), sentence]).uniform(-0.5, 0.5, CHUNK)
            answer.infer_response.raw_output_contents[0] = noise.astype(np.float32).tobytes()
            yield answer
        yield final()


def main() -> None:
    host, port, wait_s, at_once = sys.argv[1:]
    fake_triton.speak = lambda server, inputs, context: server.speak(inputs)
    WaitingServer(host, int(port), wait_s=float(wait_s), at_once=int(at_once))
    threading.Event().wait()


if __name__ == "__main__":
    main()
