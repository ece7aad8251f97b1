"""Sentences that do not fit a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.bundle import Vocabulary
from bark_serving.speech.text.cutting import cut


def words(text: str) -> list[int]:
    return list(range(len(text.split())))


@given(st.text(min_size=1, max_size=300).map(lambda text: " ".join(text.split())).filter(bool), st.integers(1, 12))
def test_pieces_fit_the_limit_and_lose_nothing_but_space(text: str, limit: int) -> None:
    pieces = cut(text.replace("♪", ""), tokenise=list, limit=limit)  # type: ignore[arg-type]
    assert all(len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.replace("♪", "").split())


@given(st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=80), st.integers(1, 12))
def test_each_piece_is_the_largest_that_fits(many: list[str], limit: int) -> None:
    pieces = cut(" ".join(many), tokenise=words, limit=limit)
    assert [len(piece.split()) for piece in pieces[:-1]] == [limit] * (len(pieces) - 1)


@pytest.mark.parametrize("tail", ["字", "\u200b", "\u0301"])
def test_cutting_reads_a_long_text_a_few_times_only(tail: str) -> None:
    """The time must not grow with the square of the length."""
    read = 0

    def ideographs(text: str) -> list[str]:
        nonlocal read
        read += len(text)
        return [letter for letter in text if letter == "字"]

    text = "字" * 300 + tail * 8_000
    assert "".join(cut(text, tokenise=ideographs, limit=256)) == text  # type: ignore[arg-type]
    assert read < 100 * len(text)


def test_a_long_sentence_is_cut_at_its_clauses_first() -> None:
    pieces = cut("one two three, four five six, seven eight.", tokenise=words, limit=6)
    assert pieces == ["one two three, four five six,", "seven eight."]


def test_each_piece_of_a_song_has_its_notes(bark: Vocabulary) -> None:
    pieces = cut(f"♪ {'la la la, ' * 30}la ♪", tokenise=bark.tokenise, limit=40)
    assert len(pieces) > 3
    assert all(piece[0] == piece[-1] == "♪" and len(bark.tokenise(piece)) <= 40 for piece in pieces)
