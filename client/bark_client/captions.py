"""Captions: the pieces of a speech as SRT, WebVTT or JSON. Pure, but for `save`.

A caption has at most two lines of 42 columns, as broadcasters and Netflix ask for (Netflix, Timed Text Style Guide:
General Requirements and English). A wide character, as of Chinese, Japanese and Korean, counts as two columns. A longer
piece becomes several captions, of lines as equal as possible. They share the time of the piece by their length.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bark_client.errors import InvalidRequest
from bark_client.formats import by_suffix
from bark_client.growing import write_whole
from bark_client.pieces import Piece

FORMATS: Final = ("srt", "vtt", "json")
MAX_LINES: Final = 2  #: per caption
MAX_COLUMNS: Final = 42  #: per line
_WIDE: Final = ("W", "F")  # classes of Unicode's East Asian width
_CLOSING: Final = ("Pe", "Pf", "Po", "Mn", "Mc")  # categories of signs that belong to the one before them


@dataclass(frozen=True)
class Caption:
    """What is shown at one time."""

    start: float  #: seconds
    end: float
    lines: tuple[str, ...]


def render(pieces: Iterable[Piece], *, format: str) -> str:  # noqa: A002
    """A file of captions. "json" is a list of the pieces as they are, with their times in seconds.

    Raises InvalidRequest: no such format.
    """
    if check_format(format) == "json":
        rows = [{**asdict(piece), "end": piece.end} for piece in pieces]
        return json.dumps([_rounded(row) for row in rows], ensure_ascii=False, indent=1) + "\n"
    found = [caption for piece in pieces for caption in split(piece)]
    return _srt(found) if format == "srt" else _vtt(found)


def save(pieces: Iterable[Piece], path: str | os.PathLike[str]) -> Path:
    """Write a file of captions, UTF-8; its suffix chooses the format. OSError if that can't be done."""
    target = Path(path)
    write_whole(target, render(pieces, format=format_of(target)).encode())
    return target


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of a file name asks for. InvalidRequest lists the formats."""
    return by_suffix(path, FORMATS, what="captions")


def check_format(name: str) -> str:
    """The format of that name. InvalidRequest lists the formats."""
    if name not in FORMATS:
        raise InvalidRequest(f"format: {name!r} is not one of {', '.join(FORMATS)}")
    return name


def split(piece: Piece) -> list[Caption]:
    """The captions of one piece, one after the other without a gap. None for a piece without text or audio."""
    lines = _lines(piece.text)
    if not lines or piece.seconds <= 0:
        return []
    groups = [lines[at : at + MAX_LINES] for at in range(0, len(lines), MAX_LINES)]
    lengths = [sum(map(columns, group)) for group in groups]
    captions, done, total = [], 0, sum(lengths)
    for group, length in zip(groups, lengths, strict=True):
        start, end = (piece.start + piece.seconds * part / total for part in (done, done + length))
        captions.append(Caption(start, end, tuple(group)))
        done += length
    return captions


def columns(text: str) -> int:
    """How wide a text is shown."""
    return sum(
        2 if unicodedata.east_asian_width(sign) in _WIDE else 1 for sign in text if not unicodedata.combining(sign)
    )


def _lines(text: str) -> list[str]:
    """The lines of a text: as few as possible, and then as short as possible."""
    units = list(_units(text))
    lines = _filled(units, MAX_COLUMNS)
    for width in range(MAX_COLUMNS - 1, 0, -1):
        shorter = _filled(units, width)
        if len(shorter) > len(lines):
            break
        lines = shorter
    return lines


def _units(text: str) -> Iterator[str]:
    """What no line break may part: words, and wide characters with the signs that belong to them. Spaces count."""
    unit = ""
    for sign in " ".join(text.split()):
        wide = unicodedata.east_asian_width(sign) in _WIDE
        closing = unicodedata.category(sign) in _CLOSING
        starts = wide and not closing and unicodedata.category(unit[-1:] or " ") != "Ps"
        if unit and (starts or columns(unit) >= MAX_COLUMNS or unit.endswith(" ")):
            yield unit
            unit = ""
        unit += sign
    if unit:
        yield unit


def _filled(units: Sequence[str], width: int) -> list[str]:
    """Lines of at most that many columns, but for a unit that is wider."""
    lines: list[str] = []
    line = ""
    for unit in units:
        if line and columns((line + unit).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += unit
    return [*lines, line.rstrip()] if line.strip() else lines


def _srt(captions: Sequence[Caption]) -> str:
    blocks = (
        f"{number}\n{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}\n" + "\n".join(caption.lines)
        for number, caption in enumerate(captions, 1)
    )
    return "".join(f"{block}\n\n" for block in blocks)


def _vtt(captions: Sequence[Caption]) -> str:
    blocks = (
        f"{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}\n" + "\n".join(map(_escaped, caption.lines))
        for caption in captions
    )
    return "WEBVTT\n\n" + "".join(f"{block}\n\n" for block in blocks)


def _escaped(line: str) -> str:
    """A line of WebVTT (W3C, section 4.2.2): `-->` must not occur in it, and tags begin with `<`."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    """`01:02:03,456`."""
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


def _rounded(row: dict[str, object]) -> dict[str, object]:
    """Times to the millisecond."""
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
