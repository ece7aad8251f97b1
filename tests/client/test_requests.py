"""What is asked, and what comes back when all goes well."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bark_client import BarkClient, InvalidRequest, ServerError, Voice
from tests.client.fake_triton import CHUNK, SAMPLE_RATE, FakeTriton, garble, say_nothing, speak_in_pieces

ARRAYS = {
    "semantic_prompt": np.arange(20),
    "coarse_prompt": np.ones((2, 30), dtype=np.int64),
    "fine_prompt": np.full((8, 30), 3, dtype=np.int16),
}


def test_speech_has_all_the_audio_in_order_and_the_servers_account(client: Any) -> None:
    speech = client.speak("One. Two. Three.", seed=7)
    assert speech.samples.dtype == np.float32
    assert speech.samples.shape == (3 * CHUNK,)
    loudness = np.abs(speech.samples).reshape(3, CHUNK).max(axis=1)
    np.testing.assert_allclose(loudness, [0.25, 0.5, 0.75], atol=0.01)
    assert (speech.sample_rate, speech.seed, speech.text) == (SAMPLE_RATE, 7, "One. Two. Three.")
    assert speech.seconds == pytest.approx(0.3)
    assert speech.sentence_starts == pytest.approx((0.0, 0.1, 0.2))
    assert list(speech.timings.stages) == ["semantic", "coarse", "fine", "encodec_decode"]
    coarse, fine = speech.timings.stages["coarse"], speech.timings.stages["fine"]
    assert (coarse.seconds, coarse.calls, coarse.count, coarse.unit) == (4.0, 15, 900, "tokens")
    assert (fine.count, fine.unit) == (450, "frames")
    assert speech.timings.real_time_factor == pytest.approx(6.0 / 0.3)
    assert speech.timings.first_audio_seconds == 2.5
    assert speech.warnings == ()
    assert speech.tokens is None


def test_a_seed_that_was_not_given_is_the_one_the_server_drew(client: Any) -> None:
    assert client.speak("Hello.").seed == 4711


def test_a_seed_of_64_bits_survives_the_way_there_and_back(client: Any) -> None:
    assert client.speak("Hello.", seed=2**64 - 1).seed == 2**64 - 1


def test_beside_what_was_given_a_request_asks_for_a_stream_only(client: Any, triton: FakeTriton) -> None:
    client.speak("Hello.", voice=None, seed=None, top_k=None, semantic_temperature=None, return_tokens=None)
    assert triton.requests == [{"text": b"Hello.", "stream": True}]


def test_every_option_arrives_as_the_tensor_of_its_name(client: Any, triton: FakeTriton) -> None:
    options = {
        "semantic_temperature": 0,
        "coarse_temperature": 0.5,
        "fine_temperature": np.float32(0.25),
        "top_k": 50,
        "top_p": 0.75,
        "min_eos_p": 0.125,
        "coarse_history": 630,
        "coarse_window": np.int64(60),
        "fine_padding": False,
        "max_duration": 14,
        "markdown": False,
        "fold_signs": False,
        "spell_numbers": True,
        "split_sentences": False,
        "chain_sentences": True,
        "one_speaker": False,
        "retries": 1,
        "return_tokens": True,
    }
    words = {"language": "de", "speed": "fast", "latency": "low", "on_failure": "skip"}
    client.speak("Grüße.", seed=3, voice="v2/en_speaker_6", **words, **options)
    (sent,) = triton.requests
    assert sent.pop("text") == "Grüße.".encode()
    assert sent.pop("stream")
    assert sent.pop("voice") == b"v2/en_speaker_6"
    assert sent.pop("seed") == 3
    assert {name: sent.pop(name).decode() for name in words} == words
    assert sent == options
    assert {name: value.dtype.name for name, value in sent.items()} == {
        **dict.fromkeys(options, "float32"),
        **dict.fromkeys(["top_k", "coarse_history", "coarse_window", "retries"], "int32"),
        **dict.fromkeys(
            [
                "fine_padding",
                "markdown",
                "fold_signs",
                "spell_numbers",
                "split_sentences",
                "chain_sentences",
                "one_speaker",
                "return_tokens",
            ],
            "bool",
        ),
    }


@pytest.mark.parametrize("form", ["voice", "mapping", "path", "string"])
def test_a_voice_of_arrays_arrives_in_whatever_form_it_was_given(
    client: Any, triton: FakeTriton, tmp_path: Path, form: str
) -> None:
    path = Voice.from_arrays(ARRAYS).save(tmp_path / "me.npz")
    forms = {"voice": Voice(**ARRAYS), "mapping": ARRAYS, "path": path, "string": str(path)}
    client.speak("Hello.", voice=forms[form])
    (sent,) = triton.requests
    assert "voice" not in sent
    for name, array in ARRAYS.items():
        assert sent[name].dtype == np.int32
        np.testing.assert_array_equal(sent[name], array)


def test_tokens_that_were_asked_for_are_a_voice_for_the_next_request(client: Any, triton: FakeTriton) -> None:
    speech = client.speak("Hello.", return_tokens=True)
    client.speak("And on.", voice=speech.as_voice())
    np.testing.assert_array_equal(triton.requests[1]["semantic_prompt"], np.arange(9))
    assert triton.requests[1]["fine_prompt"].shape == (8, 13)


def test_tokens_that_were_not_asked_for_are_missed_with_the_remedy(client: Any) -> None:
    with pytest.raises(InvalidRequest, match="return_tokens=True"):
        client.speak("Hello.").as_voice()


def test_the_servers_warnings_come_along(client: Any) -> None:
    assert client.speak("Hello.", max_duration=14.0).warnings == ("sentence 1 was cut at 14 s [max_duration]",)


def test_a_stream_gives_chunk_after_chunk_and_then_the_whole(client: Any) -> None:
    with client.stream("One. Two.") as stream:
        first = next(stream)
        assert (first.sentence, first.sentences, first.last, first.sample_rate) == (0, 2, False, SAMPLE_RATE)
        assert first.samples.size == CHUNK
        with pytest.raises(InvalidRequest, match="isn't complete"):
            _ = stream.speech
        assert [(chunk.sentence, chunk.last) for chunk in stream] == [(1, True)]
    assert stream.speech.samples.size == 2 * CHUNK
    assert len(stream.chunks) == 2


def test_a_client_may_keep_no_audio_and_still_tell_what_was_spoken(
    connect: Callable[..., Any], triton: FakeTriton
) -> None:
    client = connect(triton.url, keep_audio=False)
    with client.stream("It is cold. It is late.") as stream:
        read = [weakref.ref(chunk) for chunk in stream]
    gc.collect()
    assert [one() for one in read] == [None, None]
    assert stream.summary.seconds == pytest.approx(2 * CHUNK / SAMPLE_RATE)
    assert [piece.text for piece in stream.summary.pieces] == ["It is cold.", "It is late."]
    for name in ("speech", "chunks"):
        with pytest.raises(InvalidRequest, match="keep_audio"):
            getattr(stream, name)
    assert client.speak("One. Two.").samples.size == 2 * CHUNK


def test_speech_of_nothing_is_empty_with_a_warning_and_no_crash(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(say_nothing)
    speech = client.speak("Hm.", return_tokens=True)
    assert (speech.samples.size, speech.tokens, speech.timings.first_audio_seconds) == (0, None, None)
    assert speech.warnings == ("it ended before it began",)
    with pytest.raises(InvalidRequest, match="nothing was spoken"):
        speech.as_voice()


def test_sentences_of_several_chunks_start_where_their_first_does(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(speak_in_pieces)
    speech = client.speak("One. Two.")
    assert speech.samples.size == 4 * CHUNK
    assert speech.sentence_starts == pytest.approx((0.0, 0.2))


def test_chunks_cannot_be_changed_behind_the_back_of_the_whole(client: Any) -> None:
    with client.stream("One.") as stream:
        for chunk in stream:
            with pytest.raises(ValueError, match="read-only"):
                chunk.samples[:] = 0
    stream.speech.samples[:] = 0  # the whole is a copy, the caller's own


def test_a_stream_outside_its_with_block_says_how_it_is_used(client: Any) -> None:
    with pytest.raises(RuntimeError, match="with"):
        next(client.stream("One."))


def test_headers_reach_the_server(connect: Callable[..., Any], triton: FakeTriton) -> None:
    connect(triton.url, headers={"Authorization": "Bearer x"}).speak("Hello.")
    assert triton.metadata[0]["authorization"] == "Bearer x"


@pytest.mark.parametrize("headers", [{"who?": "me"}, {"": "me"}, {"who": "Zoë"}, {"who": "me\n"}, {"who-bin": "me"}])
def test_headers_that_cannot_be_sent_are_refused(connect: Callable[..., Any], headers: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="headers: "):
        connect("localhost:1", headers=headers)


def test_a_garbled_answer_is_the_servers_fault_and_not_a_crash(client: Any, triton: FakeTriton) -> None:
    triton.plan.append(garble)
    with pytest.raises(ServerError, match="can't be read"):
        client.speak("Hello.")


def test_one_client_serves_many_threads(triton: FakeTriton) -> None:
    with BarkClient(triton.url) as client, ThreadPoolExecutor(8) as pool:
        speeches = list(pool.map(lambda seed: client.speak("One. Two.", seed=seed), range(24)))
    assert [speech.seed for speech in speeches] == list(range(24))
    assert {speech.samples.size for speech in speeches} == {2 * CHUNK}


def test_finished_streams_leave_no_threads_behind(triton: FakeTriton) -> None:
    with BarkClient(triton.url) as client:
        for _ in range(10):
            with client.stream("One. Two. Three.") as stream:
                next(stream)
        for thread in threading.enumerate():
            if thread.name == "bark-stream":
                thread.join(timeout=5)
        assert not [thread for thread in threading.enumerate() if thread.name == "bark-stream"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"text": ""}, "text: empty"),
        ({"text": " \n\t"}, "text: empty"),
        ({"text": b"bytes"}, "text: expected str, not bytes"),
        ({"text": "x", "seed": -1}, "seed: -1 is outside"),
        ({"text": "x", "seed": 2**64}, "seed: 18446744073709551616 is outside"),
        ({"text": "x", "seed": 1.5}, "seed: expected an integer, not float"),
        ({"text": "x", "seed": True}, "seed: expected an integer, not bool"),
        ({"text": "x", "top_k": 2.0}, "top_k: expected an integer"),
        ({"text": "x", "top_k": 2**31}, "top_k: 2147483648 is outside"),
        ({"text": "x", "top_p": "high"}, "top_p: expected a finite number"),
        ({"text": "x", "semantic_temperature": float("nan")}, "semantic_temperature: expected a finite number"),
        ({"text": "x", "top_p": float("-inf")}, "top_p: expected a number from -3.4e"),
        ({"text": "x", "top_p": 1e39}, "top_p: expected a number from -3.4e"),
        ({"text": "x", "top_p": 10**400}, "top_p: expected a number from -3.4e"),
        ({"text": "x", "language": 7}, "language: expected str"),
        ({"text": "x", "return_tokens": 1}, "return_tokens: expected True or False"),
        ({"text": "x", "semantic_temprature": 1.0}, "did you mean semantic_temperature"),
        ({"text": "x", "speed": "quick"}, "speed: expected 'exact' or 'fast', not 'quick'"),
        ({"text": "x", "zeal": 1.0}, "zeal: no such option; the options are language, markdown"),
        ({"text": "x", "voice": " "}, "voice: the name is empty"),
        ({"text": "x", "voice": 6}, "voice: expected a name"),
        ({"text": "x", "voice": "missing.npz"}, "missing.npz: no such file"),
        ({"text": "x", "voice": {"semantic_prompt": [1]}}, "missing: coarse_prompt, fine_prompt"),
        ({"text": "x", "timeout": 0}, "expected seconds above 0"),
        ({"text": "x", "timeout": "soon"}, "expected seconds above 0"),
        ({"text": "x", "answer_timeout": float("inf")}, "expected seconds above 0"),
    ],
)
def test_plain_mistakes_are_found_before_anything_is_sent(
    client: Any, triton: FakeTriton, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        client.speak(**arguments)
    assert triton.requests == []


@pytest.mark.parametrize("url", ["http://localhost:8000", "localhost", ":8001", "localhost:grpc", ""])
def test_an_address_that_is_none_is_refused_with_an_example(connect: Callable[..., Any], url: str) -> None:
    with pytest.raises(InvalidRequest, match="localhost:8001"):
        connect(url)


def test_ipv6_addresses_are_addresses(connect: Callable[..., Any]) -> None:
    assert not connect("[::1]:1", connect_timeout=0.1).health().live
