from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bark_batch.folder import VERSION, Folder, Job
from bark_batch.rows import Row
from bark_batch.sound import encode
from bark_batch.speaking import Manner, Spoken
from bark_client import Piece, Voice
from tests.bark_batch.servers import CountingServer
from tests.client import fake_triton

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

from bark_batch import shard_speaker, shards  # noqa: E402 - they need pyarrow
from tests.bark_batch.test_speaking import OneSlot  # noqa: E402

RATE = 24_000
AUDIO = encode(np.zeros(2400, np.float32), sample_rate=RATE, format="flac")
TOKENS = Voice(np.arange(5), np.full((2, 7), 3), np.full((8, 7), 4))
SPOKEN = Spoken(
    Row("a", "Hello. You.", "joe", 2**64 - 1, number=40),
    audio=AUDIO,
    seconds=0.1,
    pieces=(Piece("Hello.", 0.0, 0.05, verdict="good"), Piece("You.", 0.05, 0.05, verdict="cut", attempts=3)),
    warnings=("it was cut",),
    tokens=TOKENS,
    attempts=1,
)
FAILED = Spoken(Row("b", "", error="text: empty"), error="text: empty")


def table(*, tokens: bool = True) -> pyarrow.Table:
    return shards.table_of([SPOKEN, FAILED], sample_rate=RATE, format="flac", tokens=tokens)


def test_a_shard_holds_what_was_spoken_and_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(shards.to_parquet(table()))
    spoken, failed = parquet.read_table(path).to_pylist()
    assert spoken["audio"] == {"bytes": AUDIO, "path": "000000040.flac"} and spoken["seed"] == 2**64 - 1
    assert (spoken["verdict"], spoken["seconds"], spoken["error"]) == ("cut", 0.1, None)
    assert [(piece["text"], piece["start"], piece["attempts"]) for piece in spoken["pieces"]] == [
        ("Hello.", 0.0, 1),
        ("You.", 0.05, 3),
    ]
    assert (spoken["semantic_tokens"], spoken["fine_tokens"]) == ([0, 1, 2, 3, 4], [[4] * 7] * 8)
    assert (failed["id"], failed["audio"], failed["error"]) == ("b", None, "text: empty")


def test_equal_tables_are_equal_bytes_and_audio_is_not_packed_twice() -> None:
    first, second = shards.to_parquet(table()), shards.to_parquet(table())
    assert first.equals(second)
    group = parquet.ParquetFile(pyarrow.BufferReader(first)).metadata.row_group(0)
    columns = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    assert columns["audio.bytes"].compression == "UNCOMPRESSED"
    tokens = next(column for name, column in columns.items() if name.startswith("fine_tokens"))
    assert tokens.compression == "ZSTD" and "RLE_DICTIONARY" in tokens.encodings


def test_columns_of_tokens_can_be_left_out() -> None:
    assert [name for name in table(tokens=False).column_names if "tokens" in name] == []


def test_an_account_counts_failures_verdicts_and_takes() -> None:
    account = shards.account_of(table())
    assert (account["rows"], account["failed"], account["errors"]) == (2, 1, {"text: empty": 1})
    assert (account["verdicts"], account["pieces"], account["takes"]) == ({"cut": 1, "good": 1}, 2, 4)


class CountingDesk(OneSlot):
    """It also counts rows. Any number of slots."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.counts: Counter[bool] = Counter()

    def give(self, slot: object, *, problem: str = "") -> None:
        self.problems.append(problem)

    def begin(self, shard: int) -> None:
        self.counts.clear()

    def count(self, shard: int, *, failed: bool, seconds: float) -> None:
        self.counts[failed] += 1


def test_a_full_disk_stops_the_job_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = CountingServer()
    desk, folder = CountingDesk(server.url), Folder(tmp_path)
    folder.write_rows([[Row("0", "Text.", None, 1)]])
    job = Job(VERSION, "", {}, None, 0, "flac", True, {}, "", RATE, 1, 20, 1)
    speaker = shard_speaker.ShardSpeaker(shard_speaker.Orders(tmp_path, job, Manner("", RATE, "flac", {}), 1), desk)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        speaker.speak(0)
    server.close()
    assert desk.stopped == f"can't write or read {tmp_path}: no space left on device"


def test_a_shard_is_spoken_once_and_bad_rows_do_not_end_it(tmp_path: Path) -> None:
    server = CountingServer(first=[fake_triton.say_error("[INVALID_ARGUMENT] there is no voice 'x'")])
    desk, folder = CountingDesk(server.url), Folder(tmp_path)
    rows = [Row(str(number), f"Text {number}.", None, number) for number in range(12)]
    folder.write_rows([[*rows, Row("12", "", error="text: empty")]])
    job = Job(VERSION, "", {}, None, 0, "opus", True, {}, "", RATE, 13, 20, 1)
    speaker = shard_speaker.ShardSpeaker(
        shard_speaker.Orders(tmp_path, job, Manner("", RATE, "opus", {"return_tokens": True}), 4), desk
    )
    speaker.speak(0)
    speaker.speak(0)
    found = parquet.read_table(folder.data(0, shards=1)).to_pylist()
    assert [row["id"] for row in found] == [str(number) for number in range(13)]
    assert sorted(row["error"] for row in found if row["error"]) == ["text: empty", "there is no voice 'x'"]
    assert desk.counts == {False: 11, True: 2} and len(server.requests) == 12
    assert folder.accounts()[0]["failed"] == 2 and folder.is_done(0)
    (tmp_path / "_job/done/00000.json").unlink()  # as if it was killed between its last two steps
    speaker.speak(0)
    assert len(server.requests) == 12 and folder.accounts()[0]["failed"] == 2
    server.close()
