"""The chunks of a sentence in low latency: pure arithmetic."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.layouts.coarse import step_count
from bark_serving.spec import Spec
from bark_serving.speech.chunks import ChunkPlan

BARK = Spec(name="released")
MINIATURE = Spec.model_validate_json(Path("bark_serving/miniature/spec.json").read_text(encoding="utf-8"))

plans = st.builds(ChunkPlan, st.sampled_from([BARK, MINIATURE]), st.integers(2, 400))


def chunks_of(plan: ChunkPlan, tokens: int) -> list[tuple[int, int, int]]:
    """(coarse frames, audible frames, semantic tokens seen) of each chunk of a sentence of that many tokens."""
    found = []
    for end in plan.ends():
        seen = min(tokens, plan.semantic_tokens(end))
        chunk = plan.chunk(end, semantic=seen, ended=seen == tokens)
        found.append((chunk.frames, chunk.audible, seen))
        if chunk.last:
            return found
    raise AssertionError("endless")


@given(plan=plans, tokens=st.integers(0, 768))
def test_chunks_cover_a_sentence_once_and_in_order(plan: ChunkPlan, tokens: int) -> None:
    found = chunks_of(plan, tokens)
    frames = step_count(tokens, spec=plan.spec) // plan.spec.coarse.codebooks
    assert found[-1][:2] == (frames, frames)
    assert all(after[1] - before[1] > 0 for before, after in pairwise(found))
    assert all(audible <= coarse for coarse, audible, _ in found)


@given(plan=plans, tokens=st.integers(1, 768))
def test_a_chunk_has_the_semantic_tokens_of_all_its_frames(plan: ChunkPlan, tokens: int) -> None:
    for coarse, _, seen in chunks_of(plan, tokens):
        assert coarse * plan.spec.coarse.codebooks <= step_count(seen, spec=plan.spec)


@given(plan=plans, tokens=st.integers(1, 768))
def test_a_chunk_fits_a_window_of_the_fine_stage(plan: ChunkPlan, tokens: int) -> None:
    done = 0
    for coarse, audible, _ in chunks_of(plan, tokens):
        assert min(done, plan.past) + coarse - done <= plan.spec.fine.window
        done = audible


@pytest.mark.parametrize(
    ("spec", "window", "expected"),
    [
        (BARK, 384, [38, 98, 218, 406, 594]),
        (BARK, 60, [30, 90, 210, 390, 570]),
        (MINIATURE, 192, [38, 98, 194, 290, 386]),
    ],
    ids=["long windows", "Suno's windows", "miniature"],
)
def test_chunks_grow_to_a_limit_in_whole_windows(spec: Spec, window: int, expected: list[int]) -> None:
    assert list(islice(ChunkPlan(spec, window).ends(), 5)) == expected


def test_a_short_rest_is_spoken_with_the_chunk_before_it() -> None:
    plan = ChunkPlan(BARK, 384)
    assert [coarse for coarse, _, _ in chunks_of(plan, 91)] == [38, 136]
    assert [coarse for coarse, _, _ in chunks_of(plan, 92)] == [38, 98, 138]
