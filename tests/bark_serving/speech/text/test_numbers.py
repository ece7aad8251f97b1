"""Numbers, money, units, ranges, times, dates and addresses in the words of Bark's languages."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bark_serving.speech.text.number_words import WORDS
from bark_serving.speech.text.numbers import spell
from bark_serving.speech.text.unit_words import FRACTIONS, NUMBER_SIGNS, SCALES, TO, UNITS

LANGUAGES = ["de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh"]

COMMON_UNITS = ["mm", "cm", "m", "km", "m²", "km²", "m³", "mg", "g", "kg", "ml", "l", "°C", "°F", "m/s", "km/h"]
COMMON_UNITS += ["ms", "s", "min", "h", "kB", "MB", "GB", "W", "kW", "kWh", "V", "Hz", "kHz", "MHz", "%"]

SPELLED = [
    ("en", "I have 3 cats.", "I have three cats."),
    ("en", "1,234,567 people", "one million two hundred thirty-four thousand five hundred sixty-seven people"),
    ("en", "$5.50, £3.01 and $1", "five dollars and fifty cents, three pounds and one penny and one dollar"),
    ("en", "It costs $1.5 million.", "It costs one point five million dollars."),
    ("en", "at 10:05 pm, 10:00", "at ten oh five pm, ten o'clock"),
    ("en", "2026-11-28", "November twenty-eighth, twenty twenty-six"),
    ("en", "In 1905, on May 3rd", "In nineteen oh-five, on May third"),
    ("en", "call 555-1234", "call five five five, one two three four"),
    ("en", "call (555) 123-4567", "call five five five, one two three, four five six seven"),
    ("en", "007 is 0.5%", "zero zero seven is zero point five percent"),
    ("en", "-5 or 10-20", "minus five or ten to twenty"),
    ("en", "on 3/14/2026", "on March fourteenth, twenty twenty-six"),
    ("en", "on 14/3/2026", "on March fourteenth, twenty twenty-six"),
    ("fr", "le 03/04/2026", "le trois avril deux mille vingt-six"),
    ("es", "el 14/03/2026", "el catorce de marzo de dos mil veintiséis"),
    ("ja", "2026/11/28", "二千二十六年十一月二十八日"),
    ("en", "see https://www.example.com/a-b.", "see www dot example dot com slash a dash b."),
    ("en", "ask joe@x.org", "ask joe at x dot org"),
    ("en", "version 1.2.3", "version one dot two dot three"),
    ("de", "am 28.11.2026", "am achtundzwanzigsten November zweitausendsechsundzwanzig"),
    ("de", "der 3. Mai im 20. Jahrhundert", "der dritte Mai im zwanzigsten Jahrhundert"),
    ("de", "5,50 € um 10:30 Uhr", "fünf Euro fünfzig Cent um zehn Uhr dreißig"),
    ("de", "1.234,5 von 1999", "eintausendzweihundertvierunddreißig Komma fünf von neunzehnhundertneunundneunzig"),
    ("es", "a las 10:30 y a las 1:00", "a las diez y treinta y a las una"),
    ("fr", "à 10h30, 2 000 €", "à dix heures trente, deux mille euros"),
    ("hi", "12345 और ₹5", "बारह हज़ार तीन सौ पैंतालीस और पाँच रुपये"),
    ("it", "alle 10:30, 01.05.2026", "alle dieci e trenta, primo maggio duemilaventisei"),
    ("ja", "今年は2026年です", "今年は二千二十六年です"),
    ("ko", "10시에 500₩", "열시에 오백원"),
    ("pl", "5,50 zł 2 zł 22 zł", "pięć złotych pięćdziesiąt groszy dwa złote dwadzieścia dwa złote"),
    ("pt", "R$ 5,50 às 2:00", "cinco reais e cinquenta centavos às duas horas"),
    (
        "pt",
        "16 e 19, 1.234.567",
        "dezesseis e dezenove, um milhão duzentos e trinta e quatro mil quinhentos e sessenta e sete",
    ),
    ("ru", "1 000 ₽ в 2:00", "одна тысяча рублей в два часа"),
    ("tr", "%50 ve 1001", "yüzde elli ve bin bir"),
    ("zh", "2026-11-28 有 10010 人, 50%", "二零二六年十一月二十八日 有 一万零一十 人, 百分之五十"),
]

ORDINALS = [
    ("de", "Sie gewann ihren 3. Titel mit ihrem 2. Kind", "Sie gewann ihren dritten Titel mit ihrem zweiten Kind"),
    ("de", "in seinem 2. Jahr, die 3. Wahl, ins 4. Jahr", "in seinem zweiten Jahr, die dritte Wahl, ins vierte Jahr"),
    ("de", "Ich habe eine 2. Peter hat keine 3. Anna", "Ich habe eine zwei. Peter hat keine drei. Anna"),
    ("de", "mein 3. Kind", "mein drei. Kind"),
    ("de", "Ich komme am 5. Wir essen.", "Ich komme am fünften. Wir essen."),
    ("de", "Die Zahl ist 3. Titel folgen.", "Die Zahl ist drei. Titel folgen."),
    ("tr", "Boğazın 3. Köprüsü, 4. sınıf ve 20. yüzyıl", "Boğazın üçüncü Köprüsü, dördüncü sınıf ve yirminci yüzyıl"),
    ("tr", "Saat 5. Gidiyoruz.", "Saat beş. Gidiyoruz."),
    ("tr", "Galatasaray'ın 3. Başkanı", "Galatasaray'ın üçüncü Başkanı"),
    ("tr", "Cevap 42. Bunu biliyoruz.", "Cevap kırk iki. Bunu biliyoruz."),
    ("tr", "Adım 1. Unu ekleyin.", "Adım bir. Unu ekleyin."),
    ("tr", "Çocuk sayısı 3. Eşi doktor.", "Çocuk sayısı üç. Eşi doktor."),
    ("tr", "Senin 3. Kazandım, sultan 2. Abdülhamid", "Senin üç. Kazandım, sultan ikinci Abdülhamid"),
    ("tr", "1. Aç.\n2. Kapat.", "bir. Aç.\niki. Kapat."),
    ("ko", "회의는 2024. 5. 1. 오후에", "회의는 이천이십사년 오월 일일 오후에"),
    ("ko", "점수는 10. 다음은 20.", "점수는 십. 다음은 이십."),
]

TIMES = [
    ("es", "a las 17:00 h, 17:30h", "a las diecisiete, diecisiete y treinta"),
    ("it", "alle 17:00 h", "alle diciassette"),
    ("de", "um 17:00 h, 8:00-9:30 Uhr", "um siebzehn Uhr, acht Uhr bis neun Uhr dreißig"),
    ("fr", "à 17:30h et 17h30, 3 h", "à dix-sept heures trente et dix-sept heures trente, trois heures"),
    ("pl", "o 17:30 h", "o siedemnaście trzydzieści"),
    ("pt", "às 17:30h, 14h", "às dezessete e trinta, catorze horas"),
    (
        "fr",
        "2 h 30 min, 1 h 15 min, 2h30min",
        "deux heures trente minutes, une heure quinze minutes, deux heures trente minutes",
    ),
    ("pt", "2 h 30 min, 8h/dia", "duas horas trinta minutos, oito horas/dia"),
    ("fr", "8h/jour, 12h/14h", "huit heures/jour, douze heures/quatorze heures"),
    ("en", "9:00,10:30,11:45", "nine o'clock,ten thirty,eleven forty-five"),
    ("de", "9:00,10:30,11:45", "neun Uhr,zehn Uhr dreißig,elf Uhr fünfundvierzig"),
    ("fr", "9:00,10:30", "neuf heures,dix heures trente"),
    ("zh", "9:00,10:30,11:45", "九点,十点三十分,十一点四十五分"),
    ("hi", "सुबह 8:30 बजे, शाम 5:00 बजे", "सुबह आठ बजकर तीस मिनट, शाम पाँच बजे"),
    ("zh", "2:05, 1:23:45", "两点零五分, 一点二十三分四十五秒"),
    ("en", "See you 9:00am, at 5:00 PM.", "See you nine am, at five PM."),
    ("en", "10:00am-5:00pm, 10am-5pm, 9am–5pm", "ten am to five pm, ten am to five pm, nine am to five pm"),
    ("en", "9 AM - 5 PM, 9-5pm, 10-12:30", "nine AM to five PM, nine to five pm, ten to twelve thirty"),
    ("en", "10:30 a.m. or 10:05 pm", "ten thirty a.m. or ten oh five pm"),
    ("en", "1:23:45, 1:03:05", "one twenty-three forty-five, one oh three oh five"),
    ("en", "3:26.00", "three minutes twenty-six point zero zero seconds"),
    ("en", "3-10 km, 5-3, 10 - 5", "three to ten kilometers, five-three, ten - five"),
]

CHINESE = [
    ("1990年, 2024年5月1日", "一九九零年, 二零二四年五月一日"),
    ("1990-1995年", "一九九零到一九九五年"),
    ("1500年前, 2000年的历史", "一千五百年前, 二千年的历史"),
    ("历时1500年, 存在了1100年, 距今2000年", "历时一千五百年, 存在了一千一百年, 距今二千年"),
    ("存在1500年, 历时1995年", "存在一千五百年, 历时一千九百九十五年"),
    ("在1500年, 2000年代, 1500年3月, 1492年", "在一五零零年, 二零零零年代, 一五零零年三月, 一四九二年"),
    ("2次方, 2元一次方程, 2人转, 2本科", "二次方, 二元一次方程, 二人转, 二本科"),
    ("约翰福音3:16, 比分3:16, 时间9:00", "约翰福音三:十六, 比分三:十六, 时间九点"),
    ("2个人, 2天, 2岁, 2点, 2年, 2万人", "两个人, 两天, 两岁, 两点, 两年, 两万人"),
    ("2小时, 2分钟, 2 kg", "两小时, 两分钟, 两公斤"),
    ("2月2日, 第2个, 2年级, 2楼, 12个, 2.5个", "二月二日, 第二个, 二年级, 二楼, 十二个, 二点五个"),
    ("￥2, ￥500", "两元, 五百元"),
]

KOREAN = [
    ("6월 6일, 10월 3일, 12월, 2024년 6월", "유월 육일, 시월 삼일, 십이월, 이천이십사년 유월"),
    ("3시간, 20살, 21살, 5개, 3 명", "세시간, 스무살, 스물한살, 다섯개, 세 명"),
    ("2마리, 1잔, 7병, 3번, 99명", "두마리, 한잔, 일곱병, 삼번, 아흔아홉명"),
    ("3-4명, 3-5 개", "세명에서 네명, 세 개에서 다섯 개"),
    ("하루에 3번, 한 달에 2번, 총 5번, 버스 5번", "하루에 세번, 한 달에 두번, 총 다섯번, 버스 오번"),
    ("6개월, 3번지, 3번 출구, 제3번, 100명, 2.5시간", "육개월, 삼번지, 삼번 출구, 제삼번, 백명, 이점오시간"),
]

DATES = [
    ("en", "July 4, 1776", "July fourth, seventeen seventy-six"),
    ("en", "May 5 is it, July 4-6, Jan. 5", "May fifth is it, July fourth to sixth, Jan. fifth"),
    ("en", "on 4 July 2024, the 4 July", "on the fourth of July twenty twenty-four, the fourth of July"),
    ("en", "In May 20 people came, May 2024", "In May twenty people came, May twenty twenty-four"),
    ("en", "In March 15 men died. By May 5 men came.", "In March fifteen men died. By May five men came."),
    ("en", "On March 15 it rained, by July 4-6.", "On March fifteenth it rained, by July fourth to sixth."),
    ("en", "Monday, July 4 we met. It is Jan. 5", "Monday, July fourth we met. It is Jan. fifth"),
    ("en", "from May 5 to June 6 it rained", "from May fifth to June sixth it rained"),
    ("it", "1° e 2° grado", "primo e secondo grado"),
    ("en", "Room 3 May be used", "Room three May be used"),
    ("en", "Only 12 May attend", "Only twelve May attend"),
    ("en", "Chapter 3 May begins", "Chapter three May begins"),
    ("en", "Windows 11 May update", "Windows eleven May update"),
    ("en", "a 5 June deadline, our 3 May meeting", "a five June deadline, our three May meeting"),
    ("en", "our 3 May 2024 meeting", "our third of May twenty twenty-four meeting"),
    ("en", "It's 5 June 2023, by 4 July", "It's the fifth of June twenty twenty-three, by the fourth of July"),
    ("en", "On Monday, 3 May it rained", "On Monday, the third of May it rained"),
    ("en", "From 3 May to 5 June", "From the third of May to the fifth of June"),
    ("en", "4 July is free. The 5 July party", "the fourth of July is free. The fifth of July party"),
    ("en", "3–5 May, 12–14 July 2024", "three to five May, twelve to fourteen July twenty twenty-four"),
    ("en", "from 3 to 5 May 2024", "from three to five May twenty twenty-four"),
    ("ru", "1–5 мая, с 1 по 5 мая, 1 и 3 мая", "один-пять мая, с первого по пятое мая, первого и третьего мая"),
    ("ru", "Сегодня 9 мая. Сегодня 9 мая шёл снег.", "Сегодня девятое мая. Сегодня девятого мая шёл снег."),
    ("ru", "8 марта — праздник, между 3 и 5 мая", "восьмое марта — праздник, между третьим и пятым мая"),
    ("ru", "к 9 мая, до 9 мая, на 9 мая", "к девятому мая, до девятого мая, на девятое мая"),
    ("pl", "12–14 lipca, od 12 do 14 lipca", "dwanaście-czternaście lipca, od dwunastego do czternastego lipca"),
    ("ru", "9 мая 1945 года", "девятого мая тысяча девятьсот сорок пятого года"),
    ("ru", "Это 1 мая 2024 г. Потом", "Это первое мая две тысячи двадцать четвёртого года. Потом"),
    ("ru", "в 1945 году, 2020 человек", "в тысяча девятьсот сорок пятом году, две тысячи двадцать человек"),
    ("ru", "к 2024 году, 2024 год", "к две тысячи двадцать четвёртому году, две тысячи двадцать четвёртый год"),
    ("ru", "по 5 мая 2024 года", "по пятое мая две тысячи двадцать четвёртого года"),
    ("pl", "3 maja i 11 listopada", "trzeciego maja i jedenastego listopada"),
    ("de", "Vom 3. bis 5. Mai, 3.-5. Mai", "Vom dritten bis fünften Mai, dritter bis fünfter Mai"),
    ("de", "am 3. und 4. Mai, der 3. und letzte", "am dritten und vierten Mai, der dritte und letzte"),
    ("it", "il 1° maggio, 3° piano, 3ª classe", "il primo maggio, terzo piano, terza classe"),
    ("it", "20° di notte e 5°", "venti gradi di notte e cinque gradi"),
    ("it", "Gira a 90° verso nord, 30° oggi", "Gira a novanta gradi verso nord, trenta gradi oggi"),
    ("es", "8° hoy, mínima de 3º, 3º mañana", "ocho grados hoy, mínima de 3º, 3º mañana"),
    ("es", "1º de mayo, 2º lugar, 30° de mayo", "primero de mayo, segundo lugar, treinta grados de mayo"),
    ("pt", "máxima de 30º, 30° hoje, 2º lugar", "máxima de 30º, trinta graus hoje, segundo lugar"),
    ("es", "1° de mayo, 3.º piso, 3ª planta", "primero de mayo, tercer piso, tercera planta"),
    ("es", "20° en Madrid, el 15º piso", "veinte grados en Madrid, el 15º piso"),
    ("pt", "1º de maio, 3° andar", "primeiro de maio, terceiro andar"),
    ("ru", "5-й этаж", "5-й этаж"),
    ("de", "am 03.10.90", "am dritten Oktober neunzehnhundertneunzig"),
    ("de", "Version 3.10.24", "Version drei Punkt zehn Punkt vierundzwanzig"),
    ("fr", "14/07/89", "quatorze juillet mille neuf cent quatre-vingt-neuf"),
    (
        "en",
        "Due 3/4/24, not 24/7 or 1/2/3",
        "Due March fourth, twenty twenty-four, not twenty-four/seven or one/two/three",
    ),
    ("en", "The 10/20/30 rule, sizes 8/10/12", "The ten/twenty/thirty rule, sizes eight/ten/twelve"),
    ("en", "KDA 10/2/15", "KDA ten/two/fifteen"),
    ("en", "on 12/25/23", "on December twenty-fifth, twenty twenty-three"),
    ("de", "Version 10.11.12", "Version zehn Punkt elf Punkt zwölf"),
    ("de", "am 10.11.12", "am zehnten November zweitausendzwölf"),
    ("ru", "Версия 10.11.12", "Версия десять точка одиннадцать точка двенадцать"),
    ("en", "version 10.12.24", "version ten dot twelve dot twenty-four"),
]

TELEPHONES = [
    ("en", "1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
    ("en", "call 555 000 1234", "call five five five, zero zero zero, one two three four"),
    ("en", "555.123.4567", "five five five, one two three, four five six seven"),
    ("en", "5-10-15 and 555 000", "five-ten-fifteen and five hundred fifty-five thousand"),
    ("en", "100 200 3000 units", "one hundred two hundred three thousand units"),
    ("hi", "जनसंख्या 7000000000 है", "जनसंख्या सात सौ करोड़ है"),
    ("ru", "8-800-555-35-35", "восемь, восемь ноль ноль, пять пять пять, три пять, три пять"),
    ("pt", "(11) 91234-5678", "um um, nove um dois três quatro, cinco seis sete oito"),
    ("de", "030/1234567", "null drei null, eins zwei drei vier fünf sechs sieben"),
    ("it", "06 1234567", "zero sei, uno due tre quattro cinque sei sette"),
    ("hi", "98765 43210, 9876543210", "नौ आठ सात छह पाँच, चार तीन दो एक शून्य, नौ आठ सात छह पाँच चार तीन दो एक शून्य"),
    ("zh", "手机13812345678", "手机一三八一二三四五六七八"),
    ("zh", "13812345678元", "一百三十八亿一千二百三十四万五千六百七十八元"),
]

BESIDE_LETTERS = [
    ("ko", "회의는 14:30에 열린다", "회의는 십사시 삼십분에 열린다"),
    ("ja", "14:30から、8:00-9:30です", "十四時三十分から、八時から九時三十分です"),
    ("zh", "将于14:30开始, 9:00-18:00营业, 14：30开始", "将于十四点三十分开始, 九点到十八点营业, 十四点三十分开始"),
    ("ja", "電話番号は03-1234-5678です", "電話番号は零三, 一二三四, 五六七八です"),
    ("ko", "010-1234-5678입니다", "영일영, 일이삼사, 오육칠팔입니다"),
    ("ja", "発売日は2024-05-01です", "発売日は二千二十四年五月一日です"),
    ("ja", "1/2カップ、1 1/2カップ", "二分の一カップ、一と二分の一カップ"),
    ("zh", "版本1.2.3发布了", "版本一点二点三发布了"),
    ("zh", "A1/2B, v1.2.3", "A1/2B, v1.2.3"),
]

UNITS_AND_RANGES = [
    ("en", "5 km, 1km, 0.5 kg", "five kilometers, one kilometer, zero point five kilograms"),
    ("en", "-5 °C at 60 km/h, 100 %", "minus five degrees Celsius at sixty kilometers per hour, one hundred percent"),
    ("en", "1500 m in 2h 30m", "one thousand five hundred meters in two hours thirty minutes"),
    ("en", "5 min. later. 5 min. Then", "five minutes later. five minutes. Then"),
    ("en", "10–12 or 2-3 hours", "ten to twelve or two to three hours"),
    ("en", "1990-1995, 1990–95", "nineteen ninety to nineteen ninety-five, nineteen ninety to ninety-five"),
    ("en", "10:00–12:30, $5-10", "ten o'clock to twelve thirty, five to ten dollars"),
    ("en", "1/2 of 2½ cups and 1 3/4 km", "one half of two and a half cups and one and three quarters kilometers"),
    ("en", "No. 5 and #7", "number five and number seven"),
    ("de", "1 h, 1 km, 1 €, Nr. 5", "eine Stunde, ein Kilometer, ein Euro, Nummer fünf"),
    ("de", "10-12 °C", "zehn bis zwölf Grad Celsius"),
    ("es", "1 €, 21 km, 200 h, 2-3 kg", "un euro, veintiún kilómetros, doscientas horas, dos a tres kilogramos"),
    ("fr", "1 h, 1,5 km, 2,5 km", "une heure, un virgule cinq kilomètre, deux virgule cinq kilomètres"),
    ("fr", "les 5 l'ont vu, 2–3 m", "les cinq l'ont vu, deux à trois mètres"),
    ("hi", "5 किमी, 10-12 kg", "पाँच किलोमीटर, दस से बारह किलोग्राम"),
    ("it", "1 h, 1 kg, 2-3 ore", "un'ora, un chilogrammo, due-tre ore"),
    ("ja", "60km/h で20℃", "時速六十キロメートル で摂氏二十度"),
    ("ja", "10〜12km", "十から十二キロメートル"),
    ("ko", "10~12km, 20°C", "십에서 십이킬로미터, 섭씨 이십도"),
    ("pl", "1 km 2 km 5 km 1,5 km", "jeden kilometr dwa kilometry pięć kilometrów jeden przecinek pięć kilometra"),
    ("pl", "2-3 min", "dwie-trzy minuty"),
    ("pt", "14h30, 2 h, 1-2 kg", "catorze e trinta, duas horas, um a dois quilogramas"),
    ("ru", "21 км, 2 мин, 5-6 ч", "двадцать один километр, две минуты, пять-шесть часов"),
    ("ru", "500 г в 2020 г.", "пятьсот граммов в две тысячи двадцатом году."),
    ("tr", "10-12 km/h, %10-12", "saatte on ila on iki kilometre, yüzde on ila on iki"),
    ("zh", "2km, 10-12 kg", "两公里, 十到十二公斤"),
]


@pytest.mark.parametrize(("language", "text", "said"), UNITS_AND_RANGES)
def test_units_and_ranges_are_spelled_in_the_language(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(("language", "text", "said"), SPELLED)
def test_numbers_are_spelled_in_the_language(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(("language", "text", "said"), ORDINALS)
def test_a_number_with_a_full_stop_is_an_ordinal_where_the_words_beside_it_say_so(
    language: str, text: str, said: str
) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(("language", "text", "said"), TIMES)
def test_a_time_of_day_is_read_with_what_stands_beside_it(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(("language", "text", "said"), TELEPHONES)
def test_a_telephone_number_is_read_digit_by_digit(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(("language", "text", "said"), DATES)
def test_a_date_has_the_ordinals_that_the_language_says(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize(("text", "said"), KOREAN)
def test_korean_counts_with_its_own_numbers_and_has_names_for_june_and_october(text: str, said: str) -> None:
    assert spell(text, language="ko") == said


@pytest.mark.parametrize(("text", "said"), CHINESE)
def test_chinese_says_years_digit_by_digit_and_has_two_words_for_two(text: str, said: str) -> None:
    assert spell(text, language="zh") == said


@pytest.mark.parametrize(("language", "text", "said"), BESIDE_LETTERS)
def test_chinese_japanese_and_korean_letters_may_stand_next_to_digits(language: str, text: str, said: str) -> None:
    assert spell(text, language=language) == said


@pytest.mark.parametrize("text", ["[2 laughs] a", "H2O", "a5 5a", "end.It was", "No numbers here.", "5G 4K"])
def test_what_is_no_number_stays(text: str) -> None:
    assert spell(text, language="en") == text


def test_a_language_without_words_keeps_its_numbers() -> None:
    assert spell("5 appels", language="nl") == "5 appels"


def test_every_language_of_bark_has_words() -> None:
    for table in (WORDS, UNITS, SCALES, TO, FRACTIONS, NUMBER_SIGNS):
        assert sorted(table) == LANGUAGES
    assert all(len(words.months) == 12 for words in WORDS.values())


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=st.integers(0, 10**15 - 1))
def test_a_whole_number_leaves_no_digit(language: str, number: int) -> None:
    said = spell(str(number), language=language)
    assert said and not any(letter.isdigit() for letter in said)


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=st.integers(0, 10**6), blank=st.sampled_from(["", " ", "\u00a0"]))
@settings(max_examples=20, deadline=None)
def test_a_unit_becomes_a_word_in_each_language(language: str, number: int, blank: str) -> None:
    for sign in COMMON_UNITS:
        said = spell(f"{number}{blank}{sign}", language=language)
        assert not re.search(rf"\d|[°²³%]|(?<!\w){re.escape(sign)}(?!\w)", said), sign


@pytest.mark.parametrize("language", LANGUAGES)
@given(ends=st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True), dash=st.sampled_from("-–"))
@settings(max_examples=50, deadline=None)
def test_a_range_is_its_two_numbers_and_a_word(language: str, ends: list[int], dash: str) -> None:
    low, high = sorted(ends)
    assume(not re.fullmatch(r"\d{3}-\d{4}", f"{low}-{high}"))  # a telephone number
    said = spell(f"{low}{dash}{high}", language=language)
    assert TO[language] in said and not any(letter.isdigit() for letter in said)


@given(
    st.lists(st.tuples(st.text("qxjwå", min_size=2, max_size=6), st.text("0123456789.,-–/%½ ", max_size=8))),
    st.sampled_from([*COMMON_UNITS, ""]),
    st.sampled_from(LANGUAGES),
)
def test_words_beside_a_number_are_never_lost(pieces: list[tuple[str, str]], unit: str, language: str) -> None:
    text = "".join(f"{word} {number}{unit} " for word, number in pieces)
    words = iter(spell(text, language=language).split())
    assert all(any(word == said for said in words) for word, _ in pieces)


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1), st.sampled_from(["hi", "tr", "zh"]))
def test_two_numbers_are_never_the_same_words(one: int, other: int, language: str) -> None:
    assert (spell(str(one), language=language) == spell(str(other), language=language)) == (one == other)


@given(st.text("0123456789.,:-/%$€zł @a[]()hUr\n", max_size=60), st.sampled_from(LANGUAGES))
def test_any_mixture_of_digits_and_signs_is_read(text: str, language: str) -> None:
    assert bool(spell(text, language=language)) == bool(text)


LONG = ["9", "a-", "a.", "1.", "1-", "a@", "$", "1 ", "a.com/", "1-2 ", "½", "5 m/", "1 1/2", "$1-"]
LONG += ["000 ", "\u00a0000", "1,11,", "1%-", "$1m-", "90s-"]


@pytest.mark.parametrize(
    ("language", "unit"), [*(("en", unit) for unit in LONG), ("zh", "９"), ("ja", "５"), ("ko", "५"), ("hi", "५")]
)
def test_reading_numbers_takes_no_longer_than_the_text_is(language: str, unit: str) -> None:
    started = time.process_time()
    spell(unit * (20_000 // len(unit)), language=language)
    assert time.process_time() - started < 5
