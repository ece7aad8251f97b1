"""The sentences that the teacher speaks, and their tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from build_engines.miniature.sentences import TEXTS, fill_template, letter_tokenizer, sentences, varied

DATA = Path(__file__).parents[2] / "data/miniature"


@pytest.fixture(scope="module")
def spoken() -> list[str]:
    return sentences(drawn=3_000, seed=0)


@pytest.fixture(scope="module")
def unseen() -> list[str]:
    """The sentences that speech is tested with."""
    return [line for name in ("unseen.txt", "first_words.txt") for line in (DATA / name).read_text().splitlines()]


def test_the_same_seed_gives_the_same_sentences_each_once(spoken: list[str]) -> None:
    assert sentences(drawn=3_000, seed=0) == spoken != sentences(drawn=3_000, seed=1)
    assert len(set(spoken)) == len(spoken)
    written = sum(len(path.read_text().split("\n")) - 1 for path in TEXTS.glob("*.txt"))
    assert len(spoken) == written + 3_000


def test_every_sentence_has_known_tokens_only_and_fits_a_prompt(spoken: list[str], unseen: list[str]) -> None:
    tokenizer = letter_tokenizer()
    unknown = tokenizer.token_to_id("[UNK]")
    for sentence in [*spoken, *unseen]:
        ids = tokenizer.encode(sentence, add_special_tokens=False).ids
        assert unknown not in ids, sentence
        assert 0 < len(ids) <= 80, sentence
        assert "{" not in sentence and sentence[-1] in ".!?", sentence


def test_no_sentence_of_the_test_sets_is_spoken(spoken: list[str], unseen: list[str]) -> None:
    def plain(sentence: str) -> str:
        return "".join(letter for letter in sentence.lower() if letter.isalnum())

    assert not {plain(s) for s in spoken} & {plain(s) for s in unseen}


def test_a_template_is_filled_from_its_slots_and_with_numbers_in_range() -> None:
    random = np.random.default_rng(0)
    found = {fill_template("{who} has {n2} cats.", {"who": ["anna", "tom"]}, random) for _ in range(500)}
    assert {sentence.split()[0] for sentence in found} == {"Anna", "Tom"}
    numbers = [int(sentence.split()[2]) for sentence in found]
    assert min(numbers) >= 2 and max(numbers) <= 100


def test_variations_keep_the_shape_of_a_sentence_and_have_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_engines.miniature.sentences._frequent_words", lambda: (["tree", "to"], [1, 100]))
    texts = ["Where is my yellow umbrella?", "No."]
    made = varied(texts, count=400, longest=27, seed=0)
    assert made == varied(texts, count=400, longest=27, seed=0) != varied(texts, count=400, longest=27, seed=1)
    assert len(made) == 400 and max(map(len, made)) <= 27
    long = [text for text in made if text.endswith("?")]
    assert 100 < len(long) < 300 and all(text[0].isupper() for text in made)
    words = [text.rstrip("?").split() for text in long]
    assert all(len(found) == 5 for found in words)
    replaced = np.mean([found[3] != "yellow" for found in words])
    assert 0.4 < replaced < 0.6
    # words are drawn with the square root of their frequency
    drawn = [found[3] for found in words if found[3] != "yellow"]
    assert 5 < drawn.count("to") / drawn.count("tree") < 20


def test_tokens_are_letters_and_ignore_case() -> None:
    tokenizer = letter_tokenizer()
    assert tokenizer.encode("To be.").tokens == ["t", "##o", "b", "##e", "."]
    assert tokenizer.encode("TO BE.").ids == tokenizer.encode("to be.").ids
    assert tokenizer.decode(tokenizer.encode("To be, or not?").ids) == "to be, or not?"


def test_unknown_punctuation_becomes_known_punctuation() -> None:
    tokenizer = letter_tokenizer()
    assert tokenizer.encode("“It’s late; go — now!”").ids == tokenizer.encode("It's late, go , now!").ids
