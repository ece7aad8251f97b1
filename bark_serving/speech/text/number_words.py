"""The words around numbers in Bark's thirteen languages: signs, money, clock, calendar, addresses. Data only.

Forms of a noun that follows a number: (one, more), or for Polish and Russian (one, two to four, five and more). Names
of currencies and months are those of Unicode's CLDR 46.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Forms = tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """One language's words. `time` holds {h}, {m} and the noun {hour}, `date` holds {d}, {month} and {y}."""

    decimal: str  #: sign between whole and fraction
    thousands: str  #: signs between groups of three digits, beside blanks at which no line breaks; a blank comes first
    point: str  #: the decimal sign, spoken
    percent: str  #: its forms, with "|" between them
    dot: str
    slash: str
    at: str
    dash: str
    minus: str
    time: str
    full_hour: str
    date: str
    months: tuple[str, ...]
    money: Mapping[str, tuple[Forms, Forms]]  #: by sign: unit and hundredth
    join: str  #: between unit and hundredth
    glue: str = " "  #: between a number and its noun
    hours: Mapping[int, str] = field(default_factory=dict)  #: hours that are other words than the number
    hour: Forms = ()  #: the noun
    first_day: str = ""  #: of a month, where it alone is an ordinal


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WORDS: Mapping[str, Words] = {
    "en": Words(
        ".", ",", "point", "percent", "dot", "slash", "at", "dash", "minus", "{h} {m}", "{h} o'clock",
        "{month} {d}, {y}",
        _words("January February March April May June July August September October November December"),
        {"$": (("dollar", "dollars"), ("cent", "cents")), "€": (("euro", "euros"), ("cent", "cents")),
         "£": (("pound", "pounds"), ("penny", "pence")), "¥": (("yen", "yen"), ("sen", "sen")),
         "₹": (("rupee", "rupees"), ("paisa", "paise"))}, " and ",
    ),
    "de": Words(
        ",", " .", "Komma", "Prozent", "Punkt", "Schrägstrich", "at", "Strich", "minus", "{h} Uhr {m}", "{h} Uhr",
        "{d} {month} {y}",
        _words("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"),
        {"$": (("Dollar", "Dollar"), ("Cent", "Cent")), "€": (("Euro", "Euro"), ("Cent", "Cent")),
         "£": (("Pfund", "Pfund"), ("Penny", "Pence")), "¥": (("Yen", "Yen"), ("Sen", "Sen"))}, " ",
        hours={1: "ein"},
    ),
    "es": Words(
        ",", " .", "coma", "por ciento", "punto", "barra", "arroba", "guion", "menos", "{h} y {m}", "{h}",
        "{d} de {month} de {y}",
        _words("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"),
        {"$": (("dólar", "dólares"), ("centavo", "centavos")), "€": (("euro", "euros"), ("céntimo", "céntimos")),
         "£": (("libra", "libras"), ("penique", "peniques")), "¥": (("yen", "yenes"), ("sen", "sen"))}, " con ",
        hours={1: "una", 21: "veintiuna"},
    ),
    "fr": Words(
        ",", " .", "virgule", "pour cent", "point", "barre oblique", "arobase", "tiret", "moins",
        "{h} {hour} {m}", "{h} {hour}", "{d} {month} {y}",
        _words("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
        {"$": (("dollar", "dollars"), ("cent", "cents")), "€": (("euro", "euros"), ("centime", "centimes")),
         "£": (("livre", "livres"), ("penny", "pence")), "¥": (("yen", "yens"), ("sen", "sen"))}, " et ",
        hours={1: "une", 21: "vingt et une"}, hour=("heure", "heures"), first_day="premier",
    ),
    "hi": Words(
        ".", ",", "दशमलव", "प्रतिशत", "डॉट", "स्लैश", "ऐट", "डैश", "ऋण", "{h} बजकर {m} मिनट", "{h} बजे",
        "{d} {month} {y}",
        _words("जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर"),
        {"$": (("डॉलर", "डॉलर"), ("सेंट", "सेंट")), "€": (("यूरो", "यूरो"), ("सेंट", "सेंट")),
         "£": (("पाउंड", "पाउंड"), ("पेंस", "पेंस")), "₹": (("रुपया", "रुपये"), ("पैसा", "पैसे"))}, " ",
    ),
    "it": Words(
        ",", " .", "virgola", "per cento", "punto", "barra", "chiocciola", "trattino", "meno", "{h} e {m}", "{h}",
        "{d} {month} {y}",
        _words("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"),
        {"$": (("dollaro", "dollari"), ("centesimo", "centesimi")), "€": (("euro", "euro"), ("centesimo", "centesimi")),
         "£": (("sterlina", "sterline"), ("penny", "penny")), "¥": (("yen", "yen"), ("sen", "sen"))}, " e ",
        hours={1: "una"}, first_day="primo",
    ),
    "ja": Words(
        ".", ",", "点", "パーセント", "ドット", "スラッシュ", "アットマーク", "ハイフン", "マイナス",
        "{h}時{m}分", "{h}時", "{y}年{month}{d}日",
        _words("一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月"),
        {"$": (("ドル", "ドル"), ("セント", "セント")), "€": (("ユーロ", "ユーロ"), ("セント", "セント")),
         "£": (("ポンド", "ポンド"), ("ペンス", "ペンス")), "¥": (("円", "円"), ("銭", "銭"))}, "", "",
    ),
    "ko": Words(
        ".", ",", "점", "퍼센트", "닷", "슬래시", "골뱅이", "대시", "마이너스", "{h}시 {m}분", "{h}시",
        "{y}년 {month} {d}일",
        _words("일월 이월 삼월 사월 오월 유월 칠월 팔월 구월 시월 십일월 십이월"),
        {"$": (("달러", "달러"), ("센트", "센트")), "€": (("유로", "유로"), ("센트", "센트")),
         "£": (("파운드", "파운드"), ("펜스", "펜스")), "₩": (("원", "원"), ("전", "전"))}, " ", "",
        hours=dict(enumerate(_words("한 두 세 네 다섯 여섯 일곱 여덟 아홉 열 열한 열두"), 1)),
    ),
    "pl": Words(
        ",", " .", "przecinek", "procent", "kropka", "ukośnik", "małpa", "myślnik", "minus", "{h} {m}", "{h}",
        "{d} {month} {y}",
        _words("stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia"),
        {"$": (("dolar", "dolary", "dolarów"), ("cent", "centy", "centów")),
         "€": (("euro", "euro", "euro"), ("cent", "centy", "centów")),
         "£": (("funt", "funty", "funtów"), ("pens", "pensy", "pensów")),
         "zł": (("złoty", "złote", "złotych"), ("grosz", "grosze", "groszy"))}, " ",
    ),
    "pt": Words(
        ",", " .", "vírgula", "por cento", "ponto", "barra", "arroba", "hífen", "menos", "{h} e {m}", "{h} {hour}",
        "{d} de {month} de {y}",
        _words("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"),
        {"$": (("dólar", "dólares"), ("centavo", "centavos")), "€": (("euro", "euros"), ("cêntimo", "cêntimos")),
         "£": (("libra", "libras"), ("pêni", "pence")), "R$": (("real", "reais"), ("centavo", "centavos"))}, " e ",
        hours={1: "uma", 2: "duas", 21: "vinte e uma", 22: "vinte e duas"}, hour=("hora", "horas"),
        first_day="primeiro",
    ),
    "ru": Words(
        ",", " .", "запятая", "процент|процента|процентов", "точка", "слэш", "собака", "дефис", "минус", "{h} {m}",
        "{h} {hour}", "{d} {month} {y}",
        _words("января февраля марта апреля мая июня июля августа сентября октября ноября декабря"),
        {"$": (("доллар", "доллара", "долларов"), ("цент", "цента", "центов")),
         "€": (("евро", "евро", "евро"), ("цент", "цента", "центов")),
         "£": (("фунт", "фунта", "фунтов"), ("пенс", "пенса", "пенсов")),
         "₽": (("рубль", "рубля", "рублей"), ("копейка", "копейки", "копеек"))}, " ",
        hour=("час", "часа", "часов"),
    ),
    "tr": Words(
        ",", ".", "virgül", "yüzde", "nokta", "bölü", "et", "tire", "eksi", "{h} {m}", "{h}", "{d} {month} {y}",
        _words("Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık"),
        {"$": (("dolar", "dolar"), ("sent", "sent")), "€": (("avro", "avro"), ("sent", "sent")),
         "£": (("sterlin", "sterlin"), ("peni", "peni")), "₺": (("lira", "lira"), ("kuruş", "kuruş"))}, " ",
    ),
    "zh": Words(
        ".", ",", "点", "百分之", "点", "斜杠", "艾特", "杠", "负", "{h}点{m}分", "{h}点", "{y}年{month}{d}日",
        _words("一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月"),
        {"$": (("美元", "美元"), ("美分", "美分")), "€": (("欧元", "欧元"), ("欧分", "欧分")),
         "£": (("英镑", "英镑"), ("便士", "便士")), "¥": (("元", "元"), ("分", "分"))}, "", "",
        hours={2: "两"},
    ),
}  # fmt: skip

#: Languages that say "percent" before the number.
PERCENT_FIRST = frozenset({"tr", "zh"})

#: Endings of hosts that are read as addresses where no scheme and no "www." stands before them.
DOMAINS = frozenset(_words("com org net edu gov io ai dev app co uk de es fr in it jp kr pl pt br ru tr cn eu info"))

TURKISH_ONES = ("", *_words("bir iki üç dört beş altı yedi sekiz dokuz"))
TURKISH_TENS = ("", *_words("on yirmi otuz kırk elli altmış yetmiş seksen doksan"))

#: 0 to 99 in Hindi, which has a word for each.
HINDI = _words(
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ "
    "दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस "
    "बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस "
    "तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस "
    "चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास "
    "पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ "
    "साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर "
    "सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उन्यासी "
    "अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अट्ठासी नवासी "
    "नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे"
)
