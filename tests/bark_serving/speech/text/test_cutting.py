"""Sentences that are too long for a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.bundle import Vocabulary
from bark_serving.speech.text.cutting import SHORT_S, Room, cut
from bark_serving.speech.text.pace import seconds
from tests.bark_serving.speech.text.declaration import LANGUAGES, without_stops

ROOM = Room(tokens=256, longest_s=11.2, target_s=7.0)
ENDLESS = Room(tokens=256, longest_s=1e9, target_s=1e9)


def words(text: str) -> list[int]:
    return list(range(len(text.split())))


def parts_of(text: str, *, room: Room = ROOM, language: str = "en") -> list[str]:
    return cut(text, tokenise=words, language=language, room=room)


@given(st.text(min_size=1, max_size=300).map(lambda text: " ".join(text.split())).filter(bool), st.integers(1, 12))
def test_parts_fit_the_tokens_of_a_prompt_and_lose_nothing_but_space(text: str, limit: int) -> None:
    room = Room(limit, longest_s=11.2, target_s=7.0)
    parts = cut(text.replace("♪", ""), tokenise=list, language="en", room=room)  # type: ignore[arg-type]
    assert all(len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.replace("♪", "").split())


@given(st.lists(st.sampled_from(["one", "seven,", "and", "thirteen", "three;"]), min_size=1, max_size=200))
def test_parts_fit_the_seconds_of_a_prompt_and_none_is_a_word_or_two(many: list[str]) -> None:
    text = " ".join(many)
    parts = parts_of(text)
    assert " ".join(parts) == text
    lengths = [seconds(part, language="en") for part in parts]
    assert max(lengths) <= ROOM.longest_s
    assert len(parts) == 1 or min(lengths) >= SHORT_S


def test_a_sentence_that_fits_stays_whole() -> None:
    text = "one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen"
    assert parts_of(text) == [text]


@pytest.mark.parametrize("tail", ["字", "\u200b", "\u0301", "!", "a-"])
def test_cutting_reads_a_long_text_a_few_times_only(tail: str) -> None:
    """The time must not grow with the square of the length."""
    read = 0

    def ideographs(text: str) -> list[str]:
        nonlocal read
        read += len(text)
        return [letter for letter in text if letter == "字"]

    text = "字" * 300 + tail * 8_000
    parts = cut(text, tokenise=ideographs, language="zh", room=ROOM)  # type: ignore[arg-type]
    assert "".join(parts) == text
    assert read < 100 * len(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("the old man went down to the wide river, and then he slept for a day", "river,"),
        ("the old man went down to the wide river and then he slept for a day", "river"),
        ("the old man went down with Dr. Smith to the river and slept there for a day", "Smith"),
        ("el viejo bajó y « vio un barco muy » grande que nadie había visto allí", "grande"),
        ("the old man went all the way down! to the wide grey river he went for a day", "down!"),
        ("el viejo bajó despacio al río porque quería ver un barco muy grande", "río"),
    ],
)
def test_the_best_place_near_the_middle_is_taken(text: str, place: str) -> None:
    language = "es" if text.startswith("el ") else "en"
    first, second = parts_of(text, language=language, room=Room(256, longest_s=4.5, target_s=3.5))
    assert first.endswith(place) and f"{first} {second}" == text


@pytest.mark.parametrize("text", ["it costs 1,000 dollars and 20:15 is the time, " * 3, "a [clears throat] b " * 40])
def test_numbers_and_sounds_are_not_cut(text: str) -> None:
    parts = parts_of(text.strip(), room=Room(256, longest_s=4.0, target_s=2.5))
    assert len(parts) > 2
    whole = ("1,000", "20:15") if "1,000" in text else ("[clears throat]",)
    assert all(sum(part.count(one) for part in parts) == text.count(one) for one in whole)


def test_no_japanese_part_begins_with_a_closing_sign_or_a_small_kana() -> None:
    parts = parts_of("ちょっと「待って」、きゃあ。" * 20, language="ja")
    assert len(parts) > 3
    assert not any(part[0] in "」、。ょっゃ" for part in parts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_article_without_stops_is_cut_in_each_language(language: str, bark: Vocabulary) -> None:
    text = without_stops(language)
    parts = cut(text, tokenise=bark.tokenise, language=language, room=ROOM)
    glue = "" if language in ("ja", "zh") else " "
    assert glue.join(parts) == text
    assert len(parts) == 2
    assert all(4 < seconds(part, language=language) < ROOM.longest_s for part in parts)


def test_each_part_of_a_song_has_its_notes(bark: Vocabulary) -> None:
    room = Room(40, longest_s=1e9, target_s=1e9)
    parts = cut(f"♪ {'la la la, ' * 30}la ♪", tokenise=bark.tokenise, language="en", room=room)
    assert len(parts) > 3
    assert all(part[0] == part[-1] == "♪" and len(bark.tokenise(part)) <= 40 for part in parts)


def test_a_word_is_cut_only_where_nothing_else_helps() -> None:
    assert parts_of("a" * 200 + " and then") != [] and "".join(parts_of("a" * 400)) == "a" * 400
    assert all(seconds(part, language="en") <= ROOM.longest_s for part in parts_of("a" * 400))
    assert parts_of("Rindfleischetikettierungsgesetz " * 9, language="de")[0].endswith("gesetz")
