"""The pieces of one request: whose voice they have, and which of them begins when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from bark_serving.layouts.coarse import flatten
from tests.fake_stages import SPEC, Stages, make, request_of, speak


def test_without_a_voice_the_first_piece_becomes_the_voice_of_the_others(tmp_path: Path) -> None:
    stages = Stages()
    said = speak(stages, tmp_path, return_tokens=True)[-1].tokens
    assert said is not None
    # 29 of the 30 semantic tokens have whole frames: 87 codes. Suno's code leaves the last frame out.
    first = flatten(said.coarse[:, :45], spec=SPEC)[-87:-2]
    histories = [inputs["input_ids"][0, 257:] for model, inputs in stages.seen if model == "coarse"]
    assert [len(history) for history in histories[:2]] == [0, 60]
    for history in histories[2:]:
        np.testing.assert_array_equal(history[:85], first)


def test_each_piece_finds_its_own_speaker_where_asked_for(tmp_path: Path) -> None:
    stages = Stages()
    speak(stages, tmp_path, one_speaker=False)
    lengths = [inputs["input_ids"].shape[1] - 257 for model, inputs in stages.seen if model == "coarse"]
    assert sorted(lengths) == [0, 0, 0, 60, 60, 60]


def test_the_other_pieces_of_a_stream_begin_when_its_first_audio_is_there(tmp_path: Path) -> None:
    stages, begun = Stages(), []

    def note(model: str, inputs: dict[str, np.ndarray]) -> None:
        if model == "semantic":
            begun.append(sum(name == "encodec_decode" for name, _ in stages.seen))

    stages.before = note
    speak(stages, tmp_path, one_speaker=False)
    assert begun == [0, 1, 1]
    begun.clear()
    stages.seen.clear()
    speak(stages, tmp_path, one_speaker=False, stream=False)
    assert begun == [0, 0, 0], "who wants one answer waits for the last piece"


def test_the_first_piece_of_a_new_request_comes_before_the_last_ones_of_an_old_one(tmp_path: Path) -> None:
    stages, order = Stages(), []

    async def both() -> None:
        orchestrator = make(stages, tmp_path, max_batch=1)
        long = " ".join(f"Sentence number {n} of the old request." for n in range(8))

        async def say(name: str, text: str) -> None:
            async for answer in orchestrator.speak(request_of(text, one_speaker=False, stream=False), request_id=name):
                order.append(name)
                del answer

        old = asyncio.create_task(say("old", long))
        while len(stages.seen) < 5:
            await asyncio.sleep(0)
        await say("new", "Hello.")
        await old

    asyncio.run(both())
    assert order == ["new", "old"]
