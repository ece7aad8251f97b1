"""Names of units in Bark's thirteen languages, and the words of ranges, fractions and "No.". Data only.

A row of a table is ``sign noun``. The noun's forms are those of `number_words`: (one, more), or for Polish and Russian
(one, two to four, five and more). Polish has a fourth form, which follows a fraction. ``+s`` is the first form with an
"s". ``{}`` is the place of the number where the noun does not simply follow it.
"""

from __future__ import annotations

from collections.abc import Mapping

Forms = tuple[str, ...]


def _forms(text: str) -> Forms:
    first, *others = text.split("|")
    return (first, *(first + form[1:] if form.startswith("+") else form for form in others or [first]))


def _units(table: str) -> dict[str, Forms]:
    rows = (row.strip().split(" ", 1) for row in table.replace("\n", ";").split(";") if row.strip())
    return {sign: _forms(noun) for sign, noun in rows}


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


UNITS: Mapping[str, Mapping[str, Forms]] = {
    "en": _units("""
        mm millimeter|+s; cm centimeter|+s; m meter|+s; km kilometer|+s
        m² square meter|+s; km² square kilometer|+s; m³ cubic meter|+s
        mg milligram|+s; g gram|+s; kg kilogram|+s; t metric ton|+s; ml milliliter|+s; l liter|+s
        °C degree Celsius|degrees Celsius; °F degree Fahrenheit|degrees Fahrenheit; ° degree|+s
        m/s meter per second|meters per second; km/h kilometer per hour|kilometers per hour
        ms millisecond|+s; s second|+s; min minute|+s; h hour|+s
        kB kilobyte|+s; MB megabyte|+s; GB gigabyte|+s; TB terabyte|+s; W watt|+s; kW kilowatt|+s; kWh kilowatt hour|+s
        V volt|+s; Hz hertz; kHz kilohertz; MHz megahertz; GHz gigahertz
        mph mile per hour|miles per hour; mi mile|+s; ft foot|feet; tsp teaspoon|+s; tbsp tablespoon|+s
        lb pound|+s; lbs pound|+s; oz ounce|+s
    """),
    "de": _units("""
        mm Millimeter; cm Zentimeter; m Meter; km Kilometer; m² Quadratmeter; km² Quadratkilometer; m³ Kubikmeter
        mg Milligramm; g Gramm; kg Kilogramm; t Tonne|+n; ml Milliliter; l Liter
        °C Grad Celsius; °F Grad Fahrenheit; ° Grad; m/s Meter pro Sekunde; km/h Kilometer pro Stunde
        ms Millisekunde|+n; s Sekunde|+n; min Minute|+n; h Stunde|+n; Std Stunde|+n; Sek Sekunde|+n; Min Minute|+n
        kB Kilobyte; MB Megabyte; GB Gigabyte; TB Terabyte; W Watt; kW Kilowatt; kWh Kilowattstunde|+n
        V Volt; Hz Hertz; kHz Kilohertz; MHz Megahertz; GHz Gigahertz
    """),
    "es": _units("""
        mm milímetro|+s; cm centímetro|+s; m metro|+s; km kilómetro|+s
        m² metro cuadrado|metros cuadrados; km² kilómetro cuadrado|kilómetros cuadrados; m³ metro cúbico|metros cúbicos
        mg miligramo|+s; g gramo|+s; kg kilogramo|+s; t tonelada|+s; ml mililitro|+s; l litro|+s
        °C grado Celsius|grados Celsius; °F grado Fahrenheit|grados Fahrenheit; ° grado|+s
        m/s metro por segundo|metros por segundo; km/h kilómetro por hora|kilómetros por hora
        ms milisegundo|+s; s segundo|+s; min minuto|+s; h hora|+s
        kB kilobyte|+s; MB megabyte|+s; GB gigabyte|+s; TB terabyte|+s; W vatio|+s; kW kilovatio|+s
        kWh kilovatio hora|kilovatios hora; V voltio|+s; Hz hercio|+s; kHz kilohercio|+s; MHz megahercio|+s
        GHz gigahercio|+s
    """),
    "fr": _units("""
        mm millimètre|+s; cm centimètre|+s; m mètre|+s; km kilomètre|+s
        m² mètre carré|mètres carrés; km² kilomètre carré|kilomètres carrés; m³ mètre cube|mètres cubes
        mg milligramme|+s; g gramme|+s; kg kilogramme|+s; t tonne|+s; ml millilitre|+s; l litre|+s
        °C degré Celsius|degrés Celsius; °F degré Fahrenheit|degrés Fahrenheit; ° degré|+s
        m/s mètre par seconde|mètres par seconde; km/h kilomètre par heure|kilomètres par heure
        ms milliseconde|+s; s seconde|+s; min minute|+s; h heure|+s
        kB kilooctet|+s; MB mégaoctet|+s; GB gigaoctet|+s; TB téraoctet|+s
        ko kilooctet|+s; Mo mégaoctet|+s; Go gigaoctet|+s; To téraoctet|+s
        W watt|+s; kW kilowatt|+s; kWh kilowattheure|+s; V volt|+s
        Hz hertz; kHz kilohertz; MHz mégahertz; GHz gigahertz
    """),
    "hi": _units("""
        mm मिलीमीटर; cm सेंटीमीटर; m मीटर; km किलोमीटर; m² वर्ग मीटर; km² वर्ग किलोमीटर; m³ घन मीटर
        mg मिलीग्राम; g ग्राम; kg किलोग्राम; t टन; ml मिलीलीटर; l लीटर
        °C डिग्री सेल्सियस; °F डिग्री फ़ारेनहाइट; ° डिग्री; m/s मीटर प्रति सेकंड; km/h किलोमीटर प्रति घंटा
        ms मिलीसेकंड; s सेकंड; min मिनट; h घंटा|घंटे
        kB किलोबाइट; MB मेगाबाइट; GB गीगाबाइट; TB टेराबाइट; W वाट; kW किलोवाट; kWh किलोवाट घंटा|किलोवाट घंटे
        V वोल्ट; Hz हर्ट्ज़; kHz किलोहर्ट्ज़; MHz मेगाहर्ट्ज़; GHz गीगाहर्ट्ज़
        मिमी मिलीमीटर; सेमी सेंटीमीटर; मी मीटर; किमी किलोमीटर; ग्रा ग्राम; किग्रा किलोग्राम; किमी/घंटा किलोमीटर प्रति घंटा
    """),
    "it": _units("""
        mm millimetro|millimetri; cm centimetro|centimetri; m metro|metri; km chilometro|chilometri
        m² metro quadrato|metri quadrati; km² chilometro quadrato|chilometri quadrati; m³ metro cubo|metri cubi
        mg milligrammo|milligrammi; g grammo|grammi; kg chilogrammo|chilogrammi; t tonnellata|tonnellate
        ml millilitro|millilitri; l litro|litri
        °C grado Celsius|gradi Celsius; °F grado Fahrenheit|gradi Fahrenheit; ° grado|gradi
        m/s metro al secondo|metri al secondo; km/h chilometro all'ora|chilometri all'ora
        ms millisecondo|millisecondi; s secondo|secondi; min minuto|minuti; h ora|ore
        kB kilobyte; MB megabyte; GB gigabyte; TB terabyte; W watt; kW kilowatt; kWh kilowattora
        V volt; Hz hertz; kHz kilohertz; MHz megahertz; GHz gigahertz
    """),
    "ja": _units("""
        mm ミリメートル; cm センチメートル; m メートル; km キロメートル
        m² 平方メートル; km² 平方キロメートル; m³ 立方メートル
        mg ミリグラム; g グラム; kg キログラム; t トン; ml ミリリットル; l リットル
        °C 摂氏{}度; °F 華氏{}度; ° 度; m/s 秒速{}メートル; km/h 時速{}キロメートル; ms ミリ秒; s 秒; min 分; h 時間
        kB キロバイト; MB メガバイト; GB ギガバイト; TB テラバイト; W ワット; kW キロワット; kWh キロワット時
        V ボルト; Hz ヘルツ; kHz キロヘルツ; MHz メガヘルツ; GHz ギガヘルツ
    """),
    "ko": _units("""
        mm 밀리미터; cm 센티미터; m 미터; km 킬로미터; m² 제곱미터; km² 제곱킬로미터; m³ 세제곱미터
        mg 밀리그램; g 그램; kg 킬로그램; t 톤; ml 밀리리터; l 리터
        °C 섭씨 {}도; °F 화씨 {}도; ° 도; m/s 초속 {}미터; km/h 시속 {}킬로미터; ms 밀리초; s 초; min 분; h 시간
        kB 킬로바이트; MB 메가바이트; GB 기가바이트; TB 테라바이트; W 와트; kW 킬로와트; kWh 킬로와트시
        V 볼트; Hz 헤르츠; kHz 킬로헤르츠; MHz 메가헤르츠; GHz 기가헤르츠
    """),
    "pl": _units("""
        mm milimetr|+y|+ów|+a; cm centymetr|+y|+ów|+a; m metr|+y|+ów|+a; km kilometr|+y|+ów|+a
        m² metr kwadratowy|metry kwadratowe|metrów kwadratowych|metra kwadratowego
        km² kilometr kwadratowy|kilometry kwadratowe|kilometrów kwadratowych|kilometra kwadratowego
        m³ metr sześcienny|metry sześcienne|metrów sześciennych|metra sześciennego
        mg miligram|+y|+ów|+a; g gram|+y|+ów|+a; kg kilogram|+y|+ów|+a; t tona|tony|ton|tony
        ml mililitr|+y|+ów|+a; l litr|+y|+ów|+a
        °C stopień Celsjusza|stopnie Celsjusza|stopni Celsjusza|stopnia Celsjusza
        °F stopień Fahrenheita|stopnie Fahrenheita|stopni Fahrenheita|stopnia Fahrenheita
        ° stopień|stopnie|stopni|stopnia
        m/s metr na sekundę|metry na sekundę|metrów na sekundę|metra na sekundę
        km/h kilometr na godzinę|kilometry na godzinę|kilometrów na godzinę|kilometra na godzinę
        ms milisekunda|milisekundy|milisekund|milisekundy; s sekunda|sekundy|sekund|sekundy
        min minuta|minuty|minut|minuty; h godzina|godziny|godzin|godziny
        kB kilobajt|+y|+ów|+a; MB megabajt|+y|+ów|+a; GB gigabajt|+y|+ów|+a; TB terabajt|+y|+ów|+a
        W wat|+y|+ów|+a; kW kilowat|+y|+ów|+a; V wolt|+y|+ów|+a
        kWh kilowatogodzina|kilowatogodziny|kilowatogodzin|kilowatogodziny
        Hz herc|+e|+ów|+a; kHz kiloherc|+e|+ów|+a; MHz megaherc|+e|+ów|+a; GHz gigaherc|+e|+ów|+a
    """),
    "pt": _units("""
        mm milímetro|+s; cm centímetro|+s; m metro|+s; km quilômetro|+s
        m² metro quadrado|metros quadrados; km² quilômetro quadrado|quilômetros quadrados
        m³ metro cúbico|metros cúbicos
        mg miligrama|+s; g grama|+s; kg quilograma|+s; t tonelada|+s; ml mililitro|+s; l litro|+s
        °C grau Celsius|graus Celsius; °F grau Fahrenheit|graus Fahrenheit; ° grau|+s
        m/s metro por segundo|metros por segundo; km/h quilômetro por hora|quilômetros por hora
        ms milissegundo|+s; s segundo|+s; min minuto|+s; h hora|+s
        kB quilobyte|+s; MB megabyte|+s; GB gigabyte|+s; TB terabyte|+s; W watt|+s; kW quilowatt|+s
        kWh quilowatt-hora|quilowatts-hora; V volt|+s; Hz hertz; kHz quilohertz; MHz megahertz; GHz gigahertz
    """),
    "ru": _units("""
        мм миллиметр|+а|+ов; см сантиметр|+а|+ов; м метр|+а|+ов; км километр|+а|+ов
        м² квадратный метр|квадратных метра|квадратных метров
        км² квадратный километр|квадратных километра|квадратных километров
        м³ кубический метр|кубических метра|кубических метров
        мг миллиграмм|+а|+ов; г грамм|+а|+ов; кг килограмм|+а|+ов; мл миллилитр|+а|+ов; л литр|+а|+ов
        °C градус Цельсия|градуса Цельсия|градусов Цельсия; °F градус Фаренгейта|градуса Фаренгейта|градусов Фаренгейта
        ° градус|+а|+ов; м/с метр в секунду|метра в секунду|метров в секунду
        км/ч километр в час|километра в час|километров в час
        мс миллисекунда|миллисекунды|миллисекунд; сек секунда|секунды|секунд; мин минута|минуты|минут; ч час|+а|+ов
        КБ килобайт|+а|килобайт; МБ мегабайт|+а|мегабайт; ГБ гигабайт|+а|гигабайт; ТБ терабайт|+а|терабайт
        Вт ватт|+а|ватт; кВт киловатт|+а|киловатт; кВтч киловатт-час|+а|+ов; Гц герц|+а|герц; кГц килогерц|+а|килогерц
        МГц мегагерц|+а|мегагерц; ГГц гигагерц|+а|гигагерц
        V вольт|+а|вольт; t тонна|тонны|тонн; s секунда|секунды|секунд
        ч.л чайная ложка|чайные ложки|чайных ложек|чайной ложки
        ст.л столовая ложка|столовые ложки|столовых ложек|столовой ложки
    """),
    "tr": _units("""
        mm milimetre; cm santimetre; m metre; km kilometre; m² metrekare; km² kilometrekare; m³ metreküp
        mg miligram; g gram; kg kilogram; t ton; ml mililitre; l litre
        °C santigrat derece; °F fahrenhayt derece; ° derece; m/s saniyede {} metre; km/h saatte {} kilometre
        ms milisaniye; s saniye; min dakika; h saat; sn saniye; dk dakika; sa saat; km/sa saatte {} kilometre
        kB kilobayt; MB megabayt; GB gigabayt; TB terabayt; W vat; kW kilovat; kWh kilovatsaat
        V volt; Hz hertz; kHz kilohertz; MHz megahertz; GHz gigahertz
    """),
    "zh": _units("""
        mm 毫米; cm 厘米; m 米; km 公里; m² 平方米; km² 平方公里; m³ 立方米; mg 毫克; g 克; kg 公斤; t 吨; ml 毫升; l 升
        °C 摄氏度; °F 华氏度; ° 度; m/s 每秒{}米; km/h 每小时{}公里; ms 毫秒; s 秒; min 分钟; h 小时
        kB 千字节; MB 兆字节; GB 吉字节; TB 太字节
        W 瓦; kW 千瓦; kWh 千瓦时; V 伏; Hz 赫兹; kHz 千赫; MHz 兆赫; GHz 吉赫
    """),
}  # fmt: skip

#: Large numbers in words, with and without money after them: "$1.5 million", "3 Mrd. €".
SCALES: Mapping[str, Mapping[str, Forms]] = {
    "en": _units("""
        thousand thousand; million million; billion billion; trillion trillion; lakh lakh; crore crore
        m million; mn million; bn billion; tn trillion
    """),
    "de": _units("""
        Tsd. Tausend; Mio. Million|+en; Mio Million|+en; Million Million|+en; Millionen Million|+en
        Mrd. Milliarde|+n; Mrd Milliarde|+n; Milliarde Milliarde|+n; Milliarden Milliarde|+n
    """),
    "es": _units("mil mil; millón millón|millones; millones millón|millones"),
    "fr": _units("""
        million million|+s; millions million|+s; milliard milliard|+s; milliards milliard|+s
        k mille; M million|+s; Md milliard|+s
    """),
    "hi": _units("हज़ार हज़ार; लाख लाख; करोड़ करोड़; अरब अरब"),
    "it": _units("""
        mila mila; mln milione|milioni; milione milione|milioni; milioni milione|milioni
        mld miliardo|miliardi; miliardo miliardo|miliardi; miliardi miliardo|miliardi
    """),
    "ja": _units("千 千; 万 万; 億 億; 兆 兆"),
    "ko": _units("천 천; 만 만; 억 억; 조 조"),
    "pl": _units("""
        tys. tysiąc|tysiące|tysięcy|tysiąca; tys tysiąc|tysiące|tysięcy|tysiąca; mln milion|+y|+ów|+a
        mld miliard|+y|+ów|+a; milion milion|+y|+ów|+a; miliony milion|+y|+ów|+a; milionów milion|+y|+ów|+a
        miliarda miliard|+y|+ów|+a; miliardów miliard|+y|+ów|+a
    """),
    "pt": _units("""
        mil mil; mi milhão|milhões; milhão milhão|milhões; milhões milhão|milhões
        bi bilhão|bilhões; bilhão bilhão|bilhões; bilhões bilhão|bilhões; trilhões trilhão|trilhões
    """),
    "ru": _units("""
        тыс. тысяча|тысячи|тысяч; тыс тысяча|тысячи|тысяч; млн миллион|+а|+ов; млн. миллион|+а|+ов
        млрд миллиард|+а|+ов; млрд. миллиард|+а|+ов; трлн триллион|+а|+ов
        тысяча тысяча|тысячи|тысяч; тысячи тысяча|тысячи|тысяч; тысяч тысяча|тысячи|тысяч
        миллион миллион|+а|+ов; миллиона миллион|+а|+ов; миллионов миллион|+а|+ов
        миллиард миллиард|+а|+ов; миллиарда миллиард|+а|+ов; миллиардов миллиард|+а|+ов
    """),
    "tr": _units("bin bin; milyon milyon; milyar milyar; trilyon trilyon"),
    "zh": _units("千 千; 万 万; 亿 亿"),
}  # fmt: skip

#: Those that have no blank before them: "$5k", but no "$5 B".
GLUED_SCALES: Mapping[str, Mapping[str, Forms]] = {
    "en": _units("k thousand; K thousand; M million; b billion; B billion; T trillion"),
}

#: Between a large number that has a plural and the money: "tres millones de euros".
OF: Mapping[str, str] = {"es": "de", "fr": "de", "it": "di", "pt": "de"}

#: Other ways to write the same unit. Russian has Cyrillic signs, and Latin ones too.
ALIASES: Mapping[str, str] = _pairs("""
    ℃=°C ºC=°C ℉=°F ºF=°F ㎜=mm ㎝=cm ㎞=km ㎡=m² ㎥=m³ ㎎=mg ㎏=kg m2=m² km2=km² m3=m³ Km=km Kg=kg L=l mL=ml
    kph=km/h kmh=km/h sec=s hr=h hrs=h mins=min KB=kB
    mm=мм cm=см m=м km=км m²=м² km²=км² m³=м³ mg=мг g=г kg=кг ml=мл l=л
    m/s=м/с km/h=км/ч ms=мс min=мин h=ч kB=КБ MB=МБ GB=ГБ TB=ТБ W=Вт kW=кВт kWh=кВтч Hz=Гц kHz=кГц MHz=МГц GHz=ГГц
    кВт·ч=кВтч кВт⋅ч=кВтч м2=м² км2=км² м3=м³ Кб=КБ Мб=МБ Гб=ГБ
""")

#: Signs that are also other words, as a regular expression. "2020 г." is a year, "ч. л." a spoon.
GUARDED: Mapping[str, str] = {
    "г": r"(?<!\d{4}\s)г(?!\.)",
    "ч": r"ч(?!\.\s?л)",
    "ч.л": r"ч\.\s?л(?:\.(?=\s?[а-яё,]))?",
    "ст.л": r"ст\.\s?л(?:\.(?=\s?[а-яё,]))?",
}

#: Nouns that are often counted, beside those of units: "one", and in some languages "two", depends on them.
NOUNS: Mapping[str, tuple[Forms, ...]] = {
    language: tuple(map(_forms, nouns.split()))
    for language, nouns in {
        "de": "Jahr|+e Monat|+e Tag|+e Woche|+n Uhr Person|+en Frau|+en Kind|+er Seite|+n",
        "es": "año|+s mes|+es día|+s semana|+s vez|veces persona|+s niño|+s niña|+s mujer|+es página|+s libro|+s",
        "fr": "an|+s année|+s mois jour|+s semaine|+s fois personne|+s femme|+s page|+s",
        "it": "anno|anni mese|mesi giorno|giorni settimana|settimane volta|volte persona|persone donna|donne",
        "pl": "osoba|osoby|osób kobieta|kobiety|kobiet książka|książki|książek strona|strony|stron noc|noce|nocy",
        "pt": "ano|+s mês|meses dia|+s semana|+s vez|+es pessoa|+s menina|+s mulher|+es página|+s",
        "ru": "неделя|недели|недель книга|книги|книг женщина|женщины|женщин страница|страницы|страниц ночь|ночи|ночей",
    }.items()
}

#: Nouns of feminine gender, for which "one", and in some languages "two", is another word.
FEMININE: Mapping[str, frozenset[str]] = {
    language: frozenset(nouns.split())
    for language, nouns in {
        "de": "Million Milliarde Tonne Millisekunde Sekunde Minute Stunde Kilowattstunde Woche Person Frau Seite",
        "es": "tonelada hora libra semana vez persona niña mujer página",
        "fr": "tonne milliseconde seconde minute heure livre année semaine fois personne femme page",
        "it": "tonnellata ora sterlina settimana volta persona donna",
        "pl": "tona milisekunda sekunda minuta godzina kilowatogodzina osoba kobieta książka strona noc",
        "pt": "tonelada hora libra semana vez pessoa menina mulher página",
        "ru": "чайная столовая тысяча тонна миллисекунда секунда минута копейка неделя книга женщина страница ночь",
    }.items()
}

#: Between the ends of a range. Italian, Polish and Russian put the numbers side by side: "due-tre ore", "пять-шесть
#: часов". A preposition would need other forms of the words around it there.
TO: Mapping[str, str] = {
    "en": " to ", "de": " bis ", "es": " a ", "fr": " à ", "hi": " से ", "it": "-", "ja": "から", "ko": "에서 ",
    "pl": "-", "pt": " a ", "ru": "-", "tr": " ila ", "zh": "到",
}  # fmt: skip

#: ½ ⅓ ⅔ ¼ ¾, then what a half is after a whole number, then the "and" between a whole number and another fraction.
FRACTIONS: Mapping[str, tuple[str, ...]] = {
    language: tuple(words.split("|"))
    for language, words in {
        "en": "one half|one third|two thirds|one quarter|three quarters| and a half| and ",
        "de": "ein halb|ein Drittel|zwei Drittel|ein Viertel|drei Viertel|einhalb| und ",
        "es": "un medio|un tercio|dos tercios|un cuarto|tres cuartos| y medio| y ",
        "fr": "un demi|un tiers|deux tiers|un quart|trois quarts| et demi| et ",
        "hi": "आधा|एक तिहाई|दो तिहाई|एक चौथाई|तीन चौथाई| सही एक बटा दो| सही ",
        "it": "un mezzo|un terzo|due terzi|un quarto|tre quarti| e mezzo| e ",
        "ja": "二分の一|三分の一|三分の二|四分の一|四分の三|と二分の一|と",
        "ko": "이분의 일|삼분의 일|삼분의 이|사분의 일|사분의 삼|과 이분의 일|과 ",
        "pl": "jedna druga|jedna trzecia|dwie trzecie|jedna czwarta|trzy czwarte| i pół| i ",
        "pt": "um meio|um terço|dois terços|um quarto|três quartos| e meio| e ",
        "ru": "одна вторая|одна треть|две трети|одна четверть|три четверти| с половиной| и ",
        "tr": "yarım|üçte bir|üçte iki|dörtte bir|dörtte üç| buçuk| tam ",
        "zh": "二分之一|三分之一|三分之二|四分之一|四分之三|又二分之一|又",
    }.items()
}

#: Signs of "number" before a number, as a regular expression, and the word.
NUMBER_SIGNS: Mapping[str, tuple[str, str]] = {
    "en": (r"\bNo\.|\bno\.", "number "),
    "de": (r"\bNr\.|\bNo\.", "Nummer "),
    "es": (r"\b[Nn](?:\.?º|°|\.°)|\b[Nn]úm\.", "número "),
    "fr": (r"\b[Nn](?:°|º|ᵒ)", "numéro "),
    "hi": (r"(?<!\w)नं\.|\bNo\.", "नंबर "),
    "it": (r"\b[Nn](?:\.|°|º|\.º)", "numero "),
    "ja": (r"(?<![A-Za-z])No\.", "ナンバー"),
    "ko": (r"(?<![A-Za-z])No\.", "넘버 "),
    "pl": (r"\b[Nn]r\b\.?", "numer "),
    "pt": (r"\b[Nn](?:\.?º|°|\.°)|\b[Nn]úm\.", "número "),
    "ru": (r"\bNo\.", "номер "),
    "tr": (r"\b[Nn]o[.:]", "numara "),
    "zh": (r"(?<![A-Za-z])No\.", "第"),
}
