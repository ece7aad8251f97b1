"""A text that is spoken sentence by sentence has the words of the same text in one request, whatever is emphasised."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bark_client.long_text import Gatherer, Passage
from bark_client.script import Script
from bark_serving.bundle import Vocabulary
from bark_serving.spec import TextSpec
from bark_serving.speech.text import Reading, prepare
from bark_serving.speech.text.planning import Plan

ANSWERS = (
    "**Read this note with care. It is about your health.** Then go on.\n\n"
    "Then we say *one more thing here. And one last thing.* Bye.\n",
    "## What you need\n\n1. **Open the box with care. Take the key out.** It is heavy.\n2. Turn the key to the left. "
    "*Wait a moment. Or two.*\n\n- [ ] Buy milk and bread. Not butter.\n- __Sleep well. Sleep long.__\n",
    "> **He said it to me so. And\n> then he left us all.** Bye to you.\n\n***It is over now. It is done.* And so am "
    "I.** Yes.\n",
    "See [the page about cats. It is long. Very long, and it has many pictures](https://x.org/a_b_c) today. Then "
    "use `a *b. C* d` for it. The area is 5*6 = 30. And 2*3 is six. My snake_case. Your snake_case.\n",
    "~~This was wrong all the time. So was this.~~ But now it is right. **Bold _and soft. Both of it._ So.** End.\n",
    "He went to bed very late.\n\n~~~ Three days later ~~~\n\nHe *ran* home. He __sat. He slept__ down.\n\n~~~\n\n"
    "*Then he rose. He ate.*\n\n~~~\n\nThe end has come now.\n",
)  # fmt: skip


def read(text: str, vocabulary: Vocabulary) -> tuple[list[str], tuple[str, ...]]:
    """The words and marks that are said, and what the answer warns of."""
    plan = Plan(tokens=256, longest_s=13.0)
    found = prepare(text, reading=Reading(), vocabulary=vocabulary, spoken=TextSpec().languages, how=plan)
    return re.findall(r"[^\W_]+|[*_~#|>`]", " ".join(piece.text for piece in found.pieces)), found.notes


def passages(text: str, *, size: int, sentences: bool) -> Iterator[Passage]:
    gatherer = Gatherer(sentences=sentences)
    for start in range(0, len(text), size):
        yield from gatherer.feed(text[start : start + size])
    yield from gatherer.end()


def streamed(text: str, vocabulary: Vocabulary, *, size: int, sentences: bool) -> tuple[list[str], list[str]]:
    """The words of all passages, and what they warn of."""
    script = Script(voice=None, seed=1, options={})
    found = [read(script.text(one), vocabulary) for one in passages(text, size=size, sentences=sentences)]
    return [word for words, _ in found for word in words], [note for _, notes in found for note in notes]


@pytest.mark.parametrize("text", ANSWERS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_answer_in_sentences_has_the_words_of_the_whole_answer(text: str, size: int, bark: Vocabulary) -> None:
    words, warnings = read(text, bark)
    assert warnings == ()
    assert streamed(text, bark, size=size, sentences=True) == (words, [])
