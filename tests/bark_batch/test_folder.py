from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bark_batch.folder import MAX_SHARD_ROWS, VERSION, Folder, Job, cut, difference, usual_shard_rows
from bark_batch.rows import Row
from bark_client import InvalidRequest

JOB = Job(
    version=VERSION, inputs="abc", columns={"text": "text", "voice": None}, voice="joe", seed=0, format="flac",
    tokens=True, options={"top_k": 3}, checkpoint="tiny 0123", sample_rate=24_000, rows=41, shard_rows=20, shards=3,
    voices={"jo": "sha256:01", "joe": "sha256:02"},
)  # fmt: skip


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "out")
    assert not folder.begun
    folder.begin(JOB)
    assert folder.begun and folder.job() == JOB


def test_a_job_of_an_older_version_has_no_hashes_of_voices(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "out")
    folder.begin(JOB)
    path = tmp_path / "out/_job/job.json"
    values = json.loads(path.read_text())
    del values["voices"]
    path.write_text(json.dumps(values))
    assert folder.job() == replace(JOB, voices={})


def test_rows_are_cut_into_shards_and_none_is_lost(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = Folder(tmp_path)
    rows = [Row(str(number), f"Text {number}.", None, 2**64 - 1, None, number) for number in range(41)]
    rows[7] = Row("7", "", error="it is broken", number=7)
    assert folder.write_rows(cut(iter(rows), max_rows=20)) == (41, 3)
    assert [row for shard in range(3) for row in folder.rows(shard)] == rows


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 9), st.integers(1, 50))
def test_a_shard_has_no_more_rows_and_characters_than_it_may(lengths: list[int], rows: int, characters: int) -> None:
    texts = [Row("", "a" * length) for length in lengths]
    shards = list(cut(iter(texts), max_rows=rows, max_characters=characters))
    assert [row for shard in shards for row in shard] == texts
    for shard, after in itertools.zip_longest(shards, shards[1:], fillvalue=None):
        assert shard and len(shard) <= rows
        size = sum(len(row.text) for row in shard)
        assert size <= characters or len(shard) == 1
        if after:  # a shard is cut no sooner than it must be
            assert len(shard) == rows or size + len(after[0].text) > characters


@given(st.integers(0, 10_000_000))
def test_shards_of_a_small_job_are_small_and_never_too_large(rows: int) -> None:
    assert 1 <= usual_shard_rows(rows) <= MAX_SHARD_ROWS
    assert usual_shard_rows(rows) * 32 >= min(rows, 32 * MAX_SHARD_ROWS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": "abd"}, "the tables have changed since it began"),
        ({"voice": None}, "--voice was joe and is not given"),
        ({"options": {"top_k": 4}}, "--top-k was 3 and is 4"),
        ({"options": {}}, "--top-k was 3 and is not given"),
        ({"columns": {"text": "words", "voice": None}}, "--text-column was text and is words"),
        ({"shard_rows": 10}, "--shard-rows was 20 and is 10"),
        ({"tokens": False}, "--tokens was True and is False"),
        ({"voices": {"jo": "sha256:01", "joe": "sha256:03"}}, "the servers' voice joe was replaced after it began"),
        ({"checkpoint": "large 9"}, "the servers spoke with the checkpoint tiny 0123, and now have large 9"),
    ],
)
def test_what_differs_from_the_job_is_named(change: dict[str, object], words: str) -> None:
    assert difference(JOB, JOB) is None
    assert difference(JOB, replace(JOB, **change)) == words  # type: ignore[arg-type]


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path)
    folder.write_data(0, b"first", shards=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_data(0, b"second", shards=1)
    assert folder.data(0, shards=1).read_bytes() == b"first"
    assert list((tmp_path / "_job/tmp").iterdir()) == []


def test_two_commands_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with Folder(tmp_path).locked():
        (tmp_path / "_job/tmp").mkdir()
        (tmp_path / "_job/tmp/under-way").touch()
        with pytest.raises(InvalidRequest, match="another command is working in"), Folder(tmp_path).locked():
            pass
        assert (tmp_path / "_job/tmp/under-way").exists()
    with Folder(tmp_path).locked():
        assert list((tmp_path / "_job/tmp").iterdir()) == []


def test_a_damaged_job_is_refused_in_words(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.begin(JOB)
    for content, words in (
        ("{", "is damaged"),
        (f'{{"version": {VERSION}}}', "is damaged"),
        ('{"version": 0}', "another version"),
    ):
        (tmp_path / "_job/job.json").write_text(content)
        with pytest.raises(InvalidRequest, match=words):
            folder.job()


def test_nothing_is_left_of_a_job_that_did_not_begin(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "out")
    with pytest.raises(InvalidRequest), folder.locked(), folder.emptied_unless_begun():
        raise InvalidRequest("the tables have no rows")
    assert not folder.path.exists()
    with pytest.raises(InvalidRequest), folder.locked(), folder.emptied_unless_begun():
        folder.begin(JOB)
        raise InvalidRequest("later")
    assert folder.begun
