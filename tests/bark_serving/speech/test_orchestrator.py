"""The orchestrator over stages that are plain functions: order, streaming, seeds, cancelling, failures."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bark_serving.errors import InvalidRequest, StageFailed
from bark_serving.speech.stage_capabilities import BuiltIn, StageCapabilities
from tests.fake_stages import SPEC, THREE, Stages, Words, audio_of, make, request_of, speak, summary_of


def test_chunks_in_order_join_to_what_one_answer_holds(tmp_path: Path) -> None:
    chunks = speak(Stages(), tmp_path)
    (whole,) = speak(Stages(), tmp_path, stream=False)
    assert [chunk.report.sentence for chunk in chunks] == [0, 1, 2]
    assert [chunk.report.last for chunk in chunks] == [False, False, True]
    np.testing.assert_array_equal(audio_of(chunks), whole.audio)


def test_order_holds_when_a_later_sentence_is_ready_first(tmp_path: Path) -> None:
    stages, first = Stages(), []

    def slow_start(model: str, inputs: dict[str, np.ndarray]) -> Any:
        if model == "semantic" and not first:
            first.append(inputs)
            return asyncio.sleep(0.2)
        return None

    stages.before = slow_start
    np.testing.assert_array_equal(audio_of(speak(stages, tmp_path)), audio_of(speak(Stages(), tmp_path)))


def test_the_same_seed_says_the_same_and_another_does_not(tmp_path: Path) -> None:
    one, again, other = (audio_of(speak(Stages(), tmp_path, seed=seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_every_call_of_a_request_draws_from_a_seed_of_its_own(tmp_path: Path) -> None:
    stages = Stages()
    speak(stages, tmp_path)
    seeds = [inputs["seed"].item() for _, inputs in stages.seen if "seed" in inputs]
    assert len(seeds) == len(set(seeds)) == 3 + 3 * 2


def test_no_two_draws_of_the_fine_stage_share_a_number(tmp_path: Path) -> None:
    stages = Stages()
    speak(stages, tmp_path, text="One.")
    numbers = np.concatenate([inputs["uniforms"].reshape(-1) for model, inputs in stages.seen if model == "fine"])
    assert numbers.size == 6 * SPEC.fine.window
    # float32 has 2^24 numbers: a few of six thousand meet by chance, neighbouring codebooks once shared nearly all
    assert len(np.unique(numbers)) > numbers.size - 10


def test_a_fine_window_is_as_short_as_the_sentence_where_padding_is_off(tmp_path: Path) -> None:
    sizes, audio = [], []
    for padding in (True, False):
        stages = Stages()
        (answer,) = speak(stages, tmp_path, text="One.", fine_padding=padding)
        sizes.append({inputs["codes"].shape[-1] for model, inputs in stages.seen if model == "fine"})
        audio.append(len(answer.audio))
    assert sizes == [{SPEC.fine.window}, {45}], "30 semantic tokens are 45 frames"
    assert audio == [45 * 320] * 2


def test_the_last_report_has_stage_times_counts_and_seed(tmp_path: Path) -> None:
    answers = speak(Stages(), tmp_path, one_speaker=False)
    report, summary = answers[-1].report, summary_of(answers)
    assert summary.seed == 1 and report.sample_rate == 24_000 and report.sentences == 3
    assert {name: stage.calls for name, stage in summary.stages.items()} == {
        "semantic": 3,
        "coarse": 6,
        "fine": 18,
        "encodec_decode": 3,
    }
    assert [(stage.amount, stage.unit) for stage in summary.stages.values()] == [
        (90, "tokens"),
        (3 * 90, "tokens"),
        (3 * 1024, "frames"),
        (135, "frames"),
    ]
    assert summary.audio_seconds == pytest.approx(3 * 45 / 75)
    assert summary.first_audio_seconds is not None and 0 < summary.first_audio_seconds <= summary.seconds


def test_tokens_asked_for_are_a_voice_of_the_whole_text(tmp_path: Path) -> None:
    answers = speak(Stages(), tmp_path, return_tokens=True)
    assert all(answer.tokens is None for answer in answers[:-1])
    said = answers[-1].tokens
    assert said is not None
    assert said.semantic.shape == (90,) and said.coarse.shape == (2, 135) and said.fine.shape == (8, 135)
    np.testing.assert_array_equal(said.fine[:2], said.coarse)
    rerun = speak(Stages(), tmp_path, semantic_prompt=said.semantic, coarse_prompt=said.coarse, fine_prompt=said.fine)
    assert len(audio_of(rerun)) == 135 * 320


def test_chained_sentences_hear_the_one_before(tmp_path: Path) -> None:
    apart, chained = Stages(), Stages()
    speak(apart, tmp_path, one_speaker=False)
    speak(chained, tmp_path, chain_sentences=True)

    def histories(stages: Stages) -> list[bool]:
        prompts = [inputs["input_ids"] for model, inputs in stages.seen if model == "coarse"]
        return [prompt.shape[1] > 257 for prompt in prompts if prompt.shape[1] - 257 != 60]

    assert not any(histories(apart))
    assert sum(histories(chained)) >= 2


def test_audio_of_a_long_sentence_leaves_before_its_last_window(tmp_path: Path) -> None:
    class LongWinded(Stages):
        def semantic(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return self._tokens(np.arange(768))

    stages, decoded = LongWinded(), asyncio.Event()

    def hold_the_last_window_back(model: str, inputs: dict[str, np.ndarray]) -> Any:
        if model == "encodec_decode":
            decoded.set()
        calls = sum(name == "coarse" for name, _ in stages.seen)
        return asyncio.wait_for(decoded.wait(), 10) if model == "coarse" and calls == 39 else None

    stages.before = hold_the_last_window_back
    chunks = speak(stages, tmp_path, "Alone.")
    assert [len(chunk.audio) // 320 for chunk in chunks] == [512, 642]
    (whole,) = speak(LongWinded(), tmp_path, "Alone.", stream=False)
    np.testing.assert_array_equal(audio_of(chunks), whole.audio)
    assert "was cut at 15.4 s" in summary_of([whole]).warnings[0]


def test_a_sentence_without_speech_is_silent_and_warned_of(tmp_path: Path) -> None:
    class Mute(Stages):
        def semantic(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return self._tokens(np.empty(0, int))

    (answer,) = speak(Mute(), tmp_path, "Nothing.")
    assert len(answer.audio) == 0 and "has no audio" in summary_of([answer]).warnings[0]


def test_a_failing_stage_fails_its_request_with_the_reason(tmp_path: Path) -> None:
    stages = Stages()

    def break_second(model: str, inputs: dict[str, np.ndarray]) -> Any:
        if model == "coarse":
            raise StageFailed("the stub is gone")
        return None

    stages.before = break_second
    with pytest.raises(StageFailed, match="the stub is gone"):
        speak(stages, tmp_path)


def test_tags_become_silence_between_faded_pieces(tmp_path: Path) -> None:
    text = "[pause 250ms] Here the first sentence begins, [pause 0.5s] and goes on here. [pause 1s]"
    chunks = speak(Stages(), tmp_path, text)
    (whole,) = speak(Stages(), tmp_path, text, stream=False)
    audio = audio_of(chunks)
    np.testing.assert_array_equal(audio, whole.audio)
    spoken = 45 * 320
    assert len(audio) == 6_000 + spoken + 12_000 + spoken + 24_000
    assert not audio[:6_000].any() and not audio[-24_000:].any()
    assert not audio[6_000 + spoken : 18_000 + spoken].any()
    assert abs(audio[6_000]) < 0.01 and abs(audio[6_000 + spoken - 1]) < 0.01
    assert summary_of(chunks).audio_seconds == pytest.approx(len(audio) / 24_000)
    assert [chunk.report.last for chunk in chunks[-2:]] == [False, True]


def test_a_text_of_one_piece_is_not_faded(tmp_path: Path) -> None:
    plain = audio_of(speak(Stages(), tmp_path, "Here the first sentence begins."))
    tagged = audio_of(speak(Stages(), tmp_path, "Here the first sentence begins. [pause 1s]"))
    np.testing.assert_array_equal(tagged[: len(plain) - 120], plain[:-120])
    assert plain[-1] != tagged[len(plain) - 1]


def test_options_put_silence_between_sentences_and_before_paragraphs(tmp_path: Path) -> None:
    text = "Here the first sentence begins. Here comes the second one.\n\nHere begins a paragraph."
    lengths = [
        len(audio_of(speak(Stages(), tmp_path, text, **how))) / 24_000 - 3 * 45 / 75
        for how in ({}, {"paragraph_pause": 0.0}, {"sentence_pause": 0.5, "paragraph_pause": 2.0})
    ]
    assert lengths == pytest.approx([0.3, 0.0, 2.5])


def put_voice(folder: Path, name: str, *, token: int) -> None:
    """A voice whose semantic tokens are all the same."""
    codes = np.ones((8, 150), np.int32)
    arrays = {"semantic_prompt": np.full(100, token), "coarse_prompt": codes[:2], "fine_prompt": codes}
    np.savez(folder / f"{name}.npz", **arrays)


@pytest.mark.parametrize("chain", [False, True])
def test_each_voice_of_a_text_speaks_its_own_words(tmp_path: Path, *, chain: bool) -> None:
    put_voice(tmp_path, "joe", token=1)
    put_voice(tmp_path, "jo", token=2)
    stages = Stages()
    text = "I begin. [voice:joe] Joe speaks. [Voice : jo ] Jo speaks. [voice:joe] Joe again. [/voice] I end."
    speak(stages, tmp_path, text, chain_sentences=chain)
    prompts = [inputs["input_ids"][0] for model, inputs in stages.seen if model == "coarse"]
    heard = [[int(np.sum(prompt[:256] == token)) > 50 for token in (1, 2)] for prompt in prompts]
    assert sorted(heard) == sorted(2 * [[False, False], [True, False], [False, True], [True, False], [False, False]])


def test_an_unknown_voice_of_a_tag_is_refused_before_any_stage_runs(tmp_path: Path) -> None:
    put_voice(tmp_path, "joe", token=1)
    stages = Stages()
    with pytest.raises(InvalidRequest, match="there is no voice 'JOE'; did you mean 'joe'"):
        speak(stages, tmp_path, "Hello. [voice:JOE] Hello.")
    assert stages.seen == []


def test_an_unknown_voice_is_refused_before_any_stage_runs(tmp_path: Path) -> None:
    stages = Stages()
    with pytest.raises(InvalidRequest, match="there is no voice"):
        speak(stages, tmp_path, voice="nobody")
    assert stages.seen == []


def test_text_too_long_for_one_sentence_is_refused_unless_it_may_be_split(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="300 tokens; one sentence holds 256"):
        speak(Stages(), tmp_path, "w " * 300, split_sentences=False)
    assert len(speak(Stages(), tmp_path, "word " * 300)) > 2


@pytest.mark.parametrize("whole", [True, False])
def test_text_that_holds_nothing_to_speak_is_refused(tmp_path: Path, *, whole: bool) -> None:
    stages = Stages()
    with pytest.raises(InvalidRequest, match="text holds nothing to say"):
        speak(stages, tmp_path, "?! …", split_sentences=not whole)
    assert stages.seen == []


def test_what_was_done_to_a_text_comes_back_as_a_warning(tmp_path: Path) -> None:
    summary = summary_of(speak(Stages(), tmp_path, "One.\n?!\nTwo."))
    assert summary.warnings == ["nothing can be said for '?!': left out."]
    assert summary_of(speak(Stages(), tmp_path, "One.\nTwo.")).warnings == []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "25 cats’"),
        ({"markdown": False}, "- 25 cats’"),
        ({"spell_numbers": True}, "twenty-five cats’"),
        ({"spell_numbers": True, "language": "de-DE"}, "fünfundzwanzig cats’"),
    ],
)
def test_a_text_is_read_as_the_options_say(tmp_path: Path, how: dict[str, Any], said: str) -> None:
    vocabulary = Words()

    async def say() -> None:
        orchestrator = make(Stages(), tmp_path, vocabulary=vocabulary)
        async for _ in orchestrator.speak(request_of("- 25 cats’", **how), request_id="r"):
            pass

    asyncio.run(say())
    assert vocabulary.read[-1] == said


def test_leaving_early_stops_every_generation_under_way(tmp_path: Path) -> None:
    stages = Stages()
    stages.before = lambda model, _inputs: asyncio.sleep(60) if model == "coarse" else None

    async def leave() -> None:
        request = request_of(THREE, stream=False, one_speaker=False)
        answers = make(stages, tmp_path, max_batch=2).speak(request, request_id="r")
        first = asyncio.ensure_future(anext(answers))
        while len(stages.running) < 2:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert len(asyncio.all_tasks()) == 1, "a sentence is still running"

    asyncio.run(leave())
    assert sorted(stages.posted) == sorted(("coarse", request_id) for request_id in stages.running)
    assert len(stages.posted) == 2


def test_no_more_sentences_run_at_once_than_allowed(tmp_path: Path) -> None:
    stages, most = Stages(), []

    def count(model: str, inputs: dict[str, np.ndarray]) -> None:
        most.append(len(stages.running))

    stages.before = count
    speak(stages, tmp_path, " ".join(f"This is sentence number {n} of 12." for n in range(12)))
    assert max(most) <= 4


class Server(Stages):
    """Takes ``calls`` at once. Its one row of the coarse stage stays with a sentence from window to window."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.slots, self.row, self.owner = asyncio.Semaphore(calls), asyncio.Lock(), ""

    async def call(
        self, model: str, inputs: dict[str, np.ndarray], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, np.ndarray]:
        async with self.slots:
            if model == "coarse" and self.owner != request_id:
                await self.row.acquire()
                self.owner = request_id
            answer = await super().call(model, inputs, outputs, request_id=request_id)
            if model == "coarse" and not inputs["hold"].item():
                self.owner = ""
                self.row.release()
            return answer


def test_sentences_that_have_begun_never_wait_for_others_that_have_not(tmp_path: Path) -> None:
    async def all_at_once() -> int:
        server = Server(calls=6)
        orchestrator = make(server, tmp_path, max_batch=2)
        requests = [
            request_of("Here the first sentence begins. Here comes the last one.", seed=seed) for seed in range(10)
        ]

        async def said(number: int) -> int:
            answers = orchestrator.speak(requests[number], request_id=f"r{number}")
            return len([answer async for answer in answers])

        return sum(await asyncio.gather(*(said(number) for number in range(10))))

    assert asyncio.run(asyncio.wait_for(all_at_once(), timeout=30)) == 20


def test_greedy_is_top_k_one_in_the_stage_contract(tmp_path: Path) -> None:
    stages = Stages()
    speak(stages, tmp_path, semantic_temperature=0.0, coarse_temperature=0.5, top_k=7)
    sent = dict(stages.seen)
    assert (sent["semantic"]["runtime_top_k"].item(), sent["semantic"]["temperature"].item()) == (1, 1.0)
    assert (sent["coarse"]["runtime_top_k"].item(), sent["coarse"]["temperature"].item()) == (7, 0.5)


def test_very_short_audio_is_padded_for_the_decoder_and_cut_again(tmp_path: Path) -> None:
    class Brief(Stages):
        def semantic(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return self._tokens(np.arange(2))

    stages = Brief()
    (answer,) = speak(stages, tmp_path, "Hm.")
    assert len(answer.audio) == 3 * 320
    assert [inputs["codes"].shape[2] for model, inputs in stages.seen if model == "encodec_decode"] == [7]


def test_windows_of_a_sentence_hold_one_row_until_the_last(tmp_path: Path) -> None:
    stages, ids = Stages(), []
    stages.before = lambda model, _inputs: ids.extend(stages.running) if model == "coarse" else None
    speak(stages, tmp_path, "Alone.")
    held = [inputs["hold"].item() for model, inputs in stages.seen if model == "coarse"]
    assert held == [True, False]
    assert len(set(ids)) == 1


@pytest.mark.parametrize("own", [True, False])
def test_only_our_own_stages_get_our_own_inputs(tmp_path: Path, *, own: bool) -> None:
    stages = Stages()
    built_in = None if own else BuiltIn(temperature=0.7, min_eos_p=0.2)
    orchestrator = make(stages, tmp_path, capabilities=StageCapabilities(own_inputs=own, built_in=built_in))

    async def say() -> None:
        async for _ in orchestrator.speak(request_of("One."), request_id="r"):
            pass

    asyncio.run(say())
    sent = dict(stages.seen)
    assert ("min_eos_p" in sent["semantic"], "hold" in sent["coarse"]) == (own, own)
    assert {"end_id", "prompt_embedding_table", "prompt_vocab_size"} <= set(sent["semantic"])
