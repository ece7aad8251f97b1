"""Low latency over stages that are plain functions: what is asked of them, in which order, and what comes out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_serving.errors import SpeechFailed
from bark_serving.speech.job import Answer
from bark_serving.speech.stage_capabilities import BuiltIn, StageCapabilities
from tests.fake_stages import SPEC, THREE, Stages, audio_of, make, request_of, summary_of

LENGTH = 400  #: semantic tokens of a sentence: 8 s
NOBODY = Path("nowhere")


class LongWinded(Stages):
    """Its sentences have ``length`` semantic tokens."""

    def __init__(self, length: int = LENGTH) -> None:
        super().__init__()
        self.length = length

    def semantic(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._tokens(self.slice_of(np.arange(self.length), inputs))

    def sent(self, model: str, name: str) -> list[Any]:
        """What was sent to a model under this name, or None."""
        return [inputs[name].item() if name in inputs else None for seen, inputs in self.seen if seen == model]


def speak(stages: Stages, text: str = "One.", *, capabilities: StageCapabilities | None = None, **inputs: Any) -> Any:
    async def collect() -> list[Answer]:
        orchestrator = make(stages, NOBODY, capabilities=capabilities)
        request = request_of(text, **{"seed": 1, "latency": "low", "speed": "fast", "return_tokens": True, **inputs})
        return [answer async for answer in orchestrator.speak(request, request_id="r")]

    return asyncio.run(collect())


def tokens_of(answers: Sequence[Answer]) -> Any:
    tokens = answers[-1].tokens
    assert tokens is not None
    return tokens


def test_audio_leaves_in_growing_chunks_of_the_whole_sentence() -> None:
    answers = speak(LongWinded())
    assert [len(answer.audio) // 320 for answer in answers] == [30, 60, 120, 188, 203]
    (whole,) = speak(LongWinded(), stream=False)
    np.testing.assert_array_equal(audio_of(answers), whole.audio)


def test_semantic_tokens_are_those_of_one_call() -> None:
    low, normal = (tokens_of(speak(LongWinded(), latency=latency)) for latency in ("low", "normal"))
    np.testing.assert_array_equal(low.semantic, normal.semantic)
    assert low.fine.shape == normal.fine.shape == (8, 601)
    np.testing.assert_array_equal(low.fine[:2], low.coarse)


def test_first_audio_leaves_when_only_its_own_tokens_are_made() -> None:
    stages = LongWinded()
    at_first_audio: list[list[str]] = []
    stages.before = lambda model, _inputs: (
        at_first_audio.append([name for name, _ in stages.seen]) if model == "encodec_decode" else None
    )
    speak(stages)
    assert at_first_audio[0] == ["semantic", "coarse", *["fine"] * 6, "encodec_decode"]
    assert stages.sent("semantic", "request_output_len")[0] == 26 + 50, "its tokens, and a second to look ahead"


def test_slices_go_on_from_a_row_that_the_last_one_frees() -> None:
    stages = LongWinded()
    speak(stages)
    counts, first = stages.sent("semantic", "request_output_len"), stages.sent("semantic", "first_step")
    assert first == [0, *np.cumsum(counts[:-1]).tolist()]
    assert all(stages.sent("semantic", "hold"))
    assert stages.posted == [], "speech ended by itself: nothing waits"
    table = [inputs["input_ids"] for model, inputs in stages.seen if model == "semantic"]
    assert [prompt.shape[1] for prompt in table] == [257 + count for count in first]


def test_a_sentence_cut_at_its_limit_frees_its_row_with_the_last_slice() -> None:
    stages = LongWinded()
    speak(stages, max_duration=3.0)
    assert stages.sent("semantic", "hold")[-1] is False
    assert sum(stages.sent("semantic", "request_output_len")) == int(3 * 49.9) + 1


def test_leaving_between_slices_frees_the_held_row() -> None:
    stages = LongWinded()
    stages.before = lambda model, _inputs: asyncio.sleep(60) if model == "fine" else None

    async def leave() -> None:
        answers = make(stages, NOBODY).speak(request_of("One.", latency="low"), request_id="r")
        first = asyncio.ensure_future(anext(answers))
        while "fine" not in [model for model, _ in stages.seen]:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(leave())
    assert ("semantic", "r-semantic-0") in stages.posted


@given(length=st.integers(0, 768), seed=st.integers(0, 99), speed=st.sampled_from(["exact", "fast"]))
@settings(max_examples=25, deadline=None)
def test_samples_depend_on_the_seed_and_never_on_timing(length: int, seed: int, speed: str) -> None:
    def shaken(order: int) -> np.ndarray:
        stages, dice = LongWinded(length), random.Random(order)
        stages.before = lambda _model, _inputs: asyncio.sleep(dice.choice([0, 0, 0.001]))
        return audio_of(speak(stages, seed=seed, speed=speed))

    first = shaken(1)
    np.testing.assert_array_equal(first, shaken(2))
    (whole,) = speak(LongWinded(length), seed=seed, speed=speed, stream=False)
    np.testing.assert_array_equal(first, whole.audio)
    assert len(first) == int(length * SPEC.semantic_to_coarse / 2) * 320


def test_a_coarse_window_sees_no_token_beyond_its_lookahead() -> None:
    stages = LongWinded()
    speak(stages)
    prompts = [inputs["input_ids"][0, :256] for model, inputs in stages.seen if model == "coarse"]
    seen = [int((prompt != SPEC.coarse.semantic_pad).sum()) for prompt in prompts]
    assert seen[:3] == [76, 116, 196]


def test_draws_of_all_parts_have_seeds_of_their_own() -> None:
    stages = LongWinded()
    speak(stages)
    seeds = {model: stages.sent(model, "seed") for model in ("semantic", "coarse")}
    assert len(set(seeds["semantic"])) == 1 and len(set(seeds["coarse"])) == len(seeds["coarse"]) > 3
    numbers = [inputs["uniforms"][0, :4].tobytes() for model, inputs in stages.seen if model == "fine"]
    assert len(set(numbers)) == len(numbers) > 24


def test_a_voice_is_heard_by_every_stage() -> None:
    voice = {
        "semantic_prompt": np.arange(300, dtype=np.int32),
        "coarse_prompt": np.full((2, 450), 7, np.int32),
        "fine_prompt": np.full((8, 450), 7, np.int32),
    }
    stages = LongWinded()
    speak(stages, **voice)
    fine = next(inputs["codes"] for model, inputs in stages.seen if model == "fine")
    assert fine.shape[2] == 64 + 38 and (fine[0, :, :64] == 7).all(), "0.85 s of the voice, then the first chunk"
    coarse = next(inputs["input_ids"] for model, inputs in stages.seen if model == "coarse")
    assert coarse[0, 0] == 300 - 85, "the window begins with the end of the voice"


def test_a_sentence_without_speech_is_silent_and_warned_of() -> None:
    (answer,) = speak(LongWinded(0))
    assert len(answer.audio) == 0 and "has no audio" in summary_of([answer]).warnings[0]


def test_sentences_side_by_side_leave_in_order() -> None:
    answers = speak(LongWinded(), THREE)
    numbers = [answer.report.sentence for answer in answers]
    assert numbers == sorted(numbers) and set(numbers) == {0, 1, 2}


@pytest.mark.parametrize("stream", [True, False])
def test_a_piece_that_failed_is_reported_and_not_spoken_again(*, stream: bool) -> None:
    stages = LongWinded(768)  # it never ends by itself
    answers = speak(stages, stream=stream, retries=2)
    assert stages.sent("semantic", "first_step").count(0) == 1
    (piece,) = summary_of(answers).pieces
    assert (piece.verdict, piece.attempts) == ("cut", 1)
    with pytest.raises(SpeechFailed, match="it is cut; try another seed or another text, or leave out latency low"):
        speak(LongWinded(768), stream=stream, on_failure="error")


class Replaying(LongWinded):
    """A stage that knows the backend's own inputs only: it reads what was said from the prompt."""

    def semantic(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert {"first_step", "hold", "min_eos_p"}.isdisjoint(inputs)
        said = inputs["input_ids"].shape[1] - SPEC.semantic.prefill
        count = min(int(inputs["request_output_len"].item()), self.length - said)
        return self._tokens(np.arange(said, said + count))


def test_in_tensorrt_llm_the_prompt_of_a_slice_holds_all_before_it() -> None:
    stages = Replaying()
    built_in = BuiltIn(temperature=0.7, min_eos_p=0.2)
    capabilities = StageCapabilities(own_inputs=False, built_in=built_in, whole_windows=True)
    answers = speak(stages, capabilities=capabilities, fine_padding=True)
    np.testing.assert_array_equal(tokens_of(answers).semantic, np.arange(LENGTH))
    assert {inputs["codes"].shape[2] for model, inputs in stages.seen if model == "fine"} == {SPEC.fine.window}
    seeds = stages.sent("semantic", "seed")
    assert len(set(seeds)) == len(seeds) > 3, "its random numbers begin anew with every request"
    assert stages.posted == []
