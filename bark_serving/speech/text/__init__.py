"""A request's text → the pieces that the semantic stage speaks. Pure: a checkpoint's data come as arguments.

The steps, in order: compose Unicode; take Markdown away; find the language; write numbers as words; replace signs that
the vocabulary lacks, and leave out what has no equivalent; cut endless words; split into sentences; cut what exceeds a
prompt. What is lost or read as something else is told in a note, which becomes a warning of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bark_serving.errors import InvalidRequest
from bark_serving.speech.text import language as languages
from bark_serving.speech.text import markup, signs
from bark_serving.speech.text.cutting import cut
from bark_serving.speech.text.numbers import spell
from bark_serving.speech.text.sentences import collapse, sentences

MOSTLY_UNKNOWN = 0.5  #: share of a text's tokens that are the unknown one from which on an answer warns


class Vocabulary(Protocol):
    """What a checkpoint's tokenizer can write."""

    @property
    def max_word(self) -> int:
        """Characters that it takes as one word."""

    @property
    def unknown(self) -> int | None:
        """The id of what it has no token for."""

    def tokenise(self, text: str) -> Sequence[int]:
        """Ids, without special tokens."""

    def knows(self, text: str) -> bool:
        """Whether it has tokens for the text, none of them the unknown one."""


@dataclass(frozen=True)
class Reading:
    """How a text is to be read; see the options of a request."""

    language: str | None = None  #: two letters; None: found from voice and text
    markdown: bool = True  #: take Markdown's signs away
    fold_signs: bool = True  #: replace and leave out signs that the vocabulary lacks
    spell_numbers: bool = False
    split: bool = True  #: into sentences


@dataclass(frozen=True)
class Prepared:
    """What is spoken: pieces of at most a prompt each, and what was done to the text, in sentences."""

    pieces: tuple[str, ...]
    language: str
    notes: tuple[str, ...]


def prepare(
    text: str,
    *,
    reading: Reading,
    vocabulary: Vocabulary,
    spoken: Sequence[str],
    limit: int,
    voice: str | None = None,
) -> Prepared:
    """`text` as pieces of at most `limit` tokens. Raises `InvalidRequest` where there is nothing to say.

    spoken: the checkpoint's languages, two letters each. voice: its name, which may tell a language.
    """
    text = signs.compose(text)
    if reading.markdown:
        text = markup.plain(text)
    language, notes = languages.choose(text, asked=reading.language, voice=voice, languages=spoken)
    if reading.spell_numbers:
        text = spell(text, language=language)
    for step in (signs.fold, signs.leave_out) if reading.fold_signs else ():
        cleaned = step(text, knows=vocabulary.knows)
        text, notes = cleaned.text, notes + cleaned.notes
    cleaned = signs.cut_long_words(text, knows=vocabulary.knows, limit=vocabulary.max_word)
    found = sentences(cleaned.text, language=language) if reading.split else [collapse(cleaned.text)]
    said = [sentence for sentence in found if signs.has_words(sentence) and vocabulary.tokenise(sentence)]
    if not said:
        raise InvalidRequest("text holds nothing to say: no letter and no digit. Send at least one word.")
    if silent := [sentence for sentence in found if sentence not in said]:
        notes += (f"nothing can be said for {signs.quoted(silent)}: left out.",)
    pieces = _pieces(said, vocabulary=vocabulary, limit=limit, whole=not reading.split)
    return Prepared(pieces, language, notes + cleaned.notes + _unknown_words(said, vocabulary))


def _pieces(said: Sequence[str], *, vocabulary: Vocabulary, limit: int, whole: bool) -> tuple[str, ...]:
    """The sentences, those over the limit cut. `whole`: refuse instead of cutting."""
    if whole and (count := len(vocabulary.tokenise(said[0]))) > limit:
        raise InvalidRequest(f"text has {count} tokens; one sentence holds {limit}: let split_sentences cut it.")
    pieces = (piece for sentence in said for piece in cut(sentence, tokenise=vocabulary.tokenise, limit=limit))
    return tuple(piece for piece in pieces if vocabulary.tokenise(piece))


def _unknown_words(said: Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """A note where most of the text is unknown to the tokenizer."""
    tokens = [token for sentence in said for token in vocabulary.tokenise(sentence)]
    unknown = tokens.count(vocabulary.unknown) if vocabulary.unknown is not None else 0
    if unknown < MOSTLY_UNKNOWN * len(tokens):
        return ()
    words = dict.fromkeys(word for sentence in said for word in sentence.split() if not vocabulary.knows(word))
    share = f"{unknown} of {len(tokens)} tokens"
    return (f"{share} are unknown to this checkpoint, which cannot say them: {signs.quoted(words)}.",)
