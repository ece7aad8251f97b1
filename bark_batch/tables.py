"""Tables of texts: CSV, JSON lines and Parquet, row by row, so that memory does not grow with them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from bark_batch.rows import Columns
from bark_client import InvalidRequest

MAX_CELL_CHARACTERS: Final = 1 << 24  #: of CSV; Python's own limit is shorter than a chapter
_BLOCK_BYTES: Final = 1 << 20
_BLOCK_ROWS: Final = 4096
_MAX_NAMES: Final = 32  #: of columns, in a message about a table whose rows have columns of their own
_HOW_TO_QUOTE: Final = (
    "In a cell with quotes of its own, write each of them twice, and put quotes around the whole cell"
)

Values = dict[str, Any]
Found = Values | str  #: the values of a row, by column; or what is wrong with it
Record = tuple[str, list[str] | str]  #: the lines of the file, in words, and their cells or what is wrong with them


def read(paths: Sequence[Path], columns: Columns) -> Iterator[Found]:
    """The rows of all tables, in order. InvalidRequest if a file or one of its columns cannot be used at all."""
    for path in paths:
        reader = _READERS[_suffix(path)]
        try:
            yield from reader(path, columns)
        except OSError as error:
            raise InvalidRequest(f"{path}: {(error.strerror or str(error)).lower()}") from None


def check(paths: Sequence[Path]) -> None:
    """InvalidRequest if there is no reader for a file."""
    for path in paths:
        if _suffix(path) not in _READERS:
            known = ", ".join(f".{name}" for name in _READERS)
            raise InvalidRequest(f"{path}: can't read this kind of table; the suffix must be one of {known}")


def fingerprint(paths: Sequence[Path]) -> str:
    """A hash of the bytes of all tables."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        digest.update(b"\0end\0")
    return digest.hexdigest()


def _csv(path: Path, columns: Columns) -> Iterator[Found]:
    with _opened(path) as file:
        yield from _rows(path, _csv_records(path, file), columns)


def _tsv(path: Path, columns: Columns) -> Iterator[Found]:
    with _opened(path) as file:
        yield from _rows(path, _tsv_records(file), columns)


def _opened(path: Path) -> TextIO:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _rows(path: Path, records: Iterator[Record], columns: Columns) -> Iterator[Found]:
    """The rows of a table whose first record is its header."""
    _, names = next(records, ("", []))
    if isinstance(names, str):
        raise InvalidRequest(f"{path}: its header is {names}. {_HOW_TO_QUOTE}")
    if not all(map(_is_unicode, names)):
        raise InvalidRequest(f"{path}: its header is not valid UTF-8. Save the table as UTF-8")
    _require(path, names, columns)
    for lines, cells in records:
        where = f"{path.name}, {lines}"
        if isinstance(cells, str):
            yield f"{where}: {cells}"
        elif cells and len(cells) != len(names):
            yield f"{where}: it has {len(cells)} cells, and the header has {len(names)}"
        elif cells:
            yield _decoded(dict(zip(names, cells, strict=True)), where=where)


def _csv_records(path: Path, file: TextIO) -> Iterator[Record]:
    """InvalidRequest if a broken cell has more lines than one: they may be many rows, which would be lost."""
    reader = csv.reader(file, strict=True)
    while True:
        before = reader.line_num
        try:
            cells = next(reader, None)
        except csv.Error as error:
            lines = reader.line_num - before
            if lines > 1:
                raise InvalidRequest(
                    f"{path}: a quote in the row that begins in line {before + 1} swallows {lines - 1} more "
                    f"line{'s' * (lines > 2)}, up to line {reader.line_num} ({error}). {_HOW_TO_QUOTE}"
                ) from None
            yield _place(before + 1, reader.line_num), f"not valid CSV ({error})"
            continue
        if cells is None:
            return
        yield _place(before + 1, reader.line_num), cells


def _tsv_records(file: TextIO) -> Iterator[Record]:
    """A line is a record, and quotes belong to the text, unless the quoting of a spreadsheet fits the header, too."""
    lines, number, width = _Lines(file), 1, 0
    for line in lines:
        cells = line.rstrip("\r\n").split("\t") if line.strip("\r\n") else []
        width, last = width or len(cells), number
        if '"' in line and (quoted := _quoted(line, lines, width=width)):
            cells, last = quoted[0], number + quoted[1]
        yield _place(number, last), cells
        number = last + 1


def _quoted(first: str, lines: _Lines, *, width: int) -> tuple[list[str], int] | None:
    """The cells of a record that a spreadsheet quoted, and how many lines it has after the first; else None.

    Such a record has as many cells as the header. In several lines it has no more tabs than that takes: with more, its
    lines could be rows as well. So a quote that nothing closes is found out on the next row.
    """
    more: list[str] = []

    def record() -> Iterator[str]:
        yield first
        tabs = first.count("\t")
        for line in lines if width > 1 else ():
            more.append(line)
            tabs += line.count("\t")
            if tabs >= width:
                return
            yield line

    try:
        cells = next(csv.reader(record(), delimiter="\t", strict=True))
    except csv.Error:
        cells = []
    if len(cells) == width:
        return cells, len(more)
    lines.give_back(more)
    return None


class _Lines:
    """The lines of a file, which can be given back."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._back = file, deque[str]()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._back.popleft() if self._back else next(self._file)

    def give_back(self, lines: Sequence[str]) -> None:
        self._back.extendleft(reversed(lines))


def _place(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"


def _jsonl(path: Path, columns: Columns) -> Iterator[Found]:
    """A key that an object lacks is an empty cell. At the end, InvalidRequest if all lack one that is required."""
    some, required = False, set(columns.required)
    names: dict[str, None] = {}  # of the objects, until each required one was seen
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                yield f"{path.name}, line {number}: not valid JSON ({error})"
                continue
            if not isinstance(values, dict):
                yield f"{path.name}, line {number}: not a JSON object"
                continue
            some = True
            if not names.keys() >= required:
                for name in values:
                    if name in required or len(names) < _MAX_NAMES:
                        names[name] = None
            yield _decoded(values, where=f"{path.name}, line {number}")
    if some:
        _require(path, list(names), columns)


def _parquet(path: Path, columns: Columns) -> Iterator[Found]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _require(path, names, columns)
            wanted = [name for name in columns.read if name in names]
            for batch in file.iter_batches(batch_size=_BLOCK_ROWS, columns=wanted):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise InvalidRequest(f"{path}: not a readable Parquet file ({_first_line(error)})") from None


def _require(path: Path, names: Sequence[str], columns: Columns) -> None:
    missing = [name for name in columns.required if name not in names]
    if missing:
        has = ", ".join(names) or "none"
        raise InvalidRequest(
            f"{path}: it has no column {missing[0]!r}; its columns are: {has}. Name yours with --text-column, "
            f"--voice-column, --seed-column or --id-column{_separator_hint(names)}"
        )


def _separator_hint(names: Sequence[str]) -> str:
    """What to do where the whole header was taken for one name, as in tables that spreadsheets separate by `;`."""
    other = next((sign for sign in ";\t,|" if len(names) == 1 and sign in names[0]), None)
    if other is None:
        return ""
    return f". Its only name holds {other!r}: separate the cells by commas in a .csv, by tabs in a .tsv"


def _decoded(values: Values, *, where: str) -> Found:
    """The values, or an error if a string holds what UTF-8 cannot."""
    if all(_is_unicode(value) for value in values.values() if isinstance(value, str)):
        return values
    return f"{where}: not valid UTF-8"


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


_READERS: Final[dict[str, Callable[[Path, Columns], Iterator[Found]]]] = {
    "csv": _csv, "tsv": _tsv, "jsonl": _jsonl, "ndjson": _jsonl, "parquet": _parquet,
}  # fmt: skip
