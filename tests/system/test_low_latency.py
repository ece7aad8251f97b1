"""Low latency through a real Triton: slices are exact, and the samples depend on the request alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from bark_client import BarkClient, Speech
from tests.system.conftest import RealServer
from tests.system.test_speech import TEXT, tokens_of

SERVERS = ["triton", "triton_int8", pytest.param("triton_torch", marks=pytest.mark.slow)]
LOW: dict[str, Any] = {"latency": "low", "speed": "fast", "min_eos_p": 1.0, "max_duration": 3.5, "return_tokens": True}


@pytest.fixture(params=SERVERS)
def bark(request: pytest.FixtureRequest) -> Iterator[BarkClient]:
    server: RealServer = request.getfixturevalue(request.param)
    with BarkClient(server.url, timeout=300) as client:
        yield client


@pytest.mark.parametrize("voice", [None, "v2/en_speaker_6"])
def test_slices_make_the_semantic_tokens_of_one_call(bark: BarkClient, voice: str | None) -> None:
    low, normal = (bark.speak(TEXT, voice=voice, seed=5, **{**LOW, "latency": how}) for how in ("low", "normal"))
    assert low.timings.stages["semantic"].calls > 2 and normal.timings.stages["semantic"].calls == 1
    np.testing.assert_array_equal(tokens_of(low)[0], tokens_of(normal)[0])
    assert low.seconds == normal.seconds


def test_one_seed_gives_the_same_samples_alone_among_others_and_in_one_answer(bark: BarkClient) -> None:
    def speak(seed: int) -> Speech:
        return bark.speak(TEXT, seed=seed, **LOW)

    alone = [speak(seed) for seed in range(3)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(speak, [0, 1, 2, 0, 1, 2]))
    for number, speech in enumerate(together):
        np.testing.assert_array_equal(speech.samples, alone[number % 3].samples)
    assert len({speech.samples.tobytes() for speech in alone}) == 3


def test_chunks_begin_short_and_leave_before_the_sentence_is_done(bark: BarkClient) -> None:
    """With the first seed that speaks for 2 s: random weights may end speech at any step."""
    for seed in range(20):
        with bark.stream(TEXT, seed=seed, **LOW) as stream:
            sizes = [chunk.seconds for chunk in stream if chunk.sentence == 0]
        if sum(sizes) > 2:
            break
    assert sum(sizes) > 2
    assert sizes[0] == pytest.approx(0.4, abs=0.006) and len(sizes) > 2 and sizes[1] > sizes[0]  # the fade keeps 5 ms
    timings = stream.speech.timings
    assert timings.first_audio_seconds is not None and timings.first_audio_seconds < timings.seconds / 2
