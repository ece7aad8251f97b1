"""Tables of texts: CSV, JSON lines and Parquet, row by row, so that memory does not grow with them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bark_batch.rows import Columns
from bark_client import InvalidRequest

MAX_CELL_CHARACTERS: Final = 1 << 24  #: of CSV; Python's own limit is shorter than a chapter
_BLOCK_BYTES: Final = 1 << 20
_BLOCK_ROWS: Final = 4096

Values = dict[str, Any]
Found = Values | str  #: the values of a row, by column; or what is wrong with it


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


def _csv(path: Path, columns: Columns, *, delimiter: str = ",") -> Iterator[Found]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names = next(reader, [])
        _require(path, names, columns)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield f"{path.name}, line {line}: not valid CSV ({error})"
                continue
            if cells is None:
                return
            if cells and len(cells) != len(names):
                yield f"{path.name}, line {line}: it has {len(cells)} cells, and the header has {len(names)}"
            elif cells:
                yield _decoded(dict(zip(names, cells, strict=True)), where=f"{path.name}, line {line}")


def _jsonl(path: Path, columns: Columns) -> Iterator[Found]:
    some = False
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line.decode("utf-8-sig"))
            except ValueError as error:
                yield f"{path.name}, line {number}: not valid JSON ({error})"
                continue
            if not isinstance(values, dict):
                yield f"{path.name}, line {number}: not a JSON object"
                continue
            if not some:
                _require(path, list(values), columns)
                some = True
            yield _decoded(values, where=f"{path.name}, line {number}")


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
            "--voice-column, --seed-column or --id-column"
        )


def _decoded(values: Values, *, where: str) -> Found:
    """The values, or an error if a string holds what UTF-8 cannot."""
    for value in values.values():
        if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
            return f"{where}: not valid UTF-8"
    return values


def _suffix(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _tsv(path: Path, columns: Columns) -> Iterator[Found]:
    return _csv(path, columns, delimiter="\t")


_READERS: Final[dict[str, Callable[[Path, Columns], Iterator[Found]]]] = {
    "csv": _csv, "tsv": _tsv, "jsonl": _jsonl, "ndjson": _jsonl, "parquet": _parquet,
}  # fmt: skip
