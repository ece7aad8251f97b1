"""A request's text → the pieces that the semantic stage speaks. Pure: a checkpoint's data come as arguments.

The steps, in order: compose Unicode; find the tags of pauses and voices; take Markdown away; make ligatures and letters
of other widths plain ones; find the language; write numbers as words; replace signs that the vocabulary lacks, and
leave out what has no equivalent; cut endless words; split into sentences; join short ones and cut long ones. What is
lost or read as something else is told in a note, which becomes a warning of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bark_serving.errors import InvalidRequest
from bark_serving.speech.text import language as languages
from bark_serving.speech.text import markup, signs, spans
from bark_serving.speech.text.numbers import spell
from bark_serving.speech.text.planning import COMMAS, Piece, Plan, plan, unsplit
from bark_serving.speech.text.sentences import NOTE, Sentence, collapse, sentences, sung

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
    fold_signs: bool = True  #: replace and leave out signs, and replace letters, that the vocabulary lacks
    spell_numbers: bool = False
    split: bool = True  #: into sentences


@dataclass(frozen=True)
class Prepared:
    """What is spoken: pieces of at most a prompt each, and what was done to the text, in sentences."""

    pieces: tuple[Piece, ...]
    language: str
    notes: tuple[str, ...]
    end_silence_s: float = 0.0  #: after the last piece

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices that tags name, in order of first use."""
        return tuple(dict.fromkeys(piece.voice for piece in self.pieces if piece.voice))


def prepare(
    text: str,
    *,
    reading: Reading,
    vocabulary: Vocabulary,
    spoken: Sequence[str],
    how: Plan,
    voice: str | None = None,
) -> Prepared:
    """`text` as pieces of at most `how.tokens` tokens. Raises `InvalidRequest`: nothing to say, or a tag is wrong.

    spoken: the checkpoint's languages, two letters each. voice: its name, which may tell a language.
    """

    def knows(sign: str) -> bool:
        return spans.is_mark(sign) or vocabulary.knows(sign)

    text, tags = spans.hide(signs.compose(text))
    if reading.markdown:
        text = markup.plain(spans.past_markdown(text))
    letters = signs.fold_letters(text, knows=knows) if reading.fold_signs else signs.Cleaned(text)
    text = letters.text
    voice = voice or next((tag.name for tag in tags if isinstance(tag, spans.VoiceChange) and tag.name), None)
    language, notes = languages.choose(spans.without(text), asked=reading.language, voice=voice, languages=spoken)
    notes += letters.notes
    text = spans.apart(text)
    if reading.spell_numbers:
        text = spell(text, language=language)
    for step in (signs.fold, signs.leave_out) if reading.fold_signs else ():
        cleaned = step(text, knows=knows)
        text, notes = cleaned.text, notes + cleaned.notes
    cleaned = signs.cut_long_words(text, knows=knows, limit=vocabulary.max_word)
    segments, end_silence_s = spans.segments(cleaned.text, tags)
    found = sung([one for part in segments for one in _sentences(part, language=language, split=reading.split)])
    said, silent, left_over = _with_words(found, vocabulary)
    if not said:
        raise InvalidRequest("text holds nothing to say: no letter and no digit. Send at least one word.")
    if silent:
        notes += (f"nothing can be said for {signs.quoted(silent)}: left out.",)
    if reading.split:
        comma = next(filter(vocabulary.knows, (COMMAS.get(language, ","), ",")), "")
        pieces = plan(said, tokenise=vocabulary.tokenise, language=language, how=how, comma=comma)
    else:
        _check_size(said, vocabulary, limit=how.tokens)
        pieces = unsplit(said, language=language, how=how)
    notes += cleaned.notes + _unknown_words([one.text for one in said], vocabulary)
    return Prepared(tuple(pieces), language, notes, end_silence_s + left_over)


def _sentences(segment: spans.Segment, *, language: str, split: bool) -> list[Sentence]:
    """The sentences of a segment; the first one has its pause."""
    found = sentences(segment.text, language=language) if split else [Sentence(collapse(segment.text))]
    first = replace(found[0], pause_s=segment.pause_s, paragraph=segment.paragraph, whole=segment.whole)
    return [replace(one, voice=segment.voice) for one in (first, *found[1:])]


def _with_words(found: Sequence[Sentence], vocabulary: Vocabulary) -> tuple[list[Sentence], list[str], float]:
    """The sentences with something to say, the texts of the others, and the pause before the others at the end.

    What stands before a sentence that is left out stands before the next one then.
    """
    said: list[Sentence] = []
    silent: list[str] = []
    pause_s: float | None = None
    paragraph = False
    for one in found:
        if one.pause_s is not None:
            pause_s = (pause_s or 0.0) + one.pause_s
        paragraph |= one.paragraph
        if signs.has_words(one.text) and vocabulary.tokenise(one.text):
            said.append(replace(one, pause_s=pause_s, paragraph=paragraph and bool(said)))
            pause_s, paragraph = None, False
        elif one.text.strip(f"{NOTE} "):
            silent.append(one.text)
    return said, silent, pause_s or 0.0


def _check_size(said: Sequence[Sentence], vocabulary: Vocabulary, *, limit: int) -> None:
    for one in said:
        if (count := len(vocabulary.tokenise(one.text))) > limit:
            raise InvalidRequest(f"text has {count} tokens; one sentence holds {limit}: let split_sentences cut it.")


def _unknown_words(said: Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """A note where most of the text is unknown to the tokenizer."""
    tokens = [token for sentence in said for token in vocabulary.tokenise(sentence)]
    unknown = tokens.count(vocabulary.unknown) if vocabulary.unknown is not None else 0
    if unknown < MOSTLY_UNKNOWN * len(tokens):
        return ()
    words = dict.fromkeys(word for sentence in said for word in sentence.split() if not vocabulary.knows(word))
    share = f"{unknown} of {len(tokens)} tokens"
    return (f"{share} are unknown to this checkpoint, which cannot say them: {signs.quoted(words)}.",)
