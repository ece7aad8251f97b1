"""Sentences in Bark's thirteen languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_serving.speech.text.abbreviations import BEFORE_A_NUMBER, BEFORE_A_SMALL_LETTER, TITLES, WITHIN, WORDS_TOO
from bark_serving.speech.text.sentences import sentences as found_sentences
from bark_serving.speech.text.sentences import sung

LANGUAGES = ["de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh"]


def sentences(text: str, *, language: str) -> list[str]:
    return [one.text for one in sung(found_sentences(text, language=language)) if one.text]


THREE = {
    "en": "Dr. Smith went home. He was tired! Was he?",
    "de": "Das ist z.B. ein Satz. Am 3. Mai kam er. Ja!",
    "es": "El Sr. López llegó. ¿Qué tal? Bien.",
    "fr": "M. Dupont est là. Ça va ? Oui.",
    "hi": "नमस्ते। आप कैसे हैं? ठीक।",
    "it": "Il sig. Rossi è qui. Come va? Bene.",
    "ja": "こんにちは。元気ですか？はい！",
    "ko": "안녕하세요. 잘 지내세요? 네.",
    "pl": "Ala ma kota, np. Mruczka. Tak? Tak.",
    "pt": "Olá Sr. Silva. Tudo bem? Sim.",
    "ru": "Привет. Как дела? Хорошо.",
    "tr": "Merhaba. Nasılsın? İyiyim.",
    "zh": "你好。你好吗？很好！",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_three_sentences_are_three_in_each_of_barks_languages(language: str) -> None:
    found = sentences(THREE[language], language=language)
    assert len(found) == 3, found
    assert "".join(found).replace(" ", "") == THREE[language].replace(" ", "")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Im 20. Jahrhundert war es kalt."),
        ("de", "Tel. 123 ist besetzt."),
        ("de", "Sie kam ca. 5 Minuten zu spät."),
        ("en", "It is approx. 5 km away."),
        ("en", "See No. 5 and Fig. 3 there."),
        ("en", "J. R. R. Tolkien wrote it."),
        ("en", '"I am going now." he said.'),
        ("es", "La Dra. García llegó a las 5 p.m. en punto."),
        ("fr", "Le Dr. Martin est là."),
        ("fr", "Mme. Dupont et M. Durand sont là."),
        ("hi", "डॉ. शर्मा आए।"),
        ("it", "Il dott. Bianchi abita in via Roma."),
        ("ja", "「もう行きます。」と彼は言った。"),
        ("ko", '"이제 갑니다."라고 그가 말했다.'),
        ("pl", "O godz. 10 wyszedł z domu."),
        ("pt", "A Sra. Silva mora na Av. Paulista."),
        ("ru", "Т. е. это так."),
        ("ru", "Он живёт на ул. Ленина."),
        ("tr", "Sn. Demir geldi."),
        ("zh", "他说：“我走了”，然后就走了。"),
    ],
)
def test_what_only_looks_like_an_end_is_none(language: str, text: str) -> None:
    assert sentences(text, language=language) == [text]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pl", "Firma powstała w 1989 r. w Warszawie."),
        ("pl", "Kupił 3 szt. jabłek."),
        ("pl", "Zgodnie z art. 5 ust. 2 ustawy."),
        ("en", "Add 2 tbsp. sugar and 1 tsp. salt."),
        ("en", "2 tsp. sugar"),
        ("en", "We meet at 3 p.m. Monday."),
        ("en", "He flew to Ft. Worth at 9 a.m. EST."),
        ("en", "Go to Rm. 101, then take Rte. 66 and see Eq. 3 in vol. IV below."),
        ("fr", "Ajoutez 2 c. à s. de sucre."),
        ("fr", "En 52 av. J.-C. les Romains gagnent."),
        ("it", "La S.p.A. cresce."),
        ("it", "Nel 52 a.C. i Romani vinsero."),
        ("pt", "Em 52 a.C. os romanos venceram."),
        ("pt", "Foi no séc. XX que a Silva Ltda. cresceu."),
        ("ru", "5 тыс. чел. в городе."),
        ("ru", "5 руб. за шт. в магазине."),
        ("en", "We open at 9 p.m. EST on the dot."),
        ("en", "See Rm. one hundred and Eq. three in Fig. four there."),
        ("pl", "Zgodnie z art. pięć ust. dwa ustawy."),
    ],
)
def test_what_an_abbreviation_needs_belongs_to_it(language: str, text: str) -> None:
    assert sentences(text, language=language) == [text]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "hello there.|how are you.|i am fine."),
        ("en", "Hello there.|how are you.|i am fine."),
        ("en", "i like Bob.|he is nice."),
        ("ru", "привет.|как дела.|всё хорошо."),
        ("en", "We did that.|iPhone sales rose."),
        ("en", "We met at 3 p.m.|Then we left."),
        ("en", "The wall is 6 ft.|Walk along it."),
        ("en", "See vol. II.|It is new."),
        ("pl", "Kupił 3 szt.|Potem wyszedł."),
        ("en", "We met in room five.|twenty men came."),
        ("pt", "Ela está na sala seis.|vinte homens vieram."),
        ("it", "Vive nel sec. XX.|Poi parte."),
        ("en", "I met Bob.|he was nice."),
        ("en", "I can't do it.|sorry."),
        ("en", "Yes.|and no."),
        ("en", "The server is up.|please check."),
        ("en", "See example.com.|it is nice."),
        ("en", "That is it.|five people came."),
        ("en", "I paid the man.|10 minutes later he left."),
        ("en", "I paid the man.|ten minutes later he left."),
        ("es", "Ya lo vi.|cinco personas vinieron."),
        ("es", "Ya lo sé.|y tú también."),
        ("fr", "Je le vis.|cinq personnes vinrent."),
        ("fr", "C'est fini.|il part."),
        ("pt", "Foi ele.|ela saiu."),
        ("ru", "Это был он.|она ушла."),
        ("ru", "Я был там.|пять человек пришли."),
        ("ru", "Там было 5 чел.|десять минут спустя они ушли."),
        ("tr", "Bu ev.|beş kişi geldi."),
        ("ru", "Он ест рис.|пять человек ушли."),
        ("pl", "To on.|ona wyszła."),
        ("pl", "Urodził się w 1989 r.|pięć lat później zmarł."),
        ("en", "We meet at 5 p.m.|IT staff stay."),
        ("en", "We open at 9 a.m.|BUT we close early."),
        ("en", "We play at 9 p.m.|Mondays are slow."),
    ],
)
def test_an_end_stays_one_before_a_capital_and_where_a_text_has_no_capitals(language: str, text: str) -> None:
    assert sentences(text.replace("|", " "), language=language) == text.split("|")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Sie gewann 2022 ihren 3. Titel und feierte mit ihrem 2. Kind."),
        ("de", "Das ist in meinem 1. Auto.|Es ist rot."),
        ("de", "Ich habe eine 2.|Peter hat eine 3.|Anna auch."),
        ("de", "Ich komme am 5.|Wir freuen uns."),
        ("de", "Es war im Jahr 1990.|Danach kam er."),
        ("tr", "İstanbul Boğazı'nın 3. Köprüsü açıldı."),
        ("tr", "Bu akşam ve 1. Lig maçı var."),
        ("tr", "M.Ö. 5. yüzyıl çok eskidir."),
        ("tr", "Saat 5.|Gidiyoruz."),
        ("tr", "Cevap 42.|Bunu biliyoruz."),
        ("tr", "Adım 1.|Unu ekleyin."),
        ("tr", "Çocuk sayısı 3.|Eşi doktor."),
        ("tr", "O, 2. Dünya Savaşı sırasında doğdu."),
        ("tr", "Yıl 1990.|Ali geldi."),
        ("ko", "회의는 2024. 5. 1. 오후 2시에 열립니다."),
        ("ko", "점수는 10.|다음은 20."),
        ("ko", "그해는 1990.|다음은 20."),
    ],
)
def test_an_ordinal_before_its_noun_ends_no_sentence(language: str, text: str) -> None:
    assert sentences(text.replace("|", " "), language=language) == text.split("|")


def test_a_list_number_goes_with_its_item() -> None:
    text = "1. Open the box. 2. Press the button."
    assert sentences(text, language="en") == ["1. Open the box.", "2. Press the button."]


@pytest.mark.parametrize(
    "text",
    [
        "Roses are red\nViolets are blue\nsugar is sweet",
        "Joe Bloggs\n5 High Street\nLondon",
        "The night was long and everybody was asleep by then\nThe day was short and nobody wanted to go to bed",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_a_poem_or_an_address_are_sentences(text: str, end: str) -> None:
    assert sentences(text.replace("\n", end), language="en") == text.split("\n")


def test_lines_that_a_program_has_wrapped_are_one_text() -> None:
    text = (
        "It was a bright cold day in April and a clock\nof old London was striking thirteen times when Mr\nSmith came."
    )
    assert sentences(text, language="en") == [" ".join(text.split("\n"))]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_empty_line_ends_a_sentence(end: str) -> None:
    assert sentences(f"Chapter One{end}{end}it was dark.", language="en") == ["Chapter One", "it was dark."]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[sighs] I am tired. Bye.", ["[sighs] I am tired.", "Bye."]),
        ("[sighs]\nI am tired.", ["[sighs] I am tired."]),
        ("I am tired.\n[sighs]", ["I am tired. [sighs]"]),
        ("I am tired. [sighs] [laughs]", ["I am tired. [sighs] [laughs]"]),
        ("[sighs]", ["[sighs]"]),
    ],
)
def test_a_sound_is_no_sentence_of_its_own(text: str, found: list[str]) -> None:
    assert sentences(text, language="en") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("♪ In the jungle ♪", ["♪ In the jungle ♪"]),
        ("♪ One. Two. Three. ♪ Then.", ["♪ One. ♪", "♪ Two. ♪", "♪ Three. ♪", "Then."]),
        ("♪ In the jungle,\nthe lion sleeps ♪", ["♪ In the jungle, ♪", "♪ the lion sleeps ♪"]),
        ("Hello.\n♪\nLa la.\n♪\nBye.", ["Hello.", "♪ La la. ♪", "Bye."]),
    ],
)
def test_each_sentence_of_a_song_has_its_notes(text: str, found: list[str]) -> None:
    assert sentences(text, language="en") == found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", "\u2009", "\u3000", "\u2028"])
def test_a_blank_beyond_ascii_is_a_blank(language: str, blank: str) -> None:
    assert " ".join(sentences(f"Vitamin C{blank}. Then rest.", language=language)) == "Vitamin C . Then rest."


PIECES = st.sampled_from(
    ["Dr.", "No.", "5", "20.", "etc.", "a", "B.", "Hello", "there", ".", "!", "?", "。", "「", "」と", "[sighs]", "\n",
     " ", "\n\n", "\r\n", "\u00a0", "डॉ.", "।", "«", "»", '"', "ул.", "字", "…", "word " * 12]
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.lists(PIECES, max_size=25).map(" ".join) | st.lists(PIECES).map("".join) | st.text(max_size=80))
def test_nothing_but_blanks_is_lost_and_the_order_stays(language: str, text: str) -> None:
    text = text.replace("♪", "")
    found = sentences(text, language=language)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(piece == " ".join(piece.split()) != "" for piece in found)


def test_the_tables_name_languages_of_bark_in_small_letters() -> None:
    for table in (TITLES, BEFORE_A_NUMBER, WITHIN, BEFORE_A_SMALL_LETTER, WORDS_TOO):
        assert set(table) <= set(LANGUAGES)
        assert all(word == word.lower() and not word.endswith(".") for words in table.values() for word in words)
