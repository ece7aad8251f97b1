"""Speech whose pieces have texts and verdicts, from the stand-in for Triton."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from tritonclient.utils import serialize_byte_tensor

from bark_client.audio import pcm16
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, Behaviour, FakeTriton, chunk, final, last_chunk

CHUNKS = 8  #: of each piece but the last, 0.1 s each
PIECES = ("Good morning.", "How are you?")
TEXT = " ".join(PIECES)


def speak_when(more: threading.Event, *, verdict: str = "good", pieces: tuple[str, ...] = PIECES) -> Behaviour:
    """One piece of audio at once, the others when `more` is set."""

    def behave(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Iterator[Any]:
        for index, text in enumerate(pieces[:-1]):
            for _ in range(CHUNKS):
                yield chunk(index, len(pieces), report={"piece": text})
            while not (more.wait(0.02) or server.release.is_set()):
                continue
        message = last_chunk(inputs, len(pieces) - 1, len(pieces))
        yield with_pieces(message, pieces, verdict)
        yield final()

    return behave


def with_pieces(message: Any, pieces: tuple[str, ...], verdict: str) -> Any:
    """The last answer, with what became of each piece."""
    response = message.infer_response
    position = [output.name for output in response.outputs].index("report")
    first, last = CHUNKS * CHUNK / SAMPLE_RATE, CHUNK / SAMPLE_RATE
    more = {"verdict": verdict, "attempts": 1}
    told = [
        {"text": text, "start": index * first, "seconds": last if text == pieces[-1] else first, **more}
        for index, text in enumerate(pieces)
    ]
    report = json.loads(response.raw_output_contents[position][4:]) | {"pieces": told, "piece": pieces[-1]}
    packed = np.array([json.dumps(report).encode()], dtype=np.object_)
    response.raw_output_contents[position] = serialize_byte_tensor(packed).item()
    return message


def spoken(pieces: int) -> np.ndarray:
    """The samples that `speak_when` sends, as the page gets them. float32 [n]"""
    period = np.sin(np.arange(CHUNK) * 2 * np.pi * 220 / SAMPLE_RATE)
    chunks = [index for index in range(pieces - 1) for _ in range(CHUNKS)] + [pieces - 1]
    whole = np.concatenate([period * (index + 1) / (pieces + 1) for index in chunks])
    return np.frombuffer(pcm16(whole.astype(np.float32)), "<i2").astype(np.float32) / 32768


def at_once() -> threading.Event:
    """For `speak_when`: nothing is waited for."""
    event = threading.Event()
    event.set()
    return event
