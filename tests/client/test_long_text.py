"""A long text is gathered to passages. What counts for all texts is shown for any text."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_client.errors import InvalidRequest
from bark_client.long_text import (
    FIRST_PASSAGE_CHARACTERS,
    MAX_PASSAGE_CHARACTERS,
    Gatherer,
    Passage,
    gather,
    gather_async,
    is_long,
)

WORDS = (
    "I",
    "am",
    "tired",
    "of",
    "Dr.",
    "Smith",
    "3.",
    "[laughs]",
    "café",
    "好",
    "今日は。",
    "(so",
    "to)",
    "z. B.",
)
ENDS = (" ", " ", " ", " ", ". ", "! ", '." ', ", ", "; ", "\n", ".\n", "\n\n", ".\n\n", "  \n \n", "…", " " * 60)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Texts of some thousand characters, repeated parts among them, so that passages end for every reason."""
    words = draw(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(ENDS)), min_size=1, max_size=60))
    return "".join(word + end for word, end in words) * draw(st.integers(1, 30))


def in_pieces(text: str, sizes: Iterable[int]) -> list[str]:
    """The text in pieces of these sizes, again and again."""
    pieces, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(text):
            return pieces
        pieces.append(text[at : at + size])
        at += size
    return pieces


def words_of(text: str) -> list[str]:
    return list("".join(text.split()))


def spoken(text: str) -> list[str]:
    return [passage.text for passage in gather(text)]


@given(texts())
def test_nothing_is_lost_nothing_comes_twice_and_order_is_kept(text: str) -> None:
    passages = spoken(text)
    assert words_of("".join(passages)) == words_of(text)
    assert all(0 < len(passage) <= MAX_PASSAGE_CHARACTERS for passage in passages)


@given(st.text(max_size=4_000))
def test_of_any_text_only_what_has_no_word_is_left_out(text: str) -> None:
    joined = "".join(spoken(text))
    assert [sign for sign in joined if sign.isalnum()] == [sign for sign in text if sign.isalnum()]
    assert all(any(map(str.isalnum, passage)) for passage in spoken(text))


@given(texts(), st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_the_pieces_that_a_text_comes_in_change_no_passage(text: str, sizes: list[int]) -> None:
    assert list(gather(in_pieces(text, sizes))) == list(gather(text))


@given(texts())
def test_awaited_pieces_give_the_same_passages(text: str) -> None:
    async def awaited() -> list[Passage]:
        async def pieces() -> AsyncIterator[str]:
            for piece in in_pieces(text, [7]):
                yield piece

        return [passage async for passage in gather_async(pieces())]

    assert asyncio.run(awaited()) == list(gather(text))


SENTENCE = "This sentence has few characters, in all of them. "


def test_passages_end_at_sentences_and_grow() -> None:
    passages = spoken(SENTENCE * 200)
    assert all(passage.endswith("of them.") for passage in passages)
    lengths = [len(passage) for passage in passages]
    assert lengths[0] <= FIRST_PASSAGE_CHARACTERS
    assert lengths[:4] == sorted(lengths[:4])
    assert min(lengths[3:-1]) > MAX_PASSAGE_CHARACTERS - 60


def test_a_paragraph_end_comes_before_a_sentence_end() -> None:
    first, second, *_ = gather(f"{SENTENCE * 3}\n\n{SENTENCE * 9}")
    assert first.text == (SENTENCE * 3).strip()
    assert (first.gap, second.gap) == ("none", "paragraph")
    first, second, *_ = gather(SENTENCE * 9)
    assert (first.gap, second.gap) == ("none", "sentence")


def flushed(*parts: str) -> list[Passage]:
    """The sentences of a text that is flushed after each part."""
    gatherer = Gatherer(sentences=True)
    return [passage for part in parts for passage in (*gatherer.feed(part), *gatherer.flush())]


@pytest.mark.parametrize("space", [" ", "\n", "\n\n", " \n \n "])
def test_a_flush_between_two_sentences_changes_nothing(space: str) -> None:
    text = f"This sentence is the first.{space}This is the one after it."
    start = text.index(".") + 1
    for end in range(start, start + len(space) + 1):
        gatherer = Gatherer(sentences=True)
        assert flushed(text[:end], text[end:]) == [*gatherer.feed(text), *gatherer.end()]


@pytest.mark.parametrize(
    ("part", "gap"),
    [
        ("It is nice to see you", "part"), ("It is nice to see you, ", "part"), ("Good morning, Dr. ", "part"),
        ("Good morning. And then", "part"), ("Good morning.", "sentence"), ('"Good morning!"', "sentence"),
        ("お元気ですか。", "sentence"), ("Good morning. [pause 1s]", "none"), ("The first chapter\n\n", "paragraph"),
    ],
)  # fmt: skip
def test_a_flush_within_a_sentence_makes_no_gap(part: str, gap: str) -> None:
    assert [passage.gap for passage in flushed(part, "", "this fine morning.")] == ["none", gap]


def test_a_blank_line_after_a_flush_within_a_sentence_ends_the_paragraph() -> None:
    assert [passage.gap for passage in flushed("The first chapter", "\n", "\nIt was night.")] == ["none", "paragraph"]


def test_a_voice_speaks_on_in_the_next_passages_until_another_tag() -> None:
    text = f"[voice:joe]{SENTENCE * 9}[Voice = jo] {SENTENCE * 30}[/voice]{SENTENCE * 90}[voice over]"
    tags = [passage.tags for passage in gather(text)]
    assert tags == ["", "[voice:joe]", "[Voice = jo]", "[Voice = jo]", "", ""]


def test_a_pause_between_passages_takes_the_place_of_the_gap() -> None:
    for pause in ("[pause 2s]", "[ Pause: 2s ][voice:jo]", "[voice:jo]\n\n[pause]"):
        passages = list(gather(f"{SENTENCE * 4}\n\n{pause}\n\n{SENTENCE * 9}"))
        assert [passage.gap for passage in passages] == ["none", "none"]
        assert sum((passage.tags + passage.text).lower().count("pause") for passage in passages) == 1


def test_passages_of_pauses_alone_go_with_the_next_words() -> None:
    passages = list(gather("[pause 1s]" * 300 + SENTENCE))
    assert [passage.text.count(SENTENCE.strip()) for passage in passages] == [1]
    assert (passages[0].tags + passages[0].text).count("[pause 1s]") == 300
    assert spoken("[pause 1s]" * 300) == []


def test_the_first_passage_is_there_before_the_text_ends() -> None:
    def endless() -> Iterable[str]:
        while True:
            yield SENTENCE

    assert next(iter(gather(endless()))).text.endswith("of them.")


@pytest.mark.parametrize(
    "name",
    [
        "Dr. Smith",
        "Prof. Dr. Weiß",
        "z. B. Anna",
        "J. R. R. Tolkien",
        "am 20. Januar",
        "डॉ. Sharma",
        "Sn. Demir",
        "[pause 0.5s. X]",
    ],
)
def test_no_passage_ends_within_a_name(name: str) -> None:
    for offset in range(60):
        text = f"{'word ' * 30}{'x' * offset} {name} {'word ' * 30}ended here. {SENTENCE * 10}"
        assert all(passage.endswith(("here.", "of them.")) for passage in spoken(text))


def test_a_text_without_any_end_is_cut_between_words_then_anywhere() -> None:
    assert all(set(passage.split()) == {"word"} for passage in spoken("word " * 3_000))
    assert [len(passage) for passage in spoken("y" * 5_000)] == [2_000, 2_000, 1_000]
    assert all(passage.endswith("é") for passage in spoken("é" * 3_000))


def test_a_cut_within_a_broken_line_keeps_the_lines_together() -> None:
    lines = "The hall was dark when they came home at last, and the\nfire had burnt down to a red glow. Nobody spoke\n"
    passages = spoken(lines * 80)
    assert len(passages) > 3
    for passage in passages[1:]:
        assert all(len(line) > 45 for line in passage.splitlines()[:-1])


def test_short_lines_stay_lines_after_a_cut() -> None:
    verse = "O cold and bitter wind! Blow on,\nblow on forever here! Bring us the snow.\n"
    passages = spoken(verse * 30)
    assert sum(passage.count("\n") for passage in passages) >= 60 - len(passages)


def test_texts_that_take_several_requests_are_known() -> None:
    assert is_long("x" * 20_001) and is_long(["x"]) and is_long(iter(()))
    assert not is_long("x" * 20_000) and not is_long(b"x") and not is_long(None)


def test_fragments_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="fragments of type str, not int"):
        list(gather(["Hello.", 5]))  # type: ignore[list-item]


@pytest.mark.parametrize("kind", ["sentences", "words", "dots", "spaces in a tag"])
def test_the_sentences_of_a_long_text_are_found_in_no_time(kind: str) -> None:
    """The gateway waits for it. A row of 10 000 dots took more than a minute when each sign read the rest."""
    text = {
        "sentences": "This is a sentence. " * 3_000,
        "words": "word " * 12_000,
        "dots": "." * 60_000,
        "spaces in a tag": ("[voice" + " " * 1_900 + "x ") * 30,
    }[kind]
    begun = time.process_time()
    gatherer = Gatherer(sentences=True)
    passages = [*gatherer.feed(text), *gatherer.end()]
    assert time.process_time() - begun < 1.0
    assert all(len(passage.text) <= MAX_PASSAGE_CHARACTERS + 40 for passage in passages)


@given(texts(), st.lists(st.integers(1, 300), min_size=1, max_size=20))
@settings(deadline=None)
def test_the_pieces_that_a_text_comes_in_change_no_sentence(text: str, sizes: list[int]) -> None:
    whole, parts = Gatherer(sentences=True), Gatherer(sentences=True)
    found = [passage for piece in in_pieces(text, sizes) for passage in parts.feed(piece)]
    assert [*found, *parts.end()] == [*whole.feed(text), *whole.end()]
