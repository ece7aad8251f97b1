from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_batch import tables
from bark_batch.rows import Columns, row_of
from bark_client import InvalidRequest


def read(path: Path, columns: Columns | None = None) -> list[tables.Found]:
    return list(tables.read([path], columns or Columns()))


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def texts_of(found: list[tables.Found]) -> list[str]:
    return [row["text"] for row in found if isinstance(row, dict)]


def test_csv_keeps_ids_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\ufeffid,text\n007,"One, two.\nThree."\n'.encode())
    assert read(path) == [{"id": "007", "text": "One, two.\nThree."}]


def test_bad_lines_of_csv_become_words_and_the_rest_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", b'text,voice\nA.\nB.,joe,3\nC.,joe\n"D" x,joe\n\xff.,joe\n\nE.,jo\n')
    found = read(path)
    assert texts_of(found) == ["C.", "E."]
    assert [row for row in found if isinstance(row, str)] == [
        "a.csv, line 2: it has 1 cells, and the header has 2",
        "a.csv, line 3: it has 3 cells, and the header has 2",
        "a.csv, line 5: not valid CSV (',' expected after '\"')",
        "a.csv, line 6: not valid UTF-8",
    ]


@pytest.mark.parametrize(("end", "reason"), [("", "unexpected end of data"), ('R "9",9\n', "',' expected after '\"'")])
def test_a_quote_that_swallows_rows_of_csv_is_refused_with_its_place(tmp_path: Path, end: str, reason: str) -> None:
    rows = "".join(f"R {number},{number}\n" for number in range(3, 9))
    path = written(tmp_path, "a.csv", f'text,id\nR 1,1\n"Stop!,2\n{rows}{end}'.encode())
    with pytest.raises(InvalidRequest) as caught:
        read(path)
    more = 7 if end else 6
    assert str(caught.value).startswith(
        f"{path}: a quote in the row that begins in line 3 swallows {more} more lines, up to line {3 + more} "
        f"({reason}). In a cell with quotes of its own, write each of them twice"
    )


def test_a_broken_row_of_csv_over_several_lines_is_named_with_all_of_them(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", b'text,id\n"A\nB",1,2\n"C.\nD.",3\n')
    assert read(path) == ["a.csv, lines 2 to 3: it has 3 cells, and the header has 2", {"text": "C.\nD.", "id": "3"}]


def test_a_quote_that_the_last_line_of_csv_lacks_costs_that_row_only(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", b'text,id\nA.,1\n"Stop!,2\n')
    assert read(path) == [{"text": "A.", "id": "1"}, "a.csv, line 3: not valid CSV (unexpected end of data)"]


@pytest.mark.parametrize(
    ("name", "header", "problem"),
    [
        ("a.csv", b'"te"xt,id\n', r"its header is not valid CSV \(',' expected after '\"'\)\. In a cell with quotes"),
        ("a.csv", b'"text,id\nA.,1\n', r"row that begins in line 1 swallows 1 more line, up to line 2 \("),
        ("a.csv", b"te\xffxt,id\n", "its header is not valid UTF-8. Save the table as UTF-8"),
        ("a.tsv", "text\tid\n".encode("utf-16"), "its header is not valid UTF-8. Save the table as UTF-8"),
        ("a.tsv", b'"te"xt\tid\n', "no column 'text'; its columns are: \"te\"xt, id"),
        ("a.tsv", b'"text\tid\nA.\t1\n', "no column 'text'; its columns are: \"text, id"),
    ],
)
def test_a_broken_header_is_refused_in_words(tmp_path: Path, name: str, header: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        read(written(tmp_path, name, header))


def test_quotes_of_a_corpus_without_quoting_belong_to_its_texts(tmp_path: Path) -> None:
    texts = ['"Stop!', '"Stop!" he cried.', '"Yes", she said. "No."', 'A 5" disk', '"', "'Go'", '" "Go"', "C."]
    lines = "".join(f"{text}\t{number}\n" for number, text in enumerate(texts))
    assert read(written(tmp_path, "a.tsv", f"text\tid\n{lines}".encode())) == [
        {"text": text, "id": str(number)} for number, text in enumerate(texts)
    ]
    lines = "".join(f"{number}\t{text}\r\n" for number, text in enumerate(texts))
    assert texts_of(read(written(tmp_path, "b.tsv", f"id\ttext\r\n{lines}".encode()))) == texts
    assert texts_of(read(written(tmp_path, "c.tsv", "\n".join(["text", *texts]).encode()))) == texts


def test_cells_that_a_spreadsheet_quoted_in_tsv_lose_its_quotes(tmp_path: Path) -> None:
    rows = [
        ["id", "text", "voice"],
        ["1", '"Stop!" he cried.', "joe"],
        ["2", "One\ttwo.", ""],
        ["3", "Go!\n\nNow.", "a\nb"],
    ]
    with (tmp_path / "a.tsv").open("w", newline="") as file:
        csv.writer(file, dialect="excel-tab").writerows(rows)
    assert read(tmp_path / "a.tsv") == [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_bad_lines_of_tsv_become_words_and_the_rest_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", b'id\ttext\n1\n2\tB.\t3\n\n4\t\xff\n5\t"A\nB"\n6\t"C.\n7\tD.\n')
    assert read(path) == [
        "a.tsv, line 2: it has 1 cells, and the header has 2",
        "a.tsv, line 3: it has 3 cells, and the header has 2",
        "a.tsv, line 5: not valid UTF-8",
        {"id": "5", "text": "A\nB"},
        {"id": "6", "text": '"C.'},
        {"id": "7", "text": "D."},
    ]


@given(
    st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(st.text('a" ,', min_size=1), min_size=width, max_size=width))
    )
)
def test_no_quote_makes_one_row_of_two_lines_of_tsv(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    header = ["text", "id", "more"][: len(rows[0]) if rows else 1]
    content = "\n".join("\t".join(row) for row in [header, *rows])
    found = read(written(tmp_path_factory.getbasetemp(), "lines.tsv", content.encode()))
    assert len(found) == len(rows)
    for row, cells in zip(found, rows, strict=True):
        assert isinstance(row, dict)
        assert all(got in (cell, cell[1:-1].replace('""', '"')) for got, cell in zip(row.values(), cells, strict=True))


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


def test_a_key_that_some_objects_of_json_lack_is_an_empty_cell(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", b'{"text": "A."}\n{"id": 2}\n{"text": "C.", "voice": "joe"}\n')
    found = read(path, Columns(voice="voice"))
    assert found == [{"text": "A."}, {"id": 2}, {"text": "C.", "voice": "joe"}]
    told = [one for one in found if isinstance(one, dict)]
    rows = [row_of(one, number=0, columns=Columns(voice="voice"), voice="jo", seed=0) for one in told]
    assert [row.voice for row in rows] == ["jo", "jo", "joe"]
    assert [row.error for row in rows] == [None, "text: it has no word to speak", None]


def test_objects_of_json_that_all_lack_a_column_are_refused_with_some_of_their_keys(tmp_path: Path) -> None:
    lines = b"".join(b'{"key%d": 1}\n' % number for number in range(10_000))
    with pytest.raises(InvalidRequest, match="no column 'voice'; its columns are: text, key0, key1, ") as caught:
        read(written(tmp_path, "a.jsonl", b'{"text": "A."}\n' + lines), Columns(voice="voice"))
    assert len(str(caught.value)) < 1_000


def test_one_object_of_many_keys_is_told_with_some_of_them(tmp_path: Path) -> None:
    wide = json.dumps({f"key{number}": 1 for number in range(1_000)}).encode()
    with pytest.raises(InvalidRequest, match="no column 'text'; its columns are: key0, key1, ") as caught:
        read(written(tmp_path, "a.jsonl", wide))
    assert len(str(caught.value)) < 1_000


def test_json_that_is_nested_too_deep_is_a_bad_line(tmp_path: Path) -> None:
    (found,) = read(written(tmp_path, "a.jsonl", b"[" * 100_000))
    assert isinstance(found, str) and found.startswith("a.jsonl, line 1: not valid JSON (")


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


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b"words\nA.\n"), ("a.tsv", b""), ("a.jsonl", b'{"words": 1}\n{}')]
)
def test_a_missing_column_is_named_with_those_that_there_are(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"no column 'text'; its columns are: (words|none)\. Name yours with"):
        read(written(tmp_path, name, content))


@pytest.mark.parametrize(
    ("name", "header", "sign"),
    [
        ("x.csv", "id;text", "';'"),
        ("x.csv", "id\ttext", r"'\t'"),
        ("x.tsv", "id,text", "','"),
        ("x.tsv", "id;text", "';'"),
    ],
)
def test_a_table_with_another_separator_says_which_one_to_use(
    tmp_path: Path, name: str, header: str, sign: str
) -> None:
    (tmp_path / name).write_text(f"{header}\n1 Hello.\n")
    with pytest.raises(InvalidRequest) as refusal:
        list(tables.read([tmp_path / name], Columns()))
    assert f"Its only name holds {sign}: separate the cells by commas in a .csv" in str(refusal.value)


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
