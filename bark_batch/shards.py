"""What a shard is as Parquet, and what is counted of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.parquet

from bark_batch.folder import MAX_SHARD_ROWS
from bark_batch.sound import SUFFIXES
from bark_batch.speaking import Spoken

GOOD: Final = "good"  #: the verdict of the server on a piece that it has nothing against

_PIECE: Final = pyarrow.struct(
    [
        ("text", pyarrow.string()),
        ("start", pyarrow.float64()),
        ("seconds", pyarrow.float64()),
        ("verdict", pyarrow.string()),
        ("attempts", pyarrow.int32()),
    ]
)
_AUDIO: Final = "audio.bytes"
_MAX_ERRORS: Final = 20  #: different ones, of a shard
_TOKENS: Final = ("semantic_tokens", "fine_tokens")
SCHEMA: Final = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("text", pyarrow.string()),
        ("voice", pyarrow.string()),
        ("seed", pyarrow.uint64()),
        ("audio", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
        ("sample_rate", pyarrow.int32()),
        ("seconds", pyarrow.float64()),
        ("verdict", pyarrow.string()),
        ("pieces", pyarrow.list_(_PIECE)),
        ("warnings", pyarrow.list_(pyarrow.string())),
        ("error", pyarrow.string()),
        ("semantic_tokens", pyarrow.list_(pyarrow.int32())),
        ("fine_tokens", pyarrow.list_(pyarrow.list_(pyarrow.int32()))),
    ]
)


def table_of(spoken: Sequence[Spoken], *, sample_rate: int, format: str, tokens: bool) -> pyarrow.Table:  # noqa: A002
    """The rows of a shard, in order."""
    rows = [
        _values(one, name=f"{one.row.number:09d}.{SUFFIXES[format]}", sample_rate=sample_rate, tokens=tokens)
        for one in spoken
    ]
    schema = SCHEMA if tokens else pyarrow.schema([field for field in SCHEMA if field.name not in _TOKENS])
    return pyarrow.Table.from_pylist(rows, schema=schema)


def to_parquet(table: pyarrow.Table) -> pyarrow.Buffer:
    """The bytes of a file. Equal tables give equal bytes.

    Audio is compressed already and is kept as it is. Numbers of tokens come from a small set: each is kept once, in a
    dictionary, and zstd packs the rest.
    """
    columns = _leaves(table.schema)
    kept = {column: "NONE" if column == _AUDIO else "ZSTD" for column in columns}
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(
        table,
        buffer,
        row_group_size=MAX_SHARD_ROWS,
        compression=kept,
        use_dictionary=[column for column in columns if column != _AUDIO],
    )
    return buffer.getvalue()


def _leaves(schema: pyarrow.Schema) -> list[str]:
    """The paths of the columns that Parquet stores, such as "audio.bytes"."""
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(schema.empty_table(), buffer)
    stored = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(buffer.getvalue())).schema
    return [stored.column(index).path for index in range(len(stored))]


def _values(one: Spoken, *, name: str, sample_rate: int, tokens: bool) -> dict[str, Any]:
    row = one.row
    values: dict[str, Any] = {
        "id": row.id,
        "text": row.text,
        "voice": row.voice,
        "seed": row.seed,
        "audio": None if one.audio is None else {"bytes": one.audio, "path": name},
        "sample_rate": sample_rate,
        "seconds": one.seconds,
        "verdict": _worst(one),
        "pieces": [
            {
                "text": piece.text,
                "start": piece.start,
                "seconds": piece.seconds,
                "verdict": piece.verdict,
                "attempts": piece.attempts,
            }
            for piece in one.pieces
        ],
        "warnings": list(one.warnings),
        "error": one.error,
    }
    if tokens:
        made = one.tokens
        values["semantic_tokens"] = None if made is None else made.semantic_prompt
        values["fine_tokens"] = None if made is None else list(made.fine_prompt)
    return values


def _worst(one: Spoken) -> str | None:
    """ "good" if all pieces are; else the verdict of the first that is not. None if the server said none."""
    verdicts = [piece.verdict for piece in one.pieces]
    return next((verdict for verdict in verdicts if verdict != GOOD), GOOD if verdicts else None)


def account_of(table: pyarrow.Table) -> dict[str, Any]:
    """What is counted of a shard, for the summary of a job."""
    errors = Counter(error for error in table["error"].to_pylist() if error is not None)
    pieces = [piece for row in table["pieces"].to_pylist() for piece in row or ()]
    return {
        "rows": table.num_rows,
        "failed": errors.total(),
        "errors": dict(errors.most_common(_MAX_ERRORS)),
        "audio_seconds": sum(table["seconds"].to_pylist()),
        "pieces": len(pieces),
        "verdicts": dict(sorted(Counter(piece["verdict"] or "unknown" for piece in pieces).items())),
        "takes": sum(piece["attempts"] for piece in pieces),
    }


def read(path: Path) -> pyarrow.Table:
    """A shard that was written, without its audio and tokens."""
    return pyarrow.parquet.read_table(path, columns=["seconds", "pieces", "error"])
