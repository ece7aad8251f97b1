"""The language of a text: what its sender, its voice, its script and its words say."""

from __future__ import annotations

import socket

import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.speech.text.language import choose, detect, parse_tag
from reference.recordings import sentences

BARK = ("en", "de", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh")


@pytest.mark.parametrize(
    ("tag", "code"),
    [("en", "en"), ("EN", "en"), ("en-US", "en"), ("pt_BR", "pt"), ("zh-Hant-TW", "zh"), ("de-CH-1996", "de")],
)
def test_a_language_tag_in_any_case_is_taken(tag: str, code: str) -> None:
    assert parse_tag(tag, languages=BARK) == code


@pytest.mark.parametrize("tag", ["english", "xx", "nl-NL", "", "e", "en us", "x-bark"])
def test_an_unknown_language_is_refused_with_the_known_ones(tag: str) -> None:
    with pytest.raises(InvalidRequest, match="en, de, es, fr"):
        parse_tag(tag, languages=BARK)


@pytest.mark.parametrize(
    ("text", "voice", "language"),
    [
        ("Guten Tag", "v2/de_speaker_3", "de"),
        ("Guten Tag", "announcer", "en"),
        ("こんにちは世界", None, "ja"),
        ("你好世界", None, "zh"),
        ("안녕", None, "ko"),
        ("नमस्ते", None, "hi"),
        ("Привет", None, "ru"),
        ("hello", None, "en"),
        ("Dr. Smith said привет to Mr. Jones.", None, "en"),
        ("Он сказал hello и ушёл.", None, "ru"),
        ("我用 Python 写代码", None, "zh"),
        ("東京へ行きます", None, "ja"),
        ("1 + 1 = 2", None, "en"),
        ("ＡＢＣ", None, "en"),
        ("Ich habe gestern einen langen Brief geschrieben.", None, "de"),
        ("Dün akşam eve geç geldim ve hemen uyudum.", None, "tr"),
        ("Wczoraj wieczorem poszliśmy razem do kina.", None, "pl"),
        ("Não sei o que você está fazendo, mas eu gosto muito.", None, "pt"),
    ],
)
def test_the_language_comes_from_words_script_or_voice(text: str, voice: str | None, language: str) -> None:
    assert choose(text, asked=None, voice=voice, languages=BARK) == (language, ())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("مرحبا كيف حالك اليوم يا صديقي", "Arabic"),
        ("สวัสดีครับ", "Thai"),
        ("Γειά σου Κόσμε", "Greek"),
        ("xin chào các bạn, hôm nay tôi rất vui được gặp các bạn", "Vietnamese"),
        ("Добрий день, як ваші справи сьогодні, друзі мої?", "Ukrainian"),
        ("မင်္ဂလာပါ", "Myanmar"),
    ],
)
def test_a_language_that_the_checkpoint_lacks_is_told_once(text: str, named: str) -> None:
    language, (warning,) = choose(text, asked=None, voice=None, languages=BARK)
    assert language == "en" and named in warning and "English, German" in warning


def test_a_script_that_the_checkpoint_lacks_is_told_to_who_asks_for_a_language() -> None:
    assert len(choose("Привет, мир", asked="en", voice=None, languages=["en"])[1]) == 1
    assert choose("Guten Tag, wie geht es euch heute?", asked="en", voice=None, languages=["en"]) == ("en", ())


def test_a_voice_of_another_language_is_told_and_the_texts_rules_hold() -> None:
    text = "Guten Tag zusammen, wie geht es euch allen heute?"
    language, (warning,) = choose(text, asked=None, voice="v2/en_speaker_1", languages=BARK)
    assert language == "de" and "German" in warning and "English" in warning


def test_english_sentences_are_never_taken_for_another_language() -> None:
    for text in sentences(120):
        assert choose(text, asked=None, voice=None, languages=["en"]) == ("en", ()), text


def test_detecting_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert detect("Ce soir nous allons tous ensemble au cinéma.") == "fr"
