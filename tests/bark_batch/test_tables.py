from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bark_batch import tables
from bark_batch.rows import Columns
from bark_client import InvalidRequest


def read(path: Path, columns: Columns | None = None) -> list[tables.Found]:
    return list(tables.read([path], columns or Columns()))


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_csv_keeps_ids_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\ufeffid,text\n007,"One, two.\nThree."\n'.encode())
    assert read(path) == [{"id": "007", "text": "One, two.\nThree."}]


def test_bad_lines_of_csv_become_words_and_the_rest_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", b'text,voice\nA.\nB.,joe,3\nC.,joe\n"D" x,joe\n\xff.,joe\n\nE.,jo\n')
    found = read(path)
    assert [row["text"] for row in found if isinstance(row, dict)] == ["C.", "E."]
    assert [row for row in found if isinstance(row, str)] == [
        "a.csv, line 2: it has 1 cells, and the header has 2",
        "a.csv, line 3: it has 3 cells, and the header has 2",
        "a.csv, line 5: not valid CSV (',' expected after '\"')",
        "a.csv, line 6: not valid UTF-8",
    ]


def test_bad_lines_of_json_become_words_and_the_rest_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a.jsonl", b'{"text": "A."}\n{"text":\n[1]\n\n{"text": "\\ud800"}\n{"text": "B.", "seed": 5}\n'
    )
    found = read(path)
    assert [row for row in found if isinstance(row, dict)] == [{"text": "A."}, {"text": "B.", "seed": 5}]
    words = [row for row in found if isinstance(row, str)]
    assert [word.partition(" (")[0] for word in words] == [
        "a.jsonl, line 2: not valid JSON",
        "a.jsonl, line 3: not a JSON object",
        "a.jsonl, line 5: not valid UTF-8",
    ]


def test_parquet_gives_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"sentence": ["A.", None], "seed": [1, 2], "more": [0, 0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", Columns(text="sentence"))
    assert found == [{"sentence": "A.", "seed": 1}, {"sentence": None, "seed": 2}]


def test_several_tables_are_read_one_after_the_other(tmp_path: Path) -> None:
    paths = [written(tmp_path, "a.csv", b"text\nA.\n"), written(tmp_path, "b.jsonl", b'{"text": "B."}\n')]
    assert list(tables.read(paths, Columns())) == [{"text": "A."}, {"text": "B."}]
    assert tables.fingerprint(paths) != tables.fingerprint(paths[::-1])


@pytest.mark.parametrize(("name", "content"), [("a.csv", b"words\nA.\n"), ("a.tsv", b""), ("a.jsonl", b'{"words": 1}')])
def test_a_missing_column_is_named_with_those_that_there_are(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"no column 'text'; its columns are: (words|none)\. Name yours with"):
        read(written(tmp_path, name, content))


def test_a_file_that_is_no_table_is_refused_in_words(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(InvalidRequest, match="not a readable Parquet file"):
        read(written(tmp_path, "a.parquet", b"<html>"))
    with pytest.raises(InvalidRequest, match=r"suffix must be one of \.csv, \.tsv, \.jsonl"):
        tables.check([tmp_path / "a.xlsx"])


def test_long_cells_are_read(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text"], ["word " * 60_000]])
    (row,) = read(tmp_path / "a.csv")
    assert isinstance(row, dict) and len(row["text"]) == 300_000
