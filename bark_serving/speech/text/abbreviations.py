"""Abbreviations that do not end a sentence, in Bark's thirteen languages: without the full stop, in lower case.

Four kinds. `TITLES`: something always follows ("Dr. Martin", "ul. Długa"), unless a number comes before ("1999 г.").
`BEFORE_A_NUMBER`: a number follows, also a Roman one ("Tel. 123", "vol. II"; "No." alone is a sentence). `WITHIN`: the
sentence goes on if a number or a small letter follows ("approx. 5 km"). `BEFORE_A_SMALL_LETTER`: only if a small letter
follows, and no number in words ("3 szt. jabłek").

Sources: the lists of abbreviations in New Hart's Rules (en), Duden (de), Imprimerie nationale (fr), RAE Ortografía
(es), Treccani (it), Vocabulário Ortográfico (pt), PWN (pl), Gramota.ru (ru), TDK (tr), Central Hindi Directorate (hi).
Chinese, Japanese and Korean sentences end with marks of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

_TITLES = {
    "en": "mr mrs ms messrs dr prof st mt gen col capt lt sgt rev hon sen rep gov pres vs cf e.g i.e ft",
    "de": "hr fr frl dr prof dipl ing mag st vgl z.b d.h u.a z.t bzw hl geb gest sog str",
    "es": "sr sra srta sres sras d dña dr dra prof profa lic ing gral cap sto sta av avda p.ej",
    "fr": "m mm mme mmes mlle mlles dr pr prof me mgr st ste av bd cf ex p.ex",
    "hi": "डॉ श्री श्रीमती प्रो पं कु सं",
    "it": "sig sigg sig.ra sig.na dott dott.ssa dr prof prof.ssa avv ing arch geom on rag mons p.es cfr",
    "pl": "p dr prof hab mgr inż ks św al ul pl os tzn tj m.in im gen płk kpt np",
    "pt": "sr sra srta srs sras d dr dra dras prof profa eng arq exmo exma sto sta av r p.ex",
    "ru": "г гг ул пр просп пер пл им проф акад доц тов гр т.е т.к т.н см ср напр св тел",
    "tr": "sn dr prof doç yrd av bkz hz alb bnb cad mah apt sok örn",
}
_BEFORE_A_NUMBER = {
    "en": "no nos tel ext fig figs p pp vol ch sec art rm rte eq eqs hwy apt",
    "de": "nr tel s bd abs art abb kap ca jh",
    "es": "núm n.º tel pág págs vol cap art fig c p s",
    "fr": "n° no tél tel p pp vol chap fig art env",
    "hi": "क्र रु सं",
    "it": "n nn tel pag pagg vol cap art fig ca p sec",
    "pl": "nr godz tel str s r rozdz ryc por ok poz art ust pkt zał",
    "pt": "n nº tel pág págs p vol cap art fig séc",
    "ru": "с стр т рис табл гл кв д корп п ст тел",
    "tr": "no tel s sk ed yy çev m.ö m.s",
}
_WITHIN = {
    "en": "approx est dept univ inc ltd co corp jr sr etc al jan feb mar apr jun jul aug sep sept oct nov dec min max "
    "avg a.m p.m",
    "de": "usw etc jan feb mär apr jun jul aug sep sept okt nov dez mio mrd tsd std min usf",
    "es": "aprox etc ee uu a.m p.m ene feb mar abr jun jul ago sep oct nov dic",
    "fr": "etc janv févr avr juill sept oct nov déc env éd c.à.s c.à.c av",
    "hi": "आदि",
    "it": "ecc gen feb apr mag giu lug ago set ott nov dic",
    "pl": "itd itp tys mln mld zł gr w ur zm red godz",
    "pt": "aprox etc jan fev abr mai jun jul ago set out nov dez",
    "ru": "др пр т.д т.п в вв н э млн млрд мин сек руб коп тыс е",
    "tr": "vb vs vd mad ort yak",
}
_BEFORE_A_SMALL_LETTER = {
    "en": "tsp tbsp oz lb lbs hrs yds",
    "es": "ltda cía hab ss",
    "fr": "cie ltée hab",
    "pl": "r br szt egz wg tzw gm pow woj",
    "pt": "ltda cia séc máx mín hab",
    "ru": "чел шт экз обл",
    "tr": "yy şti dk",
}
#: Those of `BEFORE_A_NUMBER` that may end a sentence before a number in words: "Wait a sec. five men came."
_WORDS_TOO = {
    "en": "no nos sec art apt fig figs",
    "de": "art",
    "fr": "no tel vol art",
    "it": "sec",
    "pl": "r s",
    "ru": "рис тел",
    "tr": "no tel",
}


def _table(rows: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in rows.items()}


TITLES = _table(_TITLES)
BEFORE_A_NUMBER = _table(_BEFORE_A_NUMBER)
WITHIN = _table(_WITHIN)
BEFORE_A_SMALL_LETTER = _table(_BEFORE_A_SMALL_LETTER)
WORDS_TOO = _table(_WORDS_TOO)
