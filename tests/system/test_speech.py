"""Speech through the real Triton server: the oracle's tokens, one seed one speech, errors, cancelling."""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient

from bark_client import AsyncBarkClient, BarkClient, InvalidRequest, RequestTimeout, Speech
from tests import oracle
from tests.system.conftest import RealServer

TEXT = "Hello world, how are you?"
GREEDY: dict[str, Any] = {"semantic_temperature": 0.0, "coarse_temperature": 0.0, "fine_temperature": 0.0}


@pytest.fixture
def bark(triton: RealServer) -> Iterator[BarkClient]:
    with BarkClient(triton.url, timeout=120) as client:
        yield client


def tokens_of(speech: Speech) -> list[np.ndarray]:
    assert speech.tokens is not None
    return [speech.tokens.semantic_prompt, speech.tokens.coarse_prompt, speech.tokens.fine_prompt]


@pytest.mark.parametrize("voice", [None, "v2/en_speaker_6", "de_speaker_3", "announcer"])
def test_greedy_tokens_of_every_stage_are_the_oracles(bark: BarkClient, triton: RealServer, voice: str | None) -> None:
    speech = bark.speak(TEXT, voice=voice, return_tokens=True, split_sentences=False, max_duration=9, **GREEDY)
    options = {"history_prompt": voice, "silent": True}
    with oracle.load(triton.bundle) as suno:
        greedy = {"temp": oracle.GREEDY, "use_kv_caching": True, **options}
        semantic = suno.generate_text_semantic(TEXT, max_gen_duration_s=9, **greedy)
        coarse = suno.generate_coarse(semantic, **greedy)
        fine = suno.generate_fine(coarse, temp=None, **options)
        audio = suno.codec_decode(fine)
    assert len(semantic) > 20
    for ours, theirs in zip(tokens_of(speech), (semantic, coarse, fine), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(speech.samples, audio, atol=1e-5)


def test_one_seed_gives_the_same_tokens_alone_and_among_others(bark: BarkClient) -> None:
    def speak(seed: int) -> Speech:
        return bark.speak(f"{TEXT} Number {seed % 3}.", seed=seed, return_tokens=True, max_duration=2)

    alone = [speak(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(speak, range(8)))
    for one, other in zip(alone, together, strict=True):
        for ours, theirs in zip(tokens_of(one), tokens_of(other), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert len({tuple(tokens_of(speech)[0][:20]) for speech in alone}) == 8


def test_a_stream_joins_to_what_one_answer_holds(bark: BarkClient) -> None:
    text = "One sentence. Another one! A third?"
    with bark.stream(text, seed=3, max_duration=2) as stream:
        chunks = list(stream)
    whole = bark.speak(text, seed=3, max_duration=2)
    assert [chunk.sentence for chunk in chunks] == [0, 1, 2]
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)
    assert whole.sample_rate == 24_000 and set(whole.timings.stages) == {"semantic", "coarse", "fine", "encodec_decode"}


def test_a_long_sentence_streams_before_it_is_done(bark: BarkClient) -> None:
    with bark.stream("Word.", voice="v2/en_speaker_6", seed=1, min_eos_p=1.0, **GREEDY) as stream:
        chunks = list(stream)
    assert len(chunks) > 1 and chunks[0].seconds == pytest.approx(512 / 75)


def test_a_generation_is_a_voice_for_the_next(bark: BarkClient) -> None:
    first = bark.speak(TEXT, seed=1, return_tokens=True, max_duration=4)
    one, again = (bark.speak(TEXT, voice=first.as_voice(), seed=2, max_duration=2) for _ in range(2))
    plain = bark.speak(TEXT, seed=2, max_duration=2)
    np.testing.assert_array_equal(one.samples, again.samples)
    assert not np.array_equal(one.samples, plain.samples)


def test_chained_sentences_differ_from_separate_ones(bark: BarkClient) -> None:
    text = "One sentence. Another one!"
    apart = bark.speak(text, seed=3, max_duration=2, return_tokens=True)
    chained = bark.speak(text, seed=3, max_duration=2, return_tokens=True, chain_sentences=True)
    assert np.array_equal(tokens_of(apart)[0][:50], tokens_of(chained)[0][:50])
    assert not np.array_equal(tokens_of(apart)[0], tokens_of(chained)[0])


def test_all_271_voices_of_the_suno_package_speak(bark: BarkClient) -> None:
    names = [voice.name for voice in bark.voices()]
    assert len(names) == 271

    def speak(name: str) -> Speech:
        return bark.speak("Hi.", voice=name, seed=1, max_duration=0.3, min_eos_p=1.0)

    with ThreadPoolExecutor(8) as pool:
        spoken = list(pool.map(speak, names))
    assert all(0 < speech.seconds <= 0.35 and np.isfinite(speech.samples).all() for speech in spoken)
    assert len({speech.samples.tobytes() for speech in spoken}) > 260


ARRAYS = {
    "semantic_prompt": np.arange(100),
    "coarse_prompt": np.ones((2, 150), np.int32),
    "fine_prompt": np.ones((8, 150), np.int32),
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voice": "v2/xx_speaker_0"}, "there is no voice 'v2/xx_speaker_0'"),
        ({"voice": "../../etc/passwd"}, "no voice name"),
        ({"voice": {**ARRAYS, "semantic_prompt": np.array([10_000])}}, "must be in 0..9999"),
        ({"voice": {**ARRAYS, "fine_prompt": np.ones((7, 150), np.int32)}}, "frames]"),
        ({"voice": {**ARRAYS, "coarse_prompt": np.ones((2, 300), np.int32)}}, "the same time"),
        ({"semantic_temperature": -1.0}, "semantic_temperature -1.0 is out of range"),
        ({"top_p": 2.0}, "top_p 2.0 is out of range"),
        ({"min_eos_p": 0.0}, "min_eos_p 0.0 is out of range"),
        ({"coarse_history": 10}, "coarse_history 10 is out of range: 60 to 630"),
        ({"coarse_window": 500}, "coarse_window 500 is out of range"),
        ({"max_duration": -1.0}, "max_duration -1.0 is out of range"),
    ],
)
def test_a_bad_request_is_refused_in_one_sentence_and_disturbs_no_other(
    bark: BarkClient, options: dict[str, Any], message: str
) -> None:
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(bark.speak, TEXT, seed=4, max_duration=1)
        with pytest.raises(InvalidRequest) as caught:
            bark.speak(TEXT, **options)
        assert message in str(caught.value) and "\n" not in str(caught.value)
        assert good.result().seconds > 0.5


@pytest.mark.parametrize(
    ("text", "message"), [(b"   ", "text is empty"), (b"a" * 20_001, "limit is 20000"), (b"\xff", "UTF-8")]
)
def test_bad_text_is_refused_by_the_server_itself(triton: RealServer, text: bytes, message: str) -> None:
    error = stream_error(triton, {"text": np.array([text], np.object_)})
    assert error.startswith("[INVALID_ARGUMENT] ") and message in error and "Traceback" not in error


def stream_error(triton: RealServer, inputs: dict[str, np.ndarray]) -> str:
    """What the server itself says to a request that our client would not send."""
    answers: queue.Queue[str] = queue.Queue()
    with grpcclient.InferenceServerClient(triton.url) as client:
        client.start_stream(lambda result, error: answers.put(error.message() if error else f"answered: {result}"))
        tensors = [grpcclient.InferInput(name, array.shape, "BYTES") for name, array in inputs.items()]
        for tensor, array in zip(tensors, inputs.values(), strict=True):
            tensor.set_data_from_numpy(array)
        client.async_stream_infer("bark", tensors)
        message = answers.get(timeout=30)
        client.stop_stream(cancel_requests=True)
    return message


def finished(triton: RealServer, model: str) -> int:
    with grpcclient.InferenceServerClient(triton.url) as client:
        return int(client.get_inference_statistics(model).model_stats[0].inference_count)


def busy(triton: RealServer) -> tuple[int, ...]:
    """Requests that each stage has finished so far."""
    return tuple(finished(triton, stage) for stage in ("semantic", "coarse", "fine"))


def settle(triton: RealServer) -> tuple[int, ...]:
    """Poll what only the server's statistics tell, until no stage has finished anything for half a second."""
    before = busy(triton)
    for _ in range(40):
        time.sleep(0.5)
        after = busy(triton)
        if after == before:
            return after
        before = after
    pytest.fail("the stages were still at work after 20 seconds")


LONG = " ".join(f"This is sentence number {n}." for n in range(60))


def test_a_cancelled_request_frees_its_stages(bark: BarkClient, triton: RealServer) -> None:
    before = settle(triton)
    with bark.stream(LONG, seed=1, min_eos_p=1.0) as stream:
        next(iter(stream))
    assert settle(triton)[0] - before[0] < 60, "every sentence was spoken all the same"
    assert bark.speak("Free again.", seed=1, max_duration=0.5).seconds > 0.2


def test_a_client_that_dies_frees_its_stages(bark: BarkClient, triton: RealServer) -> None:
    before = settle(triton)
    code = f"""
from bark_client import BarkClient
with BarkClient({triton.url!r}) as bark, bark.stream({LONG!r}, seed=1, min_eos_p=1.0) as stream:
    for chunk in stream:
        print(chunk.seconds, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None and client.stdout.readline()
        client.kill()
    assert settle(triton)[0] - before[0] < 60, "every sentence was spoken all the same"
    assert bark.speak("Free again.", seed=1, max_duration=0.5).seconds > 0.2


def test_a_request_that_runs_out_of_time_frees_its_stages(bark: BarkClient, triton: RealServer) -> None:
    before = settle(triton)
    with pytest.raises(RequestTimeout):
        bark.speak(LONG, seed=1, min_eos_p=1.0, timeout=2)
    assert settle(triton)[0] - before[0] < 60


def test_sync_and_async_clients_get_the_same(bark: BarkClient, triton: RealServer) -> None:
    async def speak() -> list[Speech]:
        async with AsyncBarkClient(triton.url) as client:
            return await asyncio.gather(*(client.speak(TEXT, seed=seed, max_duration=1) for seed in (1, 2)))

    first, second = asyncio.run(speak())
    np.testing.assert_array_equal(first.samples, bark.speak(TEXT, seed=1, max_duration=1).samples)
    assert not np.array_equal(first.samples, second.samples)


def test_a_deep_health_check_really_speaks(bark: BarkClient) -> None:
    health = bark.health(deep=True)
    assert health.ok and health.canary_seconds is not None and health.canary_seconds > 0
