"""A text that is spoken passage by passage has the words of the same text in one request, whatever its Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bark_client.long_text import Gatherer, Passage
from bark_client.script import Script
from bark_serving.bundle import Vocabulary
from bark_serving.spec import TextSpec
from bark_serving.speech.text import Reading, prepare
from bark_serving.speech.text.planning import Plan

ANSWERS = (
    "**Read this note with care. It is about your health.** Then go on.\n\n"
    "Then we say *one more thing here. And one last thing.* Bye.\n",
    "Sure! Here is the code you need:\n\n```python\n# This is the first. It is good\nx = 2 * y * z\n\n"
    "y = __init__(**x)\n```\n\nNow **run** it in your `shell` and see. Then *wait* for the answer.\n",
    "## What you need\n\n1. **Open the box with care. Take the key out.** It is heavy.\n2. Turn the key to the left. "
    "*Wait a moment. Or two.*\n\n- [ ] Buy milk and bread. Not butter.\n- __Sleep well. Sleep long.__\n",
    "| name | what it is. Or was |\n|:---|---:|\n| one | It is **the first** one. It is good. |\n| two "
    "| It is the second one. |\n| three | It is `the last. One` |\n\nThat is all there is. Good bye.\n",
    "> **He said it to me so. And\n> then he left us all.** Bye to you.\n\n***It is over now. It is done.* And so am "
    "I.** Yes.\n",
    "See [the page about cats. It is long. Very long, and it has many pictures](https://x.org/a_b_c) today. Then "
    "use `a *b. C* d` for it. The area is 5*6 = 30. And 2*3 is six. My snake_case. Your snake_case.\n",
    "~~This was wrong all the time. So was this.~~ But now it is right. **Bold _and soft. Both of it._ So.** End.\n",
    "He went to bed very late.\n\n~~~ Three days later ~~~\n\nHe *ran* home. He __sat. He slept__ down.\n\n~~~\n\n"
    "*Then he rose. He ate.*\n\n~~~\n\nThe end has come now.\n",
    "这是**强调的句子，真的很长很长很长很长很长很长很长很长。还有一句话，也是很长很长的**。然后完了。**再见，我的朋友们，明天见，后天见，天天见。**\n",
)  # fmt: skip
BLOCKS = (
    "It is a good day. **We went out. We came home.** It rained a little.",
    "*It was a long way home. Nobody spoke a word.\nNobody sang a song. We slept.* Good night to you.",
    "# A title. It has two parts",
    "- one thing. And then another one\n- **the last thing of all. No more of it.**\n  - a thing within a thing",
    "1. Open it. Then close it again.\n2. __Close it. Then open it again.__",
    "```py\nf(*x)  # It is so. It is good.\n\nreturn x * y\n```",
    "~~~sh\necho __x__. Done so. End\n~~~",
    "~~~",
    "~~~ A week of rain later ~~~",
    "| a | b |\n|---|---|\n| 1 | It is so. It is good. |\n| 2 | _It is_ not. It is bad. |",
    "> It is a quotation. **It is a bold one. It ends here.**",
    "It costs 5*6 dollars. So 2*3 is six. `x *y. Z* x` is code. Use the_snake_case. And [this. And that](x.html) too.",
)


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


DOCUMENTS = st.lists(st.sampled_from(BLOCKS), max_size=12).map(lambda found: "\n\n".join([BLOCKS[0], *found]))


@given(text=DOCUMENTS, size=st.integers(1, 300), sentences=st.booleans())
@example(text="\n\n".join(ANSWERS[:-1]) * 3, size=500, sentences=False)
@settings(deadline=None, max_examples=60)
def test_a_text_in_passages_has_the_words_of_the_whole_text(
    text: str, size: int, sentences: bool, bark: Vocabulary
) -> None:
    assert streamed(text, bark, size=size, sentences=sentences)[0] == read(text, bark)[0]
