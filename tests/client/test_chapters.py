"""A text is split at its headings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from bark_client.chapters import Chapter, _code, split_chapters
from bark_serving.speech.text.markup import plain


def titles(text: str) -> list[str]:
    return [chapter.title for chapter in split_chapters(text, title="book")]


@pytest.mark.parametrize(
    "heading",
    [
        "# The Ball", "## The Ball ##", "Chapter 3", "CHAPTER IV", "Chapter 12: The Ball", "chapter one", "Kapitel 3",
        "Chapitre II", "Capítulo 7", "Rozdział 4", "Глава 5", "Bölüm 2", "अध्याय 3", "第三章", "第 12 回 舞踏会",
        "제3장", "CHAPTER DCCCLXXXVIII", "Chapter XCIX.", "Chapter 1001: The End", "Chapter thirteen", "Part Two",
        "Chapter Twenty-One", "CHAPTER FORTY TWO. The Ball", "Chapter Ninety-Nine: The End",
        "Chapter Twenty - The Ball", "第一千零一章", "第两百章",
    ],
)  # fmt: skip
def test_a_heading_begins_a_chapter(heading: str) -> None:
    found = split_chapters(f"{heading}\n\nText of it.\n\n{heading}\n\nMore.\n", title="book")
    assert len(found) == 2
    assert found[0] == Chapter(heading.strip("# "), f"{heading}\n\nText of it.\n\n")


@pytest.mark.parametrize(
    "line",
    [
        "### Deep", "#hashtag", "Chapter 3 was the best of all.", "Chapters 3", "Chapter", "I read chapter 3", "#",
        "Kapitel drei war lang.", "Chapter Thirty one two", "Chapter 12345",
        "Part -", "Part .", "Chapter Twentyone",
    ],
)  # fmt: skip
def test_other_lines_begin_none(line: str) -> None:
    assert titles(f"Begin.\n\n{line}\n\nText.\n") == ["book"]


def test_a_heading_in_a_paragraph_or_in_code_is_none() -> None:
    assert titles("Begin.\nChapter 3\nText.\n") == ["book"]
    assert titles("Begin.\n\n```\n# a comment\n```\n") == ["book"]


@pytest.mark.parametrize("line", ["~~~", "~~~ A week later ~~~", "~~~ Later", "``` A week later", "```", "***"])
@pytest.mark.parametrize("markdown", [True, False])
def test_a_chapter_after_a_scene_break_is_found(line: str, markdown: bool) -> None:
    text = f"Chapter 1\n\nNight.\n\n{line}\n\nMorning.\n\nChapter 2\n\nDay.\n"
    assert [one.title for one in split_chapters(text, title="book", markdown=markdown)] == ["Chapter 1", "Chapter 2"]


def test_without_markdown_no_heading_is_in_code() -> None:
    text = "Begin.\n\n```\n\nChapter 2\n\nText.\n```\n"
    assert [one.title for one in split_chapters(text, title="book", markdown=True)] == ["book"]
    assert [one.title for one in split_chapters(text, title="book", markdown=False)] == ["book", "Chapter 2"]


def roman(number: int) -> str:
    return "".join(
        ("", one, 2 * one, 3 * one, one + five, five, five + one, five + 2 * one, five + 3 * one, one + ten)[digit]
        for digit, (one, five, ten) in zip(map(int, f"{number:04}"), ("M  ", "CDM", "XLC", "IVX"), strict=True)
    )


@pytest.mark.parametrize("between", ["-", " "])
def test_every_number_in_words_to_ninety_nine_begins_a_chapter(between: str) -> None:
    names = [num2words(number).replace("-", between) for number in range(1, 100)]
    text = "".join(f"Chapter {name}\n\nText.\n\n" for name in names)
    assert titles(text) == [f"Chapter {name}" for name in names]


def test_every_roman_number_begins_a_chapter() -> None:
    assert roman(1949) == "MCMXLIX"
    text = "".join(f"Chapter {roman(number)}\n\nText.\n\n" for number in range(1, 4000))
    assert titles(text) == [f"Chapter {roman(number)}" for number in range(1, 4000)]


def test_what_is_before_the_first_heading_is_a_chapter() -> None:
    assert titles("For my mother.\n\n# One\n\nText.") == ["book", "One"]
    assert titles("\n\n# One\n\nText.") == ["One"]
    assert titles("***\n\n# One\n\nText.") == ["One"]


def test_headings_without_text_belong_to_the_chapter_after_them() -> None:
    text = "# Book\n\n## One\n\nText.\n\n# Part 2\n\n## Two\n\nText.\n\n## The End\n"
    assert titles(text) == ["One", "Two"]
    assert "".join(chapter.text for chapter in split_chapters(text, title="book")) == text


def test_a_text_without_words_has_no_chapter() -> None:
    assert titles("") == titles("\n***\n") == []
    assert titles("# Only this") == ["book"]


LINES = st.sampled_from(["# One", "Chapter 2", "", "Some words.", "```", "***", "Second line"])


@given(st.lists(LINES, max_size=30))
def test_no_word_is_lost_and_none_comes_twice(lines: list[str]) -> None:
    text = "\n".join(lines)
    joined = "".join(chapter.text for chapter in split_chapters(text, title="book"))
    assert [sign for sign in joined if sign.isalnum()] == [sign for sign in text if sign.isalnum()]


LINES = st.sampled_from(
    ["```", "```py", "``` py", "``` py x", "````", "```x```", "~~~", "~~~sh", "~~~ sh", "~~~~", "~~~ so it was ~~~"]
)


@given(st.lists(LINES | st.just("It is *so* here"), max_size=12))
def test_client_and_server_take_the_same_lines_for_code(lines: list[str]) -> None:
    found = _code(lines)
    code = ["It is *so* here" in line for line in plain("\n".join(lines)).splitlines() if "is" in line]
    assert code == [number in found for number, line in enumerate(lines) if line == "It is *so* here"]
