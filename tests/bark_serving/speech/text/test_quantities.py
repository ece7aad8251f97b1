"""Grouped numbers, numbers that are not understood, money, minus, and English plurals of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bark_serving.speech.text.number_words import WORDS
from bark_serving.speech.text.numbers import spell

LANGUAGES = ["de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh"]
BLANK_BETWEEN_THOUSANDS = ["de", "es", "fr", "it", "pl", "pt", "ru"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", "\u2009"])
@given(number=st.integers(1_000, 10**12))
@settings(max_examples=20, deadline=None)
def test_digits_may_be_grouped_by_a_blank_at_which_no_line_breaks(language: str, blank: str, number: int) -> None:
    grouped = f"{number:,}"
    said = spell(grouped.replace(",", WORDS[language].thousands[-1]), language=language)
    assert spell(grouped.replace(",", blank), language=language) == said


@pytest.mark.parametrize("language", BLANK_BETWEEN_THOUSANDS)
@pytest.mark.parametrize(("grouped", "whole"), [("10 000", "10000"), ("5 200", "5200"), ("1 234 567", "1234567")])
def test_digits_may_be_grouped_by_a_blank_where_that_is_the_custom(language: str, grouped: str, whole: str) -> None:
    for unit in ("", " km", " %", " €"):
        assert spell(f"{grouped}{unit}", language=language) == spell(f"{whole}{unit}", language=language)


@pytest.mark.parametrize("language", ["en", "hi", "ja", "ko", "tr", "zh"])
def test_elsewhere_a_blank_parts_two_numbers_unless_the_second_is_000(language: str) -> None:
    assert spell("10 000 km", language=language) == spell("10000 km", language=language)
    assert (
        spell("5 200 km", language=language) == f"{spell('5', language=language)} {spell('200 km', language=language)}"
    )


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "10 0000"),
        ("de", "10 00"),
        ("de", "0800 123 456"),
        ("de", "0049 30 123 456"),
        ("de", "370 400 440 532 013 000"),
        ("de", "2024 300"),
        ("es", "91 123 45 67"),
        ("es", "612 345 678"),
        ("pt", "912 345 678"),
        ("it", "347 123 456"),
        ("pl", "501 234 567"),
        ("tr", "444 000 0"),
        ("ru", "8 800 555 35 35"),
    ],
)
def test_groups_have_three_digits_and_are_no_telephone_number(language: str, text: str) -> None:
    assert spell(text, language=language) == " ".join(spell(part, language=language) for part in text.split())


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("hi", "₹2,50,000", "दो लाख पचास हज़ार रुपये"),
        ("hi", "₹1,50,000.50", "एक लाख पचास हज़ार रुपये पचास पैसे"),
        ("hi", "12,34,567 लोग, 1,50,000%", "बारह लाख चौंतीस हज़ार पाँच सौ सड़सठ लोग, एक लाख पचास हज़ार प्रतिशत"),
        ("hi", "₹2.5 करोड़", "दो दशमलव पाँच करोड़ रुपये"),
        ("hi", "५-१० लोग", "पाँच से दस लोग"),
        ("en", "₹2,50,000 for 1,00,000 km", "two hundred fifty thousand rupees for one hundred thousand kilometers"),
        ("en", "₹5 lakh, ₹2.5 crore", "five lakh rupees, two point five crore rupees"),
        ("en", "his 1,001st", "his one thousand first"),
    ],
)
def test_indian_groups_are_understood(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "$1,50"),
        ("en", "$1.234.567"),
        ("en", "1.234,50 €"),
        ("en", "1,50% of 1,5 km"),
        ("en", "5.5.5 %"),
        ("en", "$1,234,56"),
        ("en", "1,2.3.4"),
        ("en", "$10mm"),
        ("en", "rgb(12,34,255)"),
        ("en", "rooms 9,10,100"),
        ("en", "7B-13B models, 5M-10M users, 1.5bn-2bn people"),
        ("es", "$1,234.50"),
        ("es", "1,234.5 km"),
        ("de", "$1,234.50"),
        ("de", "1.234.5 €"),
        ("fr", "10 000.5 km"),
        ("hi", "₹1,50"),
        ("hi", "₹2,50,00"),
    ],
)
def test_a_number_that_is_not_understood_stays_whole(language: str, text: str) -> None:
    assert spell(text, language=language) == text


@given(
    st.lists(st.text("0123456789", min_size=1, max_size=4), min_size=2, max_size=5),
    st.lists(st.sampled_from(".,"), min_size=4, max_size=4),
    st.sampled_from(["", "$", "€", "£ "]),
    st.sampled_from(["", "%", " km", " €", "m"]),
    st.sampled_from(LANGUAGES),
)
@settings(deadline=None)
def test_no_number_is_cut_in_its_middle(
    parts: list[str], signs: list[str], before: str, after: str, language: str
) -> None:
    number = "".join(part + sign for part, sign in zip(parts, [*signs[: len(parts) - 1], ""], strict=True))
    said = spell(f"{before}{number}{after}", language=language)
    assert number in said or not any(sign.isdigit() for sign in said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$10m, £5m and €2bn", "ten million dollars, five million pounds and two billion euros"),
        ("$5k, $5K, $5M, $5B, £5 m", "five thousand dollars, five thousand dollars, five million dollars, "
         "five billion dollars, five million pounds"),
        ("$5-10m, $5m-$10m, £5m–£10m", "five to ten million dollars, five to ten million dollars, "
         "five to ten million pounds"),
        ("5m € or 1.5bn €", "five million euros or one point five billion euros"),
        ("$5 T-shirts, $5 B", "five dollars T-shirts, five dollars B"),
        ("-$5 and $-5", "minus five dollars and minus five dollars"),
        ("$500-1000", "five hundred to one thousand dollars"),
        ("a 10m race", "a ten meters race"),
    ],
)  # fmt: skip
def test_a_letter_after_money_is_a_large_number(text: str, said: str) -> None:
    assert spell(text, language="en") == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("pt", "R$ 5 milhões, R$ 2 mil, R$ 1,5 bilhão", "cinco milhões de reais, dois mil reais, "
         "um vírgula cinco bilhão de reais"),
        ("pt", "US$ 5 e US$ 5,50", "cinco dólares e cinco dólares e cinquenta centavos"),
        ("es", "€3 millones, $1 millón, 2 mil €", "tres millones de euros, un millón de dólares, dos mil euros"),
        ("es", "1 millón de personas", "un millón de personas"),
        ("it", "€3 milioni, 3 mln €, 1 milione", "tre milioni di euro, tre milioni di euro, un milione"),
        ("fr", "5 millions €, 3 Md€, 3 k€", "cinq millions d'euros, trois milliards d'euros, trois mille euros"),
        ("ru", "$5 млн, 3 млн. ₽, 2 тыс. человек", "пять миллионов долларов, три миллиона рублей, две тысячи человек"),
        ("ru", "Их 3 млн. Потом больше.", "Их три миллиона. Потом больше."),
        ("de", "3 Mrd. €, 5 Millionen €, 3 Mio. Menschen", "drei Milliarden Euro, fünf Millionen Euro, "
         "drei Millionen Menschen"),
        ("de", "Das kostet 5 Mio. Wir sind reich.", "Das kostet fünf Millionen. Wir sind reich."),
        ("de", "1 Million, €3 Mio.", "eine Million, drei Millionen Euro."),
        ("pl", "5 mln €, 5 tys. zł, 2 mln osób", "pięć milionów euro, pięć tysięcy złotych, dwa miliony osób"),
        ("zh", "¥3亿, ¥2万的", "三亿元, 两万元的"),
        ("ja", "¥3億です", "三億円です"),
        ("tr", "3 milyon ₺", "üç milyon lira"),
        ("fr", "5 m €, 3 MB", "cinq mètres €, trois mégaoctets"),
    ],
)  # fmt: skip
def test_a_large_number_stands_before_its_money(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("es", "1 año, 21 años, 1 hora, 200 personas", "un año, veintiún años, una hora, doscientas personas"),
        ("es", "1-2 semanas, 1 euro", "una a dos semanas, un euro"),
        ("es", "1 de mayo, 1 y 2, página 1.", "uno de mayo, uno y dos, página uno."),
        ("de", "1 Stunde, um 1 Uhr, 1 Tag, 1 Woche", "eine Stunde, um ein Uhr, ein Tag, eine Woche"),
        ("de", "Raum 1 ist frei", "Raum eins ist frei"),
        ("it", "1 volta, 1 anno e 1 ora, 2-3 ore", "una volta, un anno e un'ora, due-tre ore"),
        ("en", "1990-1995 days", "nineteen ninety to nineteen ninety-five days"),
        ("pt", "1 hora, 2 horas, 2 anos", "uma hora, duas horas, dois anos"),
        ("fr", "1 fois, 21 personnes, 1 an", "une fois, vingt et une personnes, un an"),
        ("ru", "2 минуты, 2 недели, 2-3 недели, 2 года", "две минуты, две недели, две-три недели, два года"),
        ("ru", "2 тысячи, 5 тысяч ₽", "две тысячи, пять тысяч рублей"),
        ("pl", "2 osoby, 1 osoba, 2 lata", "dwie osoby, jedna osoba, dwa lata"),
    ],
)
def test_one_and_two_have_the_gender_of_the_noun_that_is_written_after_them(
    language: str, text: str, said: str
) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "$0.50, €0.05, -$0.50", "fifty cents, five cents, minus fifty cents"),
        (
            "en",
            "$0, $0.00, $0.5, $1.50",
            "zero dollars, zero dollars, zero point five dollars, one dollar and fifty cents",
        ),
        ("de", "0,50 € und 0,01 €", "fünfzig Cent und ein Cent"),
        ("ru", "0,21 ₽", "двадцать одна копейка"),
        ("ja", "¥0.50", "五十銭"),
    ],
)
def test_less_than_one_is_only_hundredths(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dash", ["-", "–", " – "])
@pytest.mark.parametrize("unit", ["%", " %", "€", " €", "°", " km", "°C", " kg"])
def test_a_unit_at_both_ends_of_a_range_is_said_once(language: str, dash: str, unit: str) -> None:
    assert spell(f"5{unit}{dash}10{unit}", language=language) == spell(f"5{dash}10{unit}", language=language)


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "It rose 5%-10%.", "It rose five to ten percent."),
        ("en", "10°-15°C, 5 million–10 million", "ten to fifteen degrees Celsius, five to ten million"),
        ("fr", "12h-14h", "douze à quatorze heures"),
        ("tr", "%5-%10", "yüzde beş ila on"),
        ("pt", "R$ 5-R$ 10", "cinco a dez reais"),
        ("zh", "5%-10%", "百分之五到十"),
        ("en", "10%-5% and 5 km-10 kg", "ten percent-five percent and five kilometers-ten kilograms"),
        ("en", "5GB-10GB/month", "five gigabytes-10GB/month"),
        ("en", "8GB-16GB-32GB", "eight gigabytes-sixteen gigabytes-thirty-two gigabytes"),
        ("en", "5s-10s", "five to ten seconds"),
        ("de", "5kg-10kg/Woche", "fünf Kilogramm-10kg/Woche"),
    ],
)
def test_only_a_range_with_one_unit_is_read_as_one(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    "before", ["", "a ", "(", "[", '"', "'", "“", "„", "« ", "a (", 'a "', "10\u00a0– ", "x=", "y ≈", "y>", "3~", "3…"]
)
@pytest.mark.parametrize("sign", "-−–")
def test_a_sign_is_a_minus_at_the_start_and_after_a_blank_a_bracket_or_a_quote(before: str, sign: str) -> None:
    assert "minus five" in spell(f"{before}{sign}5", language="en")


@pytest.mark.parametrize("before", ["5%", "5 %", "x", "(5)", '"5"', "5°", "a/", "a.", "5:", "a-", "€5 €"])
@pytest.mark.parametrize("after", ["3", "3%", "3 km", "3 €", "3°"])
@pytest.mark.parametrize(("language", "minus"), [("en", "minus"), ("de", "minus"), ("fr", "moins"), ("zh", "负")])
def test_a_sign_elsewhere_is_no_minus(before: str, after: str, language: str, minus: str) -> None:
    assert minus not in spell(f"{before}-{after}", language=language)


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("de", "es sind –5 °C", "es sind minus fünf Grad Celsius"),
        ("ru", "Ночью –10 °C", "Ночью минус десять градусов Цельсия"),
        ("fr", "de –3 à –1 °C", "de moins trois à moins un degré Celsius"),
        ("en", "from –5 to –3, $–5", "from minus five to minus three, minus five dollars"),
        ("en", "10 – 5, 5 –10, pages 5–10, word – 5", "ten – five, five to ten, pages five to ten, word – five"),
        ("en", "10 –5, May–5", "ten –five, May–five"),
        ("es", "Pedro –37 años, casado– vive", "Pedro –treinta y siete años, casado– vive"),
        ("es", "La cifra –5 en total– sube. Hay –5 aquí.", "La cifra –cinco en total– sube. Hay menos cinco aquí."),
        ("ru", "Он –20 лет– ушёл", "Он –двадцать лет– ушёл"),
        ("en", "On Jan 5 –10, 4 May –5", "On Jan fifth to tenth, the fourth of May –five"),
    ],
)
def test_an_en_dash_may_be_a_minus_but_not_between_two_numbers(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("zh", "第3季度增长-3.5%", "第三季度增长百分之负三点五"),
        ("ja", "3月の売上は減少-3.5%", "三月の売上は減少マイナス三点五パーセント"),
        ("ja", "気温は-5°C、-3°C", "気温は摂氏マイナス五度、摂氏マイナス三度"),
        ("ja", "5時間-10時間", "五時間-十時間"),
        ("zh", "气温-5°C", "气温负五摄氏度"),
        ("zh", "5元-10元, 5公里-10公里", "五元-十元, 五公里-十公里"),
        ("zh", "从10度降到-5度, 8月5日-8月10日", "从十度降到负五度, 八月五日-八月十日"),
        ("ja", "1月は-5度、-5度〜-3度", "一月はマイナス五度、マイナス五度〜マイナス三度"),
        ("ja", "2023年は-5%、5時-10時", "二千二十三年はマイナス五パーセント、五時-十時"),
    ],
)
def test_a_minus_may_follow_a_word_where_no_blanks_part_words(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("ru", "1 %, 3 %, 5 %, 21%", "один процент, три процента, пять процентов, двадцать один процент"),
        ("ru", "1,5 %, 2-3 %", "один запятая пять процента, два-три процента"),
        ("ru", "1/2 ч. л. соли, 2 ст. л. сахара", "одна вторая чайной ложки соли, две столовые ложки сахара"),
        ("ru", "1 ч. л., 5 ч. Потом", "одна чайная ложка, пять часов. Потом"),
        ("en", "2 tbsp. sugar, 1/2 tsp salt", "two tablespoons sugar, one half teaspoon salt"),
    ],
)
def test_percent_and_spoons_have_the_form_of_their_number(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "It is 5 km. 20% of us quit.", "It is five kilometers. twenty percent of us quit."),
        ("en", "It is 5 km. $20 is the fee.", "It is five kilometers. twenty dollars is the fee."),
        ("en", "It took 5 min. ½ of us quit.", "It took five minutes. one half of us quit."),
        ("en", "We walked 5 km. 10:30 was late.", "We walked five kilometers. ten thirty was late."),
        ("en", "It has 80 kg. 3/4/2026 is it.", "It has eighty kilograms. March fourth, twenty twenty-six is it."),
        ("en", "We ran 5 mi. 1990s music played.", "We ran five miles. nineteen nineties music played."),
        ("fr", "Ils font 5 km. 14h30 passe.", "Ils font cinq kilomètres. quatorze heures trente passe."),
        ("de", "Es sind 5 Std. 14:30 Uhr reicht.", "Es sind fünf Stunden. vierzehn Uhr dreißig reicht."),
        ("es", "Pesa 5 kg. 1º lugar.", "Pesa cinco kilogramos. primer lugar."),
        ("pl", "Szedł 5 km. 3 maja spał.", "Szedł pięć kilometrów. trzeciego maja spał."),
        ("en", "12 oz., 5 lbs. of it (5 min.).", "twelve ounces, five pounds of it (five minutes)."),
        ("en", "5 min. later, ½ h. later", "five minutes later, one half hour later"),
        ("de", "Es sind 5 km. 20 % gaben auf.", "Es sind fünf Kilometer. zwanzig Prozent gaben auf."),
        ("ru", "5 мин. 20 % и 5 мин. назад", "пять минут. двадцать процентов и пять минут назад"),
    ],
)
def test_a_full_stop_after_a_unit_is_left_out_where_the_sentence_goes_on(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the 1990s and the 1800s", "the nineteen nineties and the eighteen hundreds"),
        ("the 2000s, 2010s", "the two thousands, twenty tens"),
        ("the '90s, the ’80s", "the nineties, the eighties"),
        ("in his 40s and 50s", "in his forties and fifties"),
        ("Her 30s, early 20s", "Her thirties, early twenties"),
        ("mid-90s, 1950s-60s, the 60s/70s.", "mid-nineties, nineteen fifties-sixties, the sixties/seventies."),
        ("10s of thousands", "tens of thousands"),
        ("80s music, 60s/70s rock, 90s-style", "eighties music, sixties/seventies rock, nineties-style"),
        ("100s of 1,000s of 100,000s of", "hundreds of thousands of hundred thousands of"),
    ],
)
def test_decades_tens_and_powers_of_ten_have_a_plural(text: str, said: str) -> None:
    assert spell(text, language="en") == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5s, 45s, 120s, 0.10s", "five seconds, forty-five seconds, one hundred twenty seconds, "
         "zero point one zero seconds"),
        ("30 s", "thirty seconds"),
        ("wait 20s, in 60s, a 30s ad", "wait twenty seconds, in sixty seconds, a thirty seconds ad"),
        ("timeout=30s, a 100s timeout", "timeout=thirty seconds, a one hundred seconds timeout"),
        ("10-20s", "ten to twenty seconds"),
        ("Hold for 60s style matters", "Hold for sixty seconds style matters"),
        ("80s timeout, a 30s song", "eighty seconds timeout, a thirty seconds song"),
        ("2 min 30s, 1h 20m 30s", "two minutes thirty seconds, one hour twenty minutes thirty seconds"),
    ],
)  # fmt: skip
def test_an_s_is_seconds_where_nothing_says_that_it_is_a_plural(text: str, said: str) -> None:
    assert spell(text, language="en") == said
