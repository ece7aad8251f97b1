"""Captions of a speech, read back by another library."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import webvtt
from hypothesis import assume, given
from hypothesis import strategies as st

from bark_client import InvalidRequest, Piece, Speech, Timings, captions, pieces

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness."
TEXTS = st.lists(
    st.sampled_from(["I", "tired", "「今日は、", "悪い天気」", "x" * 50, "&", "<b>", "-->", "é"]), min_size=1
)


def piece(text: str, start: float = 1.5, seconds: float = 8.0) -> Piece:
    return Piece(text, start, seconds)


def lines_of(text: str) -> list[str]:
    return [line for caption in captions.split(piece(text)) for line in caption.lines]


def read_vtt(text: str) -> list[tuple[str, str, str]]:
    return [(one.start, one.end, one.text) for one in webvtt.from_buffer(io.StringIO(text))]


def test_srt_is_read_by_another_library() -> None:
    text = captions.render([piece("Hello & you."), piece(LONG, 3725.25, 4)], format="srt")
    read = [(one.start, one.end, one.text) for one in webvtt.from_buffer(io.StringIO(text), format="srt")]
    assert read[0] == ("00:00:01.500", "00:00:09.500", "Hello & you.")
    assert read[1][0] == "01:02:05.250" and read[-1][1] == "01:02:09.250"
    assert " ".join(one[2].replace("\n", " ") for one in read[1:]) == LONG


def test_vtt_is_read_by_another_library_and_signs_are_escaped() -> None:
    text = captions.render([piece("Tom & <Jo> --> you."), piece("So.", 9.5, 1)], format="vtt")
    assert text.startswith("WEBVTT\n\n")
    assert read_vtt(text)[1] == ("00:00:09.500", "00:00:10.500", "So.")
    assert "Tom &amp; &lt;Jo&gt; --&gt; you." in text


def test_json_holds_the_pieces() -> None:
    one = Piece("Hi.", 0.5, 1.23456, voice="joe", seed=7, verdict="good", attempts=2)
    assert json.loads(captions.render([one], format="json")) == [
        {
            "text": "Hi.", "start": 0.5, "seconds": 1.235, "end": 1.735, "voice": "joe", "seed": 7, "verdict": "good",
            "attempts": 2,
        }
    ]  # fmt: skip


def test_a_long_piece_becomes_captions_of_two_even_lines() -> None:
    first, second = captions.split(piece(LONG))
    assert first.lines == ("It was the best of times, it was the", "worst of times, it was the age of")
    assert (first.start, second.end) == (1.5, 9.5)
    shared = sum(map(len, first.lines)) / sum(map(len, (*first.lines, *second.lines)))
    assert first.end == second.start == pytest.approx(1.5 + 8 * shared)


@given(TEXTS.map(" ".join))
def test_any_text_is_kept_in_lines_that_fit(text: str) -> None:
    lines = lines_of(text)
    assert all(0 < captions.columns(line) <= captions.MAX_COLUMNS for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(TEXTS.map(" ".join), st.floats(0, 1e5), st.floats(0.1, 1e3))
def test_captions_of_a_piece_follow_one_another(text: str, start: float, seconds: float) -> None:
    found = captions.split(piece(text, start, seconds))
    assume(found)
    assert found[0].start == pytest.approx(start) and found[-1].end == pytest.approx(start + seconds)
    assert all(one.end == two.start for one, two in pairwise(found))
    assert all(len(one.lines) <= 2 and one.start < one.end for one in found)


def test_chinese_and_japanese_break_between_characters_but_not_before_a_stop() -> None:
    lines = lines_of("今日はとても良い天気なので散歩に行きました。それから家に帰って「本」を読みました。")
    assert len(lines) == 2
    assert not any(line.startswith(("。", "」", "、")) or line.endswith("「") for line in lines)


def test_nothing_is_shown_of_a_piece_without_text_or_audio() -> None:
    assert captions.split(piece(" \n ")) == [] and captions.split(piece("Hm.", seconds=0)) == []
    assert captions.render([], format="vtt") == "WEBVTT\n\n"


def speech(text: str, *parts: Piece) -> Speech:
    return Speech(text, np.zeros(24_000, dtype=np.float32), 24_000, seed=1, timings=Timings(), pieces=parts)


def test_a_speech_writes_its_captions_in_the_format_of_the_suffix(tmp_path: Path) -> None:
    said = speech("Hi.", piece("Hi.", 0, 1))
    for suffix in captions.FORMATS:
        path = said.save_captions(tmp_path / f"x.{suffix.upper()}")
        assert path.read_text() == said.captions(format=suffix)
    with pytest.raises(InvalidRequest, match=r"x\.txt': the suffix must be one of \.srt, \.vtt, \.json"):
        said.save_captions(tmp_path / "x.txt")
    with pytest.raises(InvalidRequest, match="'sub' is not one of srt, vtt, json"):
        said.captions(format="sub")


def test_joined_speeches_move_their_pieces() -> None:
    joined = Speech.join([speech("A.", piece("A.", 0, 1)), speech("B.", piece("B.", 0.25, 0.5))], pause=0.5)
    assert [(one.text, one.start) for one in joined.pieces] == [("A.", 0), ("B.", 1.75)]
    assert joined.summary.pieces == joined.pieces


REPORTED = {"text": "Hi.", "start": 0.5, "seconds": 1, "voice": None, "seed": 3, "verdict": "good", "attempts": 1}


def test_pieces_of_a_report_are_read_with_what_it_leaves_out() -> None:
    assert pieces.parse({"pieces": [REPORTED]}) == (Piece("Hi.", 0.5, 1.0, seed=3, verdict="good"),)
    assert pieces.parse({"pieces": [{"text": "Hi.", "start": 0, "seconds": 1, "more": {}}]}) == (Piece("Hi.", 0, 1),)


@pytest.mark.parametrize("found", [None, [], "pieces", [3], [{"text": "x"}], [{**REPORTED, "start": "soon"}]])
def test_pieces_in_an_unknown_form_are_none(found: object) -> None:
    assert pieces.parse({"pieces": found}) == ()


@pytest.mark.parametrize("told", [True, False])
def test_the_pieces_of_a_speech_that_has_not_ended_are_those_that_were_heard(told: bool) -> None:
    texts = ["Good morning.", "It is cold.", "It is late."]
    heard = pieces.Heard(" ".join(texts))
    for number, seconds in ((0, 1.0), (0, 0.25), (1, 0.5)):
        heard.add(number, texts[number] if told else None, seconds=seconds, of=len(texts))
    assert heard.pieces == (Piece("Good morning.", 0.0, 1.25), Piece("It is cold.", 1.25, 0.5))
    assert pieces.until(heard.pieces, 1.5) == [Piece("Good morning.", 0.0, 1.25), Piece("It is cold.", 1.25, 0.25)]
    assert pieces.until(heard.pieces, 1.25) == [Piece("Good morning.", 0.0, 1.25)]


def test_pieces_that_nobody_tells_before_the_end_are_left_out() -> None:
    heard = pieces.Heard("Good morning. It is cold.")
    heard.add(0, None, seconds=1.0, of=5)
    assert heard.pieces == ()


def test_pieces_that_the_server_does_not_tell_are_guessed_from_the_sentences() -> None:
    guessed = pieces.guess("Good morning. It is cold.", starts=(0.0, 1.25), seconds=3.0)
    assert guessed == (Piece("Good morning.", 0.0, 1.25), Piece("It is cold.", 1.25, 1.75))
    assert pieces.guess("Good morning.\n It is cold.", starts=(0.0,), seconds=3.0) == (
        Piece("Good morning. It is cold.", 0.0, 3.0),
    )
    assert pieces.guess("Hm.", starts=(0.0,), seconds=0.0) == ()
