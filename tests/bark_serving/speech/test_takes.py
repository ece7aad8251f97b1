"""Takes of a piece that failed: they are made again, in halves if need be, and reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bark_serving.errors import SpeechFailed
from bark_serving.spec import Spec
from bark_serving.speech.report import PieceReport
from tests.fake_stages import THREE, Stages, audio_of, speak, summary_of

SPEC = Spec(name="guarded")
MAX_STEPS = SPEC.semantic.max_steps
LONG = "one two three four five six seven eight nine ten eleven twelve, thirteen fourteen fifteen sixteen seventeen"


class Takes(Stages):
    """Makes as many semantic tokens as ``lengths`` says for each call. The audio is one of many tones per frame."""

    def __init__(self, lengths: Callable[[int], int]) -> None:
        super().__init__()
        self.count_of, self.calls = lengths, 0

    def semantic(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(int(inputs["seed"].item()))
        count = min(self.count_of(self.calls), int(inputs["request_output_len"].item()))
        self.calls += 1
        return self._tokens(rng.integers(0, 10_000, count)[np.arange(count) // 3 * 3])  # a sound has three tokens

    def encodec_decode(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        frames = inputs["codes"].shape[2]
        tones = np.sin(np.arange(320) * np.pi * (inputs["codes"][0].sum(axis=0) % 97 + 1)[:, None] / 100)
        return {"audio": tones.reshape(1, frames * 320).astype(np.float32) * 0.3}


def pieces_of(stages: Stages, tmp_path: Path, text: str = "One two three.", **inputs: Any) -> list[PieceReport]:
    return list(summary_of(speak(stages, tmp_path, text, spec=SPEC, **inputs)).pieces)


@pytest.mark.parametrize("stream", [True, False])
def test_a_good_take_is_spoken_once(tmp_path: Path, *, stream: bool) -> None:
    (piece,) = pieces_of(Takes(lambda _: 60), tmp_path, stream=stream)
    assert (piece.text, piece.verdict, piece.attempts) == ("One two three.", "good", 1)
    assert piece.start == 0 and piece.seconds == pytest.approx(60 / 49.9, abs=0.02)


@pytest.mark.parametrize(("bad", "verdict"), [(0, "empty"), (2, "short"), (500, "long")])
def test_a_failed_take_is_made_again_before_its_coarse_stage(tmp_path: Path, bad: int, verdict: str) -> None:
    stages = Takes(lambda call: bad if call == 0 else 60)
    (piece,) = pieces_of(stages, tmp_path)
    assert (piece.verdict, piece.attempts) == ("good", 2)
    assert sum(model == "coarse" for model, _ in stages.seen) == 3, "180 coarse tokens: only the good take's"
    (kept,) = pieces_of(Takes(lambda call: bad if call == 0 else 60), tmp_path, retries=0)
    assert (kept.verdict, kept.attempts) == (verdict, 1)


def test_no_piece_has_more_than_three_takes_and_the_best_is_heard(tmp_path: Path) -> None:
    lengths = [0, 500, 0]
    stages = Takes(lambda call: lengths[call])
    answers = speak(stages, tmp_path, "One two three.", spec=SPEC)
    (piece,) = summary_of(answers).pieces
    assert (piece.verdict, piece.attempts, stages.calls) == ("long", 3, 3)
    assert piece.seconds == pytest.approx(500 / 49.9, abs=0.02)
    assert summary_of(answers).warnings == [
        "piece 1 ('One two three.') is far longer than its text in 3 takes; try another seed."
    ]


def test_the_same_seed_needs_the_same_takes(tmp_path: Path) -> None:
    def take(seed: int, **inputs: Any) -> np.ndarray:
        return audio_of(speak(Takes(lambda call: 2 if call == 0 else 60), tmp_path, spec=SPEC, seed=seed, **inputs))

    np.testing.assert_array_equal(take(5), take(5))
    np.testing.assert_array_equal(take(5), take(5, stream=False))
    assert not np.array_equal(take(5), take(6))
    first = audio_of(speak(Takes(lambda _: 60), tmp_path, spec=SPEC, seed=5))
    assert not np.array_equal(take(5), first), "another take has other random numbers"


def test_a_long_piece_that_does_not_end_is_spoken_in_halves(tmp_path: Path) -> None:
    stages = Takes(lambda call: MAX_STEPS if call == 0 else 170)
    answers = speak(stages, tmp_path, LONG, spec=SPEC)
    (piece,) = summary_of(answers).pieces
    assert (piece.verdict, piece.attempts, stages.calls) == ("good", 2, 3)
    assert piece.seconds == pytest.approx(2 * 170 / 49.9, abs=0.05)
    assert summary_of(answers).warnings == []
    texts = [inputs["prompt_embedding_table"] for model, inputs in stages.seen if model == "semantic"]
    assert len(texts) == 3


def test_the_second_half_continues_the_voice_of_the_first(tmp_path: Path) -> None:
    stages = Takes(lambda call: MAX_STEPS if call == 0 else 170)
    speak(stages, tmp_path, LONG, spec=SPEC)
    prompts = [inputs["input_ids"].shape[1] for model, inputs in stages.seen if model == "coarse"]
    first_windows = [prompt for prompt in prompts if prompt == min(prompts)]
    assert len(first_windows) == 1, "only the first half has a coarse window without history"


def test_speech_that_max_duration_cuts_is_reported_and_not_made_again(tmp_path: Path) -> None:
    stages = Takes(lambda _: 200)
    summary = summary_of(speak(stages, tmp_path, "One two three.", spec=SPEC, max_duration=1.0, on_failure="error"))
    assert [(piece.verdict, piece.attempts) for piece in summary.pieces] == [("cut", 1)]
    assert "was cut at 1.0 s" in summary.warnings[0]


def test_a_piece_that_fails_is_left_out_where_asked_for(tmp_path: Path) -> None:
    stages = Takes(lambda call: 500 if 1 <= call <= 3 else 60)
    answers = speak(stages, tmp_path, THREE, spec=SPEC, on_failure="skip", chain_sentences=True)
    summary = summary_of(answers)
    assert [piece.verdict for piece in summary.pieces] == ["good", "long", "good"]
    assert summary.pieces[1].seconds == 0 and "it was left out" in summary.warnings[0]
    assert len(audio_of(answers)) == 2 * 90 * 320


def test_a_piece_that_fails_ends_the_request_where_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SpeechFailed, match=r"piece 1 \('One two three.'\) failed 3 times: its last take is short"):
        speak(Takes(lambda _: 2), tmp_path, "One two three.", spec=SPEC, on_failure="error")


def silent(stages: Takes, times: int) -> Takes:
    """Stages whose first ``times`` takes are silent though their tokens look well."""
    speak_up = stages.encodec_decode

    def decode(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        quiet = stages.calls <= times
        return {"audio": speak_up(inputs)["audio"] * (0 if quiet else 1)}

    stages.encodec_decode = decode  # type: ignore[method-assign]
    return stages


def test_a_silent_take_is_made_again_where_one_answer_is_wanted(tmp_path: Path) -> None:
    (piece,) = pieces_of(silent(Takes(lambda _: 60), 1), tmp_path, stream=False)
    assert (piece.verdict, piece.attempts) == ("good", 2)


def test_a_silent_take_of_a_stream_is_reported(tmp_path: Path) -> None:
    summary = summary_of(speak(silent(Takes(lambda _: 60), 1), tmp_path, "One two three.", spec=SPEC))
    assert [(piece.verdict, piece.attempts) for piece in summary.pieces] == [("silent", 1)]
    assert summary.warnings == ["piece 1 ('One two three.') is silent; try another seed."]


def test_random_weights_are_not_judged(tmp_path: Path) -> None:
    stages = Takes(lambda _: MAX_STEPS)
    unguarded = SPEC.model_copy(update={"guard": None})
    (piece,) = summary_of(speak(stages, tmp_path, "One two three.", spec=unguarded)).pieces
    assert (piece.verdict, piece.attempts) == ("cut", 1)
