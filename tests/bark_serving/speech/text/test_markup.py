"""Markdown is read as the text it stands for; everything else stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.speech.text.markup import plain


def lines(text: str) -> list[str]:
    return [line for line in plain(text).splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Title\n\nText.", ["Title", "Text."]),
        ("Title\n=====\nText.", ["Title", "Text."]),
        ("**Bold** and *soft* and ~~no~~ words", ["Bold and soft and no words"]),
        ("Run `make test` now.", ["Run make test now."]),
        ("```py\nx = 1\n```", ["x = 1"]),
        ("See [the page](https://x.org/a) and <https://x.org>.", ["See the page and https://x.org."]),
        ("![a cat](cat.png)", ["a cat"]),
        ("- one\n- two\n  - three", ["one", "two", "three"]),
        ("- [ ] buy milk\n- [x] sleep", ["buy milk", "sleep"]),
        ("1. Open it.\n2. Close it.", ["1. Open it.", "2. Close it."]),
        ("1. Open it.\n1. Close it.", ["1. Open it.", "2. Close it."]),
        ("3. three\n2. two\n1. one", ["3. three", "2. two", "1. one"]),
        ("1984. It was cold.", ["1984. It was cold."]),
        ("> He said\n> so.", ["He said", "so."]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["a, b", "1, 2"]),
        ("One\n\n---\n\nTwo", ["One", "Two"]),
        ("A fact.[^1]", ["A fact."]),
        ("**H**yper**T**ext, a **bold**word", ["HyperText, a boldword"]),
        ("这是*强调*的字, *강조*는", ["这是强调的字, 강조는"]),
        ("*5* and **6**, *5*.", ["5 and 6, 5."]),
        ("The *n*th item, **Q**1 results, *5*k run.", ["The nth item, Q1 results, 5k run."]),
        ("H*2*O, un*frigging*believable", ["H2O, unfriggingbelievable"]),
        ("**Q**1 and **Q**2, 3*n* items", ["Q1 and Q2, 3n items"]),
    ],
)
def test_markup_is_taken_away_and_the_words_stay(text: str, said: list[str]) -> None:
    assert lines(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "[laughs] Hello [sighs] there.",
        "[laughs]: that was good",
        "♪ In the jungle ♪",
        "MAN: Hi there.\nWOMAN: HELLO!",
        "snake_case and 2 * 3 * 4",
        "The area is 5*6 = 30 and the volume 5*6*7 = 210.",
        "5*6 and 7*8",
        "*67*123#",
        "f(x)=2*x*3, 2*3*4",
        "2**3 and x**2 + y**2",
        "It costs $5 & that's <fine>.",
        "    four blanks in front",
        "#hashtag [x] marks it",
        "1984.",
        "3. 2. 1. Go!",
        "One line\nand the next",
    ],
)
def test_what_is_no_markup_stays(text: str) -> None:
    assert plain(text).strip() == text.strip()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bed.\n\n~~~ Three days later ~~~\n\nHe *ran* and __sat__.", ["Bed.", "Three days later", "He ran and sat."]),
        ("Bed.\n\n``` Three days later\n\nHe *ran*.", ["Bed.", "Three days later", "He ran."]),
        ("Bed.\n~~~ Later\nHe *ran*.", ["Bed.", "Later", "He ran."]),
        ("Bed.\n\n~~~\n\nHe *ran*.\n\n~~~\n\nThe *end*.", ["Bed.", "He ran.", "The end."]),
        ("> Bed.\n>\n> ~~~ Three days later ~~~\n>\n> He *ran*.", ["Bed.", "Three days later", "He ran."]),
        ("- one\n- ~~~ two or three ~~~\n- *four*", ["one", "two or three", "four"]),
        ("```python\nprint(*x*)", ["python", "print(x)"]),
        ("```so `it` was```", ["so `it` was"]),
    ],
)
def test_a_line_of_back_ticks_or_tildes_that_is_no_code_keeps_its_words(text: str, said: list[str]) -> None:
    assert lines(text) == said


@pytest.mark.parametrize(
    "first", ["```", "```python", "``` python", '```python title="a.py"', "```js {1,3}", "~~~python", "~~~~ python"]
)
def test_code_that_is_closed_is_read_as_it_stands(first: str) -> None:
    last = "~~~~" if "~" in first else "```"
    text = f"So:\n{first}\nx = *y* # __z__\n\n# no heading\n{last}\nIt *ran*."
    assert lines(text) == ["So:", "x = *y* # __z__", "# no heading", "It ran."]
    assert lines(text.replace("\n", "\n> ")) == ["So:", "x = *y* # __z__", "# no heading", "It ran."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("**Read this note with care.", "Read this note with care."),
        ("It is about your health.** Then go on.", "It is about your health. Then go on."),
        ("*Italic* two is here.** Then", "Italic two is here. Then"),
        ('_"Hello there," he said.', '"Hello there," he said.'),
        ("He is my friend__, and yours.", "He is my friend, and yours."),
        ("**[A link](https://x.org/a_b) is here.", "A link is here."),
    ],
)
def test_a_mark_of_emphasis_without_its_other_end_is_left_out(text: str, said: str) -> None:
    assert plain(text).strip() == said


@pytest.mark.parametrize(
    "text", ["5 * 6 is 30", "2*x*3", "all *.py files", "a snake_case name", "C*-algebras", "dial *67*123#"]
)
def test_signs_that_are_no_emphasis_stay(text: str) -> None:
    assert plain(text).strip() == text


@pytest.mark.parametrize("text", ["```a\n" * 4_000, "````a\n" * 2_000 + "```\n" * 2_000, "x\n~~~a\n" * 2_500])
def test_a_text_of_ends_of_code_is_read_in_no_time(text: str) -> None:
    begun = time.process_time()
    plain(text)
    assert time.process_time() - begun < 1.0


@given(st.lists(st.text("abcdeXYZ ,.!?'äßñж字♪:;\n", max_size=40)).map("\n".join))
def test_a_text_without_marks_is_untouched(text: str) -> None:
    assert plain(text) == text


@given(st.text(alphabet=st.sampled_from("ab1 .\n*_`#>[]()~|\\-+!<"), max_size=80))
def test_any_mixture_of_marks_is_read(text: str) -> None:
    assert [sign for sign in text if sign == "b"] >= [sign for sign in plain(text) if sign == "b"]
