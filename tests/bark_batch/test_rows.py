from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_batch.rows import MAX_CHARACTERS, Columns, Repeats, Row, noting_voices, row_of, seed_of

CELLS = st.one_of(
    st.none(), st.text(), st.integers(), st.floats(), st.booleans(), st.binary(), st.lists(st.integers(), max_size=2)
)


def row(values: dict[str, Any], *, number: int = 3, seed: int = 0) -> Row:
    """A row of a job whose voice is joe."""
    return row_of({"text": "Hello.", **values}, number=number, columns=Columns(), voice="joe", seed=seed)


@given(text=CELLS, voice=CELLS, seed=CELLS, id=CELLS)
def test_any_cells_make_a_row_that_can_be_spoken_or_says_why_not(**values: Any) -> None:
    found = row(values)
    assert (found.error is None) == (found.seed is not None and any(map(str.isalnum, found.text)))
    assert found.seed is None or 0 <= found.seed < 2**64


@given(st.text(), st.integers(0, 2**64 - 1))
def test_a_row_without_a_seed_has_that_of_its_id(row_id: str, job_seed: int) -> None:
    seed = seed_of(row_id, job_seed=job_seed)
    assert 0 <= seed < 2**32
    if row_id.strip():
        assert {row({"id": row_id}, number=number, seed=job_seed).seed for number in (0, 7)} == {seed}


def test_seeds_differ_between_ids_and_between_jobs() -> None:
    assert len({seed_of(str(number), job_seed=job) for number in range(500) for job in (0, 1)}) == 1000


def test_a_row_without_voice_or_id_has_those_of_the_job() -> None:
    assert (row({}).voice, row({}).id) == ("joe", "3")
    assert (row({"voice": "jo", "id": 9}).voice, row({"voice": "jo", "id": 9}).id) == ("jo", "9")


@pytest.mark.parametrize("seed", [7, 7.0, "7", " 7 "])
def test_a_seed_may_be_written_in_any_way_that_tables_have(seed: object) -> None:
    assert row({"seed": seed}).seed == 7


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"text": None}, "text: it has no word to speak"),
        ({"text": "?!"}, "text: it has no word to speak"),
        ({"text": "a" * (MAX_CHARACTERS + 1)}, "split it into rows"),
        ({"text": ["a"]}, "text: expected a string, not list"),
        ({"seed": "-1"}, "seed: expected a whole number"),
        ({"seed": 1.5}, "seed: expected a whole number"),
        ({"seed": True}, "seed: expected a whole number"),
        ({"seed": 2**64}, "seed: expected a whole number"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_in_words(values: dict[str, Any], words: str) -> None:
    found = row(values)
    assert found.error is not None and words in found.error


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ("", ""),
        ("abc", ""),
        ("aba", "1 row repeats an earlier id. All are spoken; "),
        (
            "aabbb",
            "3 rows repeat an earlier id. All are spoken; those without a seed in the table get the same seed.",
        ),
    ],
)
def test_ids_that_repeat_are_counted(ids: str, words: str) -> None:
    repeats, rows = Repeats(), [Row(one, "Hello.") for one in ids]
    assert list(repeats.seen(rows)) == rows
    assert repeats.warning().startswith(words) and bool(repeats.warning()) == bool(words)


def test_rows_that_are_not_spoken_repeat_no_id() -> None:
    repeats = Repeats()
    list(repeats.seen([Row("a", "Hello."), Row("a", "?!", error="text: it has no word to speak")]))
    assert repeats.warning() == ""


def test_the_voices_of_rows_that_are_spoken_are_those_of_their_cells_and_of_tags() -> None:
    names: set[str] = set()
    rows = [Row("a", "Hello. [voice: jo] Hi. [/voice] [pause 1s]", voice="joe"), Row("b", "Hello.")]
    rows.append(Row("c", "?! [voice:x]", voice="y", error="text: it has no word to speak"))
    assert list(noting_voices(rows, names)) == rows
    assert names == {"jo", "joe"}
