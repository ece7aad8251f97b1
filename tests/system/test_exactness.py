"""A server of known weights: the oracle's tokens, the same speech for the same seed in any batch, every voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from bark_client import BarkClient, Speech
from bark_serving.speech.request import fast_options
from reference import suno as oracle
from tests.system.conftest import RealServer
from tests.system.test_speech import GREEDY, TEXT, tokens_of


@pytest.fixture
def bark(triton: RealServer) -> Iterator[BarkClient]:
    with BarkClient(triton.url, timeout=120) as client:
        yield client


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


@pytest.mark.parametrize("voice", [None, "v2/en_speaker_6"])
def test_without_padding_only_the_fine_stage_says_something_else(bark: BarkClient, voice: str | None) -> None:
    padded, short = (
        bark.speak(TEXT, voice=voice, seed=7, max_duration=2, return_tokens=True, fine_padding=padding)
        for padding in (True, False)
    )
    (semantic, coarse, fine), (same_semantic, same_coarse, other) = tokens_of(padded), tokens_of(short)
    np.testing.assert_array_equal(semantic, same_semantic)
    np.testing.assert_array_equal(coarse, same_coarse)
    assert fine.shape == other.shape and not np.array_equal(fine, other)
    assert len(padded.samples) == len(short.samples)


def test_fast_is_the_long_windows_and_no_padding_of_this_checkpoint(bark: BarkClient, triton: RealServer) -> None:
    options = fast_options(triton.bundle.spec)
    fast, spelt_out = (
        bark.speak(TEXT, seed=7, max_duration=4, return_tokens=True, **one) for one in ({"speed": "fast"}, options)
    )
    assert fast.samples.tobytes() == spelt_out.samples.tobytes() and fast.seconds > 2
    exact = bark.speak(TEXT, seed=7, max_duration=4, return_tokens=True)
    assert np.array_equal(tokens_of(fast)[0], tokens_of(exact)[0])
    assert not np.array_equal(tokens_of(fast)[1], tokens_of(exact)[1])


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


def test_sentences_side_by_side_stream_in_order_what_one_answer_holds(bark: BarkClient) -> None:
    text = "One sentence begins right here. Another one follows it! Is there a third one?"
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


def test_chained_sentences_differ_from_separate_ones(bark: BarkClient) -> None:
    text = "One sentence begins right here. Another one follows it!"
    how: dict[str, Any] = {"seed": 3, "max_duration": 2, "return_tokens": True, "one_speaker": False}
    apart = bark.speak(text, **how)
    chained = bark.speak(text, chain_sentences=True, **how)
    first = round(apart.pieces[0].seconds * 49.9)
    assert first > 10
    assert np.array_equal(tokens_of(apart)[0][:first], tokens_of(chained)[0][:first])
    assert not np.array_equal(tokens_of(apart)[0], tokens_of(chained)[0])


@pytest.mark.parametrize("order", [1, -1])
def test_each_voice_of_a_text_says_what_it_says_alone(bark: BarkClient, order: int) -> None:
    first, second = ["v2/en_speaker_6", "v2/de_speaker_3"][::order]
    alone = bark.speak("Hello there.", voice=first, seed=3, max_duration=1).samples
    text = f"[voice:{first}] Hello there. [Voice : {second} ] Hello there."
    with bark.stream(text, seed=3, max_duration=1, language="en") as stream:
        chunks = list(stream)
    assert [chunk.sentence for chunk in chunks] == [0, 1]
    fade = 120
    np.testing.assert_array_equal(chunks[0].samples[:-fade], alone[:-fade])


def languages(names: Sequence[str]) -> set[str]:
    """The languages of Suno's speakers: two letters, as in ``v2/en_speaker_6``."""
    return {name.removeprefix("v2/")[:2] for name in names if "_speaker_" in name}


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_the_271_voices_of_the_suno_package_speak(bark: BarkClient, every: int) -> None:
    """`every` 7th voice is from each language, of both versions, and of all ten numbers."""
    whole = sorted(voice.name for voice in bark.voices())
    names = whole[::every]
    assert len(whole) == 271 and languages(names) == languages(whole) and len(languages(names)) == 13

    def speak(name: str) -> Speech:
        return bark.speak("Hi.", voice=name, seed=1, max_duration=0.3, min_eos_p=1.0)

    with ThreadPoolExecutor(8) as pool:
        spoken = list(pool.map(speak, names))
    assert all(0 < speech.seconds <= 0.35 and np.isfinite(speech.samples).all() for speech in spoken)
    assert len({speech.samples.tobytes() for speech in spoken}) > len(names) * 260 / 271
