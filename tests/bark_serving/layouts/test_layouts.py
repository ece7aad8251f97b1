"""Prompts and windows against Suno's own code, run with recording networks in place of real ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_serving.layouts import coarse, fine, semantic
from bark_serving.spec import Spec
from reference import suno as oracle

SPEC = Spec(name="released")


def random_voice(rng: np.random.Generator, tokens: int) -> dict[str, np.ndarray]:
    frames = max(1, round(tokens * 1.503))
    return {
        "semantic_prompt": rng.integers(0, 10_000, tokens),
        "coarse_prompt": rng.integers(0, 1024, (2, frames)),
        "fine_prompt": rng.integers(0, 1024, (8, frames)),
    }


class RecordingGpt:
    """Stands in for Suno's GPT: records its inputs, and prefers one token that depends on the last one."""

    def __init__(self, vocab: int) -> None:
        self.vocab = vocab
        self.seen: list[np.ndarray] = []

    def parameters(self) -> Any:
        return iter([torch.zeros(1)])

    def __call__(self, ids: torch.Tensor, *, use_cache: bool, past_kv: Any, merge_context: bool = False) -> Any:
        if past_kv is None:
            self.seen.append(ids[0].numpy().copy())
        logits = torch.zeros(1, 1, self.vocab)
        codes = torch.arange(self.vocab)
        logits[0, 0] = -((codes * 31 + int(ids[0, -1])) % 1021).float()
        return logits, True


def coarse_windows_of_the_oracle(tokens: np.ndarray, voice: Any, **options: int) -> tuple[list[np.ndarray], np.ndarray]:
    generation, network = oracle.bark_generation(), RecordingGpt(12_096)
    with mock.patch.dict(generation.models, {"coarse": network}):
        codes = generation.generate_coarse(
            tokens, history_prompt=voice, temp=oracle.GREEDY, silent=True, use_kv_caching=True, **options
        )
    return network.seen, codes


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 160),
    voice_length=st.one_of(st.none(), st.integers(10, 700)),  # of 9, the oracle refuses 13 frames: 1.4 each
    history=st.integers(60, 630),
    window=st.integers(2, 138),
    seed=st.integers(0, 2**32 - 1),
)
def test_coarse_windows_are_the_oracles_for_any_length_history_and_window(
    length: int, voice_length: int | None, history: int, window: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 10_000, length)
    voice = None if voice_length is None else random_voice(rng, voice_length)
    plan = coarse.schedule(
        tokens,
        spec=SPEC,
        semantic_history=voice and voice["semantic_prompt"],
        coarse_history=voice and voice["coarse_prompt"],
        max_history=history,
        window=window,
    )
    if plan.steps == 0:  # a single semantic token: the oracle refuses it
        return
    seen, codes = coarse_windows_of_the_oracle(tokens, voice, max_coarse_history=history, sliding_window_len=window)
    made = coarse.flatten(codes, spec=SPEC)
    assert plan.steps == codes.size
    assert len(seen) == len(plan.starts)
    for start, prompt in zip(plan.starts, seen, strict=True):
        np.testing.assert_array_equal(plan.prompt(start, made), prompt)
    assert sum(plan.length(start) for start in plan.starts) == plan.steps


@given(seed=st.integers(0, 2**32 - 1), frames=st.integers(0, 50))
def test_flattening_codes_and_back_changes_nothing(seed: int, frames: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 1024, (2, frames))
    ids = coarse.flatten(codes, spec=SPEC)
    np.testing.assert_array_equal(coarse.unflatten(ids, spec=SPEC), codes)
    assert all(10_000 <= i < 11_024 for i in ids[::2]) and all(11_024 <= i < 12_048 for i in ids[1::2])


@pytest.mark.parametrize("voice_length", [None, 1, 100, 256, 700])
@pytest.mark.parametrize("text_length", [1, 255, 256, 300])
def test_a_semantic_prompt_is_the_oracles(text_length: int, voice_length: int | None) -> None:
    rng = np.random.default_rng(text_length)
    text = rng.integers(0, 119_547, text_length)
    voice = None if voice_length is None else random_voice(rng, voice_length)
    generation, network = oracle.bark_generation(), RecordingGpt(10_048)
    tokenizer = SimpleNamespace(encode=lambda _text, *, add_special_tokens: text.tolist())
    with mock.patch.dict(generation.models, {"text": {"model": network, "tokenizer": tokenizer}}):
        generation.generate_text_semantic(
            "any", history_prompt=voice, temp=oracle.GREEDY, silent=True, use_kv_caching=True, max_gen_duration_s=0.01
        )
    ours = semantic.prompt_ids(text, spec=SPEC.semantic, history=None if voice is None else voice["semantic_prompt"])
    infer = [SPEC.semantic.infer_token]
    np.testing.assert_array_equal(np.concatenate([*ours, infer]), network.seen[0])


def test_the_prompt_table_sums_text_and_history_embeddings() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(129_600, 4)).astype(np.float32)
    text, history = semantic.prompt_ids(np.array([5, 6]), spec=SPEC.semantic, history=np.array([7]))
    table = semantic.prompt_table(text, history, embeddings=embeddings, spec=SPEC.semantic)
    assert table.shape == (257, 4)
    np.testing.assert_array_equal(table[0], embeddings[10_053] + embeddings[7])
    np.testing.assert_array_equal(table[2], embeddings[129_595] + embeddings[10_000])
    np.testing.assert_array_equal(table[256], embeddings[129_599])
    assert semantic.virtual_ids(SPEC.semantic)[[0, -1]].tolist() == [10_048, 10_304]


class RecordingFine:
    """Stands in for Suno's FineGPT. The code that it prefers depends on all codes at and before a position."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, np.ndarray]] = []

    def parameters(self) -> Any:
        return iter([torch.zeros(1)])

    def __call__(self, codebook: int, codes: torch.Tensor) -> torch.Tensor:
        self.seen.append((codebook, codes[0].numpy().T.copy()))
        logits = torch.zeros(1, codes.shape[1], 1056)
        logits[0, torch.arange(codes.shape[1]), torch.from_numpy(favourite(self.seen[-1][1], codebook))] = 1
        return logits


def favourite(codes: np.ndarray, codebook: int) -> np.ndarray:
    """[codebooks, window] → [window] codes."""
    return (np.cumsum(codes.astype(np.int64).sum(axis=0)) * 7 + codebook) % 1024


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 2400), history_frames=st.one_of(st.none(), st.integers(1, 700)), seed=st.integers(0, 1000))
def test_fine_windows_are_the_oracles_and_say_what_is_final(frames: int, history_frames: int | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_codes = rng.integers(0, 1024, (2, frames))
    history = None if history_frames is None else rng.integers(0, 1024, (8, history_frames))
    voice = None if history is None else {**random_voice(rng, 100), "fine_prompt": history}
    generation, network = oracle.bark_generation(), RecordingFine()
    with mock.patch.dict(generation.models, {"fine": network}):
        expected = generation.generate_fine(given_codes, history_prompt=voice, temp=None)

    codes, past = fine.buffer(frames, spec=SPEC, history=history)
    codes[:2, past : past + frames] = given_codes
    seen = []
    for window in fine.windows(frames, spec=SPEC, history_frames=past):
        for codebook in range(2, 8):
            rows = codes[:, window.start : window.start + 1024]
            seen.append((codebook, rows.copy()))
            rows[codebook, window.fill :] = favourite(rows, codebook)[window.fill :]
        np.testing.assert_array_equal(codes[:, past : past + window.final], expected[:, : window.final])
        assert window.needs <= frames
    assert window.final == frames
    assert len(seen) == len(network.seen)
    for (ours, rows), (theirs, reference) in zip(seen, network.seen, strict=True):
        assert ours == theirs
        np.testing.assert_array_equal(rows, reference)


@settings(max_examples=50, deadline=None)
@given(frames=st.integers(1, 2400), history_frames=st.integers(0, 512))
def test_without_padding_only_sentences_below_one_fine_window_change(frames: int, history_frames: int) -> None:
    history = np.zeros((8, history_frames), np.int32)
    codes, past = fine.buffer(frames, spec=SPEC, history=history, padding=False)
    windows = fine.windows(frames, spec=SPEC, history_frames=past, padding=False)
    if history_frames + frames >= SPEC.fine.window:
        assert windows == fine.windows(frames, spec=SPEC, history_frames=past)
    else:
        [window] = windows
        assert (window.start, window.fill) == (0, history_frames)
        assert (window.needs, window.final) == (frames, frames)
    assert codes.shape == (8, history_frames + frames), "no row is padding"


def test_a_fine_window_needs_no_frame_that_it_does_not_see() -> None:
    windows = fine.windows(2000, spec=SPEC, history_frames=512)
    assert [(w.start, w.fill, w.needs, w.final) for w in windows] == [
        (0, 512, 512, 512),
        (512, 512, 1024, 1024),
        (1024, 512, 1536, 1488),
        (1488, 512, 2000, 2000),
    ]
