"""Tags of pauses and voices."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_client.tags import tags
from bark_serving.bundle import Vocabulary
from bark_serving.errors import InvalidRequest
from bark_serving.spec import TextSpec
from bark_serving.speech.text import Prepared, Reading, prepare, spans
from bark_serving.speech.text.planning import Plan
from bark_serving.speech.text.spans import MAX_VOICES

Said = tuple[str, str | None, float]  #: words, voice, silence before them


def read(text: str, vocabulary: Vocabulary, *, spoken: tuple[str, ...] = TextSpec().languages, **how: Any) -> Prepared:
    plan = Plan(tokens=256, longest_s=15.4, sentence_pause_s=0.2, paragraph_pause_s=0.4)
    return prepare(text, reading=Reading(**how), vocabulary=vocabulary, spoken=spoken, how=plan)


def said(text: str, vocabulary: Vocabulary, **how: Any) -> list[Said]:
    return [(piece.text, piece.voice, piece.silence_s) for piece in read(text, vocabulary, **how).pieces]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("[pause 0.5s]", 0.5),
        ("[pause 500ms]", 0.5),
        ("[pause]", 0.5),
        ("[PAUSE 2 Seconds]", 2.0),
        ("[ pause : 1,5 s ]", 1.5),
        ("[pause=1]", 1.0),
        ("[pause .25s]", 0.25),
        ("[pause 0s]", 0.0),
        ("[pause 10s]", 10.0),
        ("[pause 1s] [pause 250ms]", 1.25),
    ],
)
def test_a_pause_is_silence_before_the_words_after_it(tag: str, seconds: float, bark: Vocabulary) -> None:
    assert said(f"Hello there, {tag} my friend.", bark) == [
        ("Hello there,", None, 0.0),
        ("my friend.", None, pytest.approx(seconds)),
    ]


@pytest.mark.parametrize("tag", ["[voice:joe]", "[VOICE:joe]", "[ Voice : joe ]", "[voice=joe]", "[voice\u00a0: joe]"])
@pytest.mark.parametrize("back", ["[voice]", "[voice:]", "[/voice]", "[ /Voice ]"])
def test_a_voice_speaks_until_the_next_tag(tag: str, back: str, bark: Vocabulary) -> None:
    text = f"I begin. {tag} He goes on. [voice:v2/en_speaker_6] She too. {back} I end."
    found = read(text, bark)
    assert [(piece.text, piece.voice) for piece in found.pieces] == [
        ("I begin.", None),
        ("He goes on.", "joe"),
        ("She too.", "v2/en_speaker_6"),
        ("I end.", None),
    ]
    assert found.voices == ("joe", "v2/en_speaker_6")


def test_a_pause_takes_the_place_of_the_gaps_between_pieces(bark: Vocabulary) -> None:
    text = "Here is the first one of them. Here is the second.\n\nHere is a third. [pause 1s]\n\nHere is the fourth."
    assert [silence for _, _, silence in said(text, bark)] == [0.0, 0.2, 0.4, 1.0]
    assert said("[pause 2s] Hello.", bark) == [("Hello.", None, 2.0)]
    assert read("Hello. [pause 2s] [pause 1s]", bark).end_silence_s == 3.0


@pytest.mark.parametrize(
    "text",
    [
        "Hello **there[pause 1s]** my _friend_.",
        "- Hello there[pause 1s]\n- my friend.",
        "# Hello there [pause 1s]\n\nmy friend.",
        "Hello [there[pause 1s]](https://x.org/a) my friend.",
        "Hello there [pause 1s](my friend.)",
        "`Hello there [pause 1s]` my friend.",
        "| Hello there [pause 1s] | my friend. |\n|---|---|",
    ],
)
@pytest.mark.parametrize("how", [{}, {"spell_numbers": True}])
def test_a_tag_survives_markup_numbers_and_signs(
    text: str, how: dict[str, bool], bark: Vocabulary, miniature: Vocabulary
) -> None:
    for vocabulary, spoken in ((bark, TextSpec().languages), (miniature, ("en",))):
        pieces = said(text, vocabulary, spoken=spoken, **how)
        assert [silence for _, _, silence in pieces] == [0.0, 1.0]
        assert pieces[0][0].strip("*`,") == "Hello there" and "my friend." in pieces[1][0]
        assert "pause" not in str(pieces)


OTHER_WORDS = ["laughs", "pauses", "pause-button", "pause, then a sigh", "pause…", "paused: 1s", "voices", "voice over"]
OTHER_WORDS += [
    "voice over the phone",
    "voice cracks",
    "Voice-over",
    "voice-over: Joe",
    "voice's",
    "/voice over",
    "VOICE 2",
]


@pytest.mark.parametrize("words", OTHER_WORDS)
@pytest.mark.parametrize("end", ["]", " [sighs]]", "\n"])
def test_other_words_in_brackets_are_left_to_the_model(words: str, end: str, bark: Vocabulary) -> None:
    found = read(f"[{words}{end} The city sleeps.", bark, markdown=False, fold_signs=False)
    assert found.voices == () and [piece.silence_s for piece in found.pieces] == [0.0] * len(found.pieces)
    assert " ".join(piece.text for piece in found.pieces).startswith(f"[{words}")


@pytest.mark.parametrize(
    "words", ["pause 1s", "pause: 1s", "pause", "voice:joe", "voice=jo", "voice", "/voice", *OTHER_WORDS]
)
def test_client_and_server_find_the_same_tags(words: str) -> None:
    text = f"Hello. [{words}] Bye."
    assert len(spans.hide(text)[1]) == len(list(tags(text)))


def test_a_backslash_keeps_a_bracket(bark: Vocabulary) -> None:
    assert said("Write \\[pause\\] or \\[voice:joe\\] here.", bark) == [
        ("Write [pause] or [voice:joe] here.", None, 0.0)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pause 11s] a", "'[pause 11s]' is too long: a pause has at most 10 s."),
        ("[pause 99999999999999999999ms] a", "is too long: a pause has at most 10 s."),
        ("[pause " + "9" * 5_000 + "s] a", "9' is too long: a pause has at most 10 s."),
        ("[pause -1s] a", "'[pause -1s]' is no pause: write [pause], [pause 0.5s] or [pause 500ms]."),
        ("[pause forever] a", "'[pause forever]' is no pause"),
        ("[pause inf] a", "'[pause inf]' is no pause"),
        ("[pause 1h] a", "'[pause 1h]' is no pause"),
        ("a [pause 10s]" * 31, "the pauses of the text add up to 310 s; the limit is 300 s: split the text"),
        ("[voice:joe [pause 1s]] a", "'[voice:joe ' is not closed: write ] before the next [."),
        ("[pause [laughs]] a", "'[pause ' is not closed"),
        ("".join(f"[voice:v{n}] a" for n in range(MAX_VOICES + 1)), "the text names 33 voices; the limit is 32"),
        ("[pause 1s] [voice:joe]", "text holds nothing to say"),
        ("[voice:joe] ?! [pause]", "text holds nothing to say"),
    ],
)
@pytest.mark.parametrize("split", [True, False])
def test_a_wrong_tag_is_refused_in_one_sentence(text: str, message: str, split: bool, bark: Vocabulary) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(text, bark, split=split)
    assert message in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_a_voice_name_goes_to_the_library_as_it_is_written(bark: Vocabulary) -> None:
    assert read("[voice: Joe Smith ] a", bark).voices == ("Joe Smith",)


def test_each_part_of_a_song_has_its_notes(bark: Vocabulary) -> None:
    assert said("♪ La la la [pause 1s] lo lo lo ♪", bark) == [("♪ La la la ♪", None, 0.0), ("♪ lo lo lo ♪", None, 1.0)]


def test_a_stop_after_a_tag_stays_with_its_sentence(bark: Vocabulary) -> None:
    assert said("I waited [pause 1s]. Then I left.", bark) == [("I waited.", None, 0.0), ("Then I left.", None, 1.0)]


def test_a_pause_before_words_that_are_left_out_is_kept(bark: Vocabulary) -> None:
    assert said("Hello. [pause 1s] ( [pause 1s] Bye.", bark) == [("Hello.", None, 0.0), ("Bye.", None, 2.0)]
    assert read("Hello. [pause 1s] (", bark).end_silence_s == 1.0


def test_tags_split_a_text_that_is_else_one_piece(bark: Vocabulary) -> None:
    assert said("One. Two. [pause 1s] Three. Four.", bark, split=False) == [
        ("One. Two.", None, 0.0),
        ("Three. Four.", None, 1.0),
    ]


@pytest.mark.parametrize("tag", ["[pause 0.1s]", "[voice:joe]", "[voice:a] b [voice:c]", "[voice", "[pause 0s"])
def test_thousands_of_tags_are_read_in_a_moment(tag: str, bark: Vocabulary) -> None:
    text = f"word {tag} " * (20_000 // (len(tag) + 6))
    start = time.process_time()
    with suppress(InvalidRequest):
        read(text, bark)
    assert time.process_time() - start < 10


TAGS = st.sampled_from(
    ["[pause 1s]", "[pause]", "[voice:joe]", "[voice]", "[laughs]", "word", "Hello.", "♪", "\n\n", "?!"]
)


@given(st.lists(TAGS, max_size=30))
def test_no_words_and_no_pauses_are_lost(bark: Vocabulary, parts: list[str]) -> None:
    text = " ".join(parts)
    pauses = sum({"[pause 1s]": 1.0, "[pause]": 0.5}.get(part, 0.0) for part in parts)
    spoken = [part for part in parts if part in ("word", "Hello.", "[laughs]")]
    if not spoken:
        return
    plan = Plan(tokens=256, longest_s=15.4)
    found = prepare(text, reading=Reading(), vocabulary=bark, spoken=("en",), how=plan)
    assert sum(piece.silence_s for piece in found.pieces) + found.end_silence_s == pytest.approx(pauses)
    words = "".join(piece.text for piece in found.pieces).replace("♪", "").replace(",", "").replace(" ", "")
    assert words.replace("?!", "") == "".join(spoken)


@given(st.text(alphabet=st.sampled_from("[]pause voice:/0.5s\n\ufdd0\ufdda\ufddb-"), max_size=60))
def test_whatever_comes_is_read_or_refused(bark: Vocabulary, text: str) -> None:
    try:
        found = read(text, bark)
    except InvalidRequest as error:
        assert "\n" not in str(error)
        return
    assert all(piece.text for piece in found.pieces)
    assert not set("\ufdd0\ufdda\ufddb") & set("".join(piece.text for piece in found.pieces))


@pytest.mark.parametrize("tag", ["[pause 1s]", "[voice:joe] ", "[pause 1s] [voice:joe]"])
@pytest.mark.parametrize(
    "line",
    [
        "## A good title", "- A good title", "- [x] A good title", "> A good title", "> ## A good title",
        "```\nA good title\n```", "```py\nA good title\n```", "~~~ A good title ~~~", "| A good title |\n|---|",
    ],
)  # fmt: skip
def test_markdown_after_a_tag_at_the_beginning_of_a_line_is_read(line: str, tag: str, bark: Vocabulary) -> None:
    for before in ("", "Hello to all of you.\n\n"):
        found = read(f"{before}{tag}{line}", bark)
        assert [piece.text for piece in found.pieces][-1] == "A good title"
        assert found.notes == ()
        assert found.pieces[-1].voice == ("joe" if "joe" in tag else None)
        assert (found.pieces[-1].silence_s == 1.0) == ("pause" in tag)
