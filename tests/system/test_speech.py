"""What a client sees of every server, with any profile and any weights.

`make test` runs it against a server of its own on the CPU, ``make test-server URL=host:port`` against a running one.
What needs known weights, or the same bits in every batch (which a GPU does not promise), is in `test_exactness`.
"""

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

TEXT = "Hello world, how are you?"
GREEDY: dict[str, Any] = {"semantic_temperature": 0.0, "coarse_temperature": 0.0, "fine_temperature": 0.0}


@pytest.fixture
def bark(server_url: str) -> Iterator[BarkClient]:
    with BarkClient(server_url, timeout=300) as client:
        yield client


def tokens_of(speech: Speech) -> list[np.ndarray]:
    assert speech.tokens is not None
    return [speech.tokens.semantic_prompt, speech.tokens.coarse_prompt, speech.tokens.fine_prompt]


@pytest.mark.parametrize("how", [{}, GREEDY, {"top_k": 50, "top_p": 0.9}], ids=["sampled", "greedy", "top"])
def test_the_same_request_says_the_same_again(bark: BarkClient, how: dict[str, Any]) -> None:
    one, again = (bark.speak(TEXT, seed=5, max_duration=2, return_tokens=True, **how) for _ in range(2))
    for first, second in zip(tokens_of(one), tokens_of(again), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.samples, again.samples)
    assert 0 < one.seconds <= 2.1 and np.isfinite(one.samples).all() and np.abs(one.samples).max() > 0


def test_other_seeds_say_it_otherwise_and_the_servers_own_are_reported(bark: BarkClient) -> None:
    speeches = [bark.speak(TEXT, seed=seed, max_duration=1) for seed in (1, 2, None)]
    assert len({speech.samples.tobytes() for speech in speeches}) == 3
    assert [speech.seed for speech in speeches[:2]] == [1, 2]
    again = bark.speak(TEXT, seed=speeches[2].seed, max_duration=1)
    np.testing.assert_array_equal(again.samples, speeches[2].samples)


def test_tokens_come_aligned_and_in_range(bark: BarkClient) -> None:
    speech = bark.speak(TEXT, seed=6, max_duration=3, return_tokens=True)
    semantic, coarse, fine = tokens_of(speech)
    frames = fine.shape[1]
    np.testing.assert_array_equal(coarse, fine[: len(coarse)])
    assert len(speech.samples) % frames == 0 and speech.seconds == pytest.approx(frames / 75, abs=0.05)
    assert len(semantic) / frames == pytest.approx(49.9 / 75, abs=0.05)
    assert min(semantic.min(), fine.min()) >= 0 and fine.max() < 1024


def test_a_stream_joins_to_what_one_answer_holds(bark: BarkClient) -> None:
    with bark.stream(TEXT, seed=3, split_sentences=False) as stream:
        chunks = list(stream)
    whole = bark.speak(TEXT, seed=3, split_sentences=False)
    np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), whole.samples)
    assert whole.sample_rate == 24_000 and set(whole.timings.stages) == {"semantic", "coarse", "fine", "encodec_decode"}


def test_sentences_stream_in_order(bark: BarkClient) -> None:
    text = "One sentence begins right here. Another one follows it! Is there a third one?"
    with bark.stream(text, seed=3, max_duration=2, min_eos_p=1.0) as stream:
        places = [chunk.sentence for chunk in stream]
    assert places == sorted(places) and set(places) == {0, 1, 2}


def test_many_clients_at_once_are_all_served(bark: BarkClient) -> None:
    count = 48  # more than a server runs at once, each of several coarse windows
    with ThreadPoolExecutor(count) as pool:
        speeches = list(pool.map(lambda seed: bark.speak(TEXT, seed=seed, max_duration=2), range(count)))
    assert all(speech.seconds <= 2.1 for speech in speeches)
    assert len({speech.samples.tobytes() for speech in speeches}) == count


def test_the_first_of_the_servers_voices_speak_each_in_its_own_way(bark: BarkClient) -> None:
    names = [voice.name for voice in bark.voices()][:3]
    if not names:
        pytest.skip("this server has no voices")
    spoken = [bark.speak(TEXT, voice=name, seed=1, max_duration=1) for name in [None, *names]]
    assert len({speech.samples.tobytes() for speech in spoken}) == len(spoken)


def test_a_generation_is_a_voice_for_the_next(bark: BarkClient) -> None:
    first = bark.speak(TEXT, seed=1, return_tokens=True, max_duration=4)
    one, again = (bark.speak(TEXT, voice=first.as_voice(), seed=2, max_duration=2) for _ in range(2))
    plain = bark.speak(TEXT, seed=2, max_duration=2)
    np.testing.assert_array_equal(one.samples, again.samples)
    assert not np.array_equal(one.samples, plain.samples)


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
        ({"voice": {**ARRAYS, "semantic_prompt": np.ones(400, np.int32)}}, "the same time"),
        ({"semantic_temperature": -1.0}, "semantic_temperature -1.0 is out of range"),
        ({"top_p": 2.0}, "top_p 2.0 is out of range"),
        ({"min_eos_p": 0.0}, "min_eos_p 0.0 is out of range"),
        ({"coarse_history": 10}, "coarse_history 10 is out of range: 60 to 630"),
        ({"coarse_window": 500}, "coarse_window 500 is out of range"),
        ({"max_duration": -1.0}, "max_duration -1.0 is out of range"),
        ({"piece_duration": 100.0}, "piece_duration 100 s is out of range"),
        ({"sentence_pause": -0.5}, "sentence_pause -0.5 is out of range"),
        ({"paragraph_pause": 11.0}, "paragraph_pause 11.0 is out of range"),
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
def test_bad_text_is_refused_by_the_server_itself(server_url: str, text: bytes, message: str) -> None:
    error = stream_error(server_url, {"text": np.array([text], np.object_)})
    assert error.startswith("[INVALID_ARGUMENT] ") and message in error and "Traceback" not in error


def test_a_text_is_prepared_and_what_was_done_to_it_is_told(bark: BarkClient) -> None:
    speech = bark.speak("Hello 😀 there.", seed=1, max_duration=1, language="en-US")
    assert [warning for warning in speech.warnings if "😀" in warning and "left out" in warning]
    plain = bark.speak("Hello there.", seed=1, max_duration=1, language="en")
    np.testing.assert_array_equal(speech.samples, plain.samples)
    with pytest.raises(InvalidRequest, match="text holds nothing to say"):
        bark.speak("?! …")
    with pytest.raises(InvalidRequest, match="language 'xx' is none that this checkpoint speaks; it speaks en"):
        bark.speak("Hello.", language="xx")


def silences(samples: np.ndarray, *, least: int = 200) -> list[int]:
    """Lengths of the runs of zeros, from `least` samples on."""
    silent = np.flatnonzero(samples == 0)
    runs = np.split(silent, np.flatnonzero(np.diff(silent) > 1) + 1)
    return [len(run) for run in runs if len(run) >= least]


def test_pauses_are_silence_of_that_length(bark: BarkClient) -> None:
    text = "[pause 100ms] Hello there my friend, [Pause 0.5s] how are you today?\n\nI am fine, thank you. [pause 1s]"
    with bark.stream(text, seed=1, max_duration=1, paragraph_pause=0.25) as stream:
        streamed = np.concatenate([chunk.samples for chunk in stream])
    assert silences(streamed) == [2_400, 12_000, 6_000, 24_000]
    whole = bark.speak(text, seed=1, max_duration=1, paragraph_pause=0.25)
    np.testing.assert_array_equal(streamed, whole.samples)
    assert whole.seconds == pytest.approx(len(streamed) / 24_000)


def test_pieces_meet_without_a_click(bark: BarkClient) -> None:
    with bark.stream(
        "Hello there, my dear old friend! How are you doing these days?", seed=1, max_duration=1
    ) as stream:
        chunks = list(stream)
    first, second = (np.concatenate([one.samples for one in chunks if one.sentence == number]) for number in (0, 1))
    assert abs(first[-1]) < 0.01 and abs(second[0]) < 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pause 11s] Hello.", "'[pause 11s]' is too long: a pause has at most 10 s."),
        ("[pause -1s] Hello.", "'[pause -1s]' is no pause: write [pause], [pause 0.5s] or [pause 500ms]."),
        ("Hello. [pause 9s]" * 40, "the pauses of the text add up to 360 s; the limit is 300 s"),
        ("[voice:joe [pause]] Hello.", "'[voice:joe ' is not closed: write ] before the next [."),
        ("[voice:nobody-at-all] Hello.", "there is no voice 'nobody-at-all'"),
        ("[voice:../../etc/passwd] Hello.", "no voice name"),
        ("".join(f"[voice:v{n}] Hello." for n in range(33)), "the text names 33 voices; the limit is 32"),
        ("[pause 1s]" * 2, "text holds nothing to say"),
    ],
)
def test_a_wrong_tag_is_refused_in_one_sentence(bark: BarkClient, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        bark.speak(text, seed=1)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_thousands_of_tags_are_spoken(bark: BarkClient) -> None:
    text = "Hello. " + "[pause 0.01s] [voice] " * 800 + "Bye."
    speech = bark.speak(text, seed=1, max_duration=0.5)
    assert silences(speech.samples) == [8 * 24_000]


@pytest.mark.parametrize(("name", "hint"), [("temperature", "_temperature"), ("seeed", "did you mean seed")])
def test_a_parameter_that_nothing_reads_is_refused(server_url: str, name: str, hint: str) -> None:
    error = stream_error(server_url, {"text": np.array([b"Hi."], np.object_)}, parameters={name: 1})
    assert error.startswith(f"[INVALID_ARGUMENT] parameter {name} is unknown: ") and hint in error


def test_a_server_still_speaks_after_many_refused_requests(bark: BarkClient, server_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:  # side by side: requests begin while others end
        said = pool.map(lambda _: stream_error(server_url, {"text": np.array([b" "], np.object_)}), range(600))
        assert all("[INVALID_ARGUMENT]" in one for one in said)
    assert bark.speak("Still there.", seed=1, max_duration=0.5).seconds > 0.2


def stream_error(server_url: str, inputs: dict[str, np.ndarray], *, parameters: dict[str, Any] | None = None) -> str:
    """The server's own answer to a request that our client refuses to send."""
    answers: queue.Queue[str] = queue.Queue()
    with grpcclient.InferenceServerClient(server_url) as client:
        client.start_stream(lambda result, error: answers.put(error.message() if error else f"answered: {result}"))
        tensors = [grpcclient.InferInput(name, array.shape, "BYTES") for name, array in inputs.items()]
        for tensor, array in zip(tensors, inputs.values(), strict=True):
            tensor.set_data_from_numpy(array)
        client.async_stream_infer("bark", tensors, parameters=parameters)
        message = answers.get(timeout=30)
        client.stop_stream(cancel_requests=True)
    return message


def finished(server_url: str, model: str) -> int:
    with grpcclient.InferenceServerClient(server_url) as client:
        return int(client.get_inference_statistics(model).model_stats[0].inference_count)


def busy(server_url: str) -> tuple[int, ...]:
    """Requests that each stage has finished so far."""
    return tuple(finished(server_url, stage) for stage in ("semantic", "coarse", "fine"))


def settle(server_url: str) -> tuple[int, ...]:
    """Wait until the server's statistics show no finished request of any stage for half a second."""
    before = busy(server_url)
    for _ in range(40):
        time.sleep(0.5)
        after = busy(server_url)
        if after == before:
            return after
        before = after
    pytest.fail("the stages were still at work after 20 seconds")


LONG = " ".join(f"This is sentence number {n}." for n in range(60))


def test_a_cancelled_request_frees_its_stages(bark: BarkClient, server_url: str) -> None:
    before = settle(server_url)
    with bark.stream(LONG, seed=1, min_eos_p=1.0) as stream:
        next(iter(stream))
    assert settle(server_url)[0] - before[0] < 60, "every sentence was spoken all the same"
    assert bark.speak("Free again.", seed=1, max_duration=0.5).seconds > 0.2


def test_a_client_that_dies_frees_its_stages(bark: BarkClient, server_url: str) -> None:
    before = settle(server_url)
    code = f"""
from bark_client import BarkClient
with BarkClient({server_url!r}) as bark, bark.stream({LONG!r}, seed=1, min_eos_p=1.0) as stream:
    for chunk in stream:
        print(chunk.seconds, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None and client.stdout.readline()
        client.kill()
    assert settle(server_url)[0] - before[0] < 60, "every sentence was spoken all the same"
    assert bark.speak("Free again.", seed=1, max_duration=0.5).seconds > 0.2


def test_a_request_that_runs_out_of_time_frees_its_stages(bark: BarkClient, server_url: str) -> None:
    before = settle(server_url)
    with pytest.raises(RequestTimeout):
        bark.speak(LONG, seed=1, min_eos_p=1.0, timeout=2)
    assert settle(server_url)[0] - before[0] < 60


def test_sync_and_async_clients_get_the_same(bark: BarkClient, server_url: str) -> None:
    async def speak() -> list[Speech]:
        async with AsyncBarkClient(server_url) as client:
            alone = await client.speak(TEXT, seed=1, max_duration=1)
            return [alone, *await asyncio.gather(*(client.speak(TEXT, seed=seed, max_duration=1) for seed in (2, 3)))]

    first, *others = asyncio.run(speak())
    np.testing.assert_array_equal(first.samples, bark.speak(TEXT, seed=1, max_duration=1).samples)
    assert len({speech.samples.tobytes() for speech in (first, *others)}) == 3


def test_a_deep_health_check_really_speaks(bark: BarkClient) -> None:
    health = bark.health(deep=True)
    assert health.ok and health.canary_seconds is not None and health.canary_seconds > 0
