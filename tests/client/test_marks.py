"""Marks of Markdown that a passage leaves open are closed at its end, and opened again in the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_client import marks
from bark_client.long_text import Gatherer
from bark_client.script import Script
from bark_serving.speech.text.markup import plain


def requests(*parts: str, markdown: bool | None = None) -> list[str]:
    """What is asked for, but for pauses. The text is flushed after each part."""
    gatherer = Gatherer(sentences=True)
    script = Script(voice=None, seed=1, options={"sentence_pause": 0.0, "paragraph_pause": 0.0, "markdown": markdown})
    return [script.text(one) for part in parts for one in (*gatherer.feed(part), *gatherer.flush())]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("**Read it with care. It is for you.** Go.", ["**Read it with care.**", "**It is for you.** Go."]),
        ("*It **is a long day. It is** night. Bye.*", ["*It **is a long day.***", "***It is** night. Bye.*"]),
        ("> **He said it to me. So\n> he left.** Bye.", ["> **He said it to me.**", "> **So\n> he left.** Bye."]),
        ("It is 5*6 and 2**3 as I said. So it is.", ["It is 5*6 and 2**3 as I said.", "So it is."]),
        ("Call `a *b` for it, I said. So it is.", ["Call `a *b` for it, I said.", "So it is."]),
        ("**It is never closed. So\n\nit ends here.", ["**It is never closed.**", "**So\n\nit ends here."]),
        ("- **It is never closed. So\n- it ends here.", ["- **It is never closed.**", "**So\n- it ends here."]),
    ],
)  # fmt: skip
def test_both_ends_of_emphasis_are_in_the_request_of_each_sentence(text: str, asked: list[str]) -> None:
    assert requests(text) == asked


def test_both_ends_of_code_are_in_the_request_of_each_part() -> None:
    asked = requests("```python\nx = the_first * part\n\n", "y = **x\n\n", "z = x\n```\n\n**Done.**")
    assert [plain(one).split() for one in asked] == [
        ["x", "=", "the_first", "*", "part"],
        ["y", "=", "**x"],
        ["z", "=", "x", "Done."],
    ]


def test_each_row_of_a_table_is_asked_for_as_a_row() -> None:
    asked = requests("| name | note |\n|---|---|\n| one | It is so. It is good. |\n| two | It is not. |\n\nBye to you.")
    assert [plain(one).strip() for one in asked] == [
        "name, note",
        "one, It is so. It is good.",
        "two, It is not.",
        "Bye to you.",
    ]


def test_a_flush_within_emphasis_closes_it_and_the_rest_goes_on() -> None:
    assert requests("It is **very", " good.** Bye.") == ["It is **very**", "**good.** Bye."]
    assert requests("It is **very", "** good.") == ["It is **very**", " good."]


def test_without_markdown_the_text_is_asked_for_as_it_stands() -> None:
    text = "**Read this note with care. It is for you.** Go."
    assert requests(text, markdown=False) == ["**Read this note with care.", "It is for you.** Go."]


def test_a_sentence_within_emphasis_is_given_as_soon_as_the_next_one_begins() -> None:
    gatherer = Gatherer(sentences=True)
    assert [one.markdown for one in gatherer.feed("**Read this note with care. I")] == ["**Read this note with care.**"]


def test_a_line_that_goes_on_is_not_joined_to_an_item_of_a_list() -> None:
    text = "1. Take the old key out. Put it on the table that stands beside the door\n2. Turn it"
    assert requests(text)[-1].splitlines() == ["Put it on the table that stands beside the door", "2. Turn it"]


LINES = st.sampled_from(
    ["```", "```py", "``` py", "``` py x", "````", "```x```", "~~~", "~~~sh", "~~~ sh", "~~~~", "~~~ so it was ~~~"]
)


@given(st.lists(LINES | st.just("It is *so* here"), max_size=12))
def test_client_and_server_take_the_same_lines_for_code(lines: list[str]) -> None:
    found = marks.code_lines(lines)
    code = ["It is *so* here" in line for line in plain("\n".join(lines)).splitlines() if "is" in line]
    assert code == [number in found for number, line in enumerate(lines) if line == "It is *so* here"]
