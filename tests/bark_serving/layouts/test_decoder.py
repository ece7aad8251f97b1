"""Chunks of the codec's decoder: which codes they are given. `test_networks` decodes them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.layouts.decoder import chunk_codes, context_frames, first_state, least_frames
from bark_serving.spec import EncodecSpec

SPEC = EncodecSpec()


def test_samples_depend_on_two_frames_before_them_after_the_lstm() -> None:
    assert context_frames(SPEC) == 2 and least_frames(SPEC) == 9


@given(done=st.integers(9, 40), new=st.integers(1, 40))
def test_a_later_chunk_begins_with_the_frames_that_it_depends_on(done: int, new: int) -> None:
    codes = np.arange(8 * (done + new), dtype=np.int32).reshape(8, -1)
    given, dropped = chunk_codes(codes, done, spec=SPEC)
    np.testing.assert_array_equal(given, codes[:, done - 8 :])
    assert given.shape[1] - (SPEC.kernel - 1) - dropped == new


def test_the_first_chunk_begins_with_its_reflection_and_no_state() -> None:
    codes = np.arange(8 * 12, dtype=np.int32).reshape(8, -1)
    given, dropped = chunk_codes(codes, 0, spec=SPEC)
    assert given[0].tolist() == [6, 5, 4, 3, 2, 1, *range(12)] and dropped == 0
    assert first_state(SPEC).shape == (2, 2, 512) and not first_state(SPEC).any()
