"""A book on disk is the same after any interruption as without one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bark_client import BarkError, Chunk, InvalidRequest, Piece, Summary, Voice, growing
from bark_client.book import Book
from bark_client.book_state import STATE
from bark_client.chapters import Chapter
from bark_client.long_text import Passage
from bark_client.script import Finished

CHAPTERS = [
    Chapter("One", "This is the first chapter, and it has some words. " * 30),
    Chapter("Two: the Ball!", "Short."),
    Chapter("", "This is the third chapter, and it has some words, too. " * 12),
]
SETTINGS: dict[str, Any] = {"format": "flac", "voice": None, "top_k": 5}
SPEAKER = Voice(np.arange(50), np.zeros((2, 75)), np.zeros((8, 75)))
RATE = 24_000


class Killed(Exception):
    """The process ends here."""


def speech(index: int, passage: Passage, *, checkpoint: str = "") -> Iterator[Chunk | Finished]:
    """What a server says for a request: noise that depends on its number and text."""
    seed = int.from_bytes(hashlib.sha256(f"{index}{passage.text}".encode()).digest()[:4], "big")
    noise = np.random.default_rng(seed).uniform(-1, 1, 20 * len(passage.text)).astype(np.float32)
    for part in np.array_split(noise, 3):
        yield Chunk(part, RATE, sentence=0, sentences=1, last=False)
    piece = Piece(passage.text[:30], 0.0, noise.size / RATE, seed=seed)
    # The first request speaks nothing that could be a speaker.
    yield Finished(index, passage, Summary(pieces=(piece,), checkpoint=checkpoint), None, SPEAKER if index else None)


def make(book: Book, *, steps: int | None = None, checkpoint: str = "") -> None:
    """Speak what remains; after so many steps the process is killed: nothing is closed or said."""
    for index, passage in enumerate(list(book.remaining()), book.first):
        for event in speech(index, passage, checkpoint=checkpoint):
            if steps is not None:
                if not steps:
                    raise Killed
                steps -= 1
            if isinstance(event, Finished):
                book.finish(event)
            else:
                book.write(event)


def begin(folder: Path, **options: Any) -> Book:
    return Book.begin(folder, CHAPTERS, **{"seed": 1, "settings": SETTINGS, **options})


def resume(folder: Path, **options: Any) -> Book:
    return Book.resume(folder, options.pop("chapters", CHAPTERS), **{"seed": None, "settings": SETTINGS, **options})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    with begin(folder) as book:
        make(book)
        assert book.complete
    return contents(folder)


def test_a_book_is_a_file_of_audio_and_two_of_captions_per_chapter(whole: dict[str, bytes]) -> None:
    names = ("01-one", "02-two-the-ball", "03")
    assert set(whole) == {f"{name}.{suffix}" for name in names for suffix in ("flac", "srt", "vtt")} | {
        "book.json", "speaker.npz",
    }  # fmt: skip
    assert b"This is the first chapter, and" in whole["01-one.srt"]
    assert whole["01-one.vtt"].startswith(b"WEBVTT")


def test_the_audio_of_a_chapter_is_that_of_its_requests(tmp_path: Path) -> None:
    with begin(tmp_path) as book:
        passages = list(book.remaining())
        make(book)
    spoken = [
        event.samples for index, one in enumerate(passages) for event in speech(index, one) if isinstance(event, Chunk)
    ]
    read = [soundfile.read(path, dtype="int16")[0] for path in sorted(tmp_path.glob("*.flac"))]
    np.testing.assert_array_equal(np.concatenate(read), (np.concatenate(spoken) * 32767).round().astype(np.int16))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_after_any_interruptions_the_files_are_the_same(
    whole: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, kills: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("book")
    book = begin(folder)
    for steps in kills:
        with contextlib.suppress(Killed):
            make(book, steps=steps)
        book._lock.close()  # as the system does when a process ends
        book = resume(folder)
        assert (book.speaker is None) == (book.first < 2)
    make(book)
    assert book.complete
    assert contents(folder) == whole


def test_what_was_written_after_the_last_note_is_cut(whole: dict[str, bytes], tmp_path: Path) -> None:
    book = begin(tmp_path)
    with pytest.raises(Killed):
        make(book, steps=10)
    book._lock.close()
    for part in tmp_path.glob("*.part.*"):
        with part.open("ab") as file:
            file.write(b"torn")
    (tmp_path / "new-book.json").write_bytes(b"{half")
    with resume(tmp_path) as book:
        make(book)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("writes", [1, 12, 25, 40])
def test_after_a_full_disk_it_goes_on(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    write, left = growing.write_all, iter(range(writes))

    def write_until_full(file: Any, data: bytes) -> None:
        if next(left, None) is None:
            write(file, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, data)

    with begin(tmp_path) as book:
        monkeypatch.setattr(growing, "write_all", write_until_full)
        with pytest.raises(OSError, match="No space left"):
            make(book)
        monkeypatch.undo()
    with resume(tmp_path) as book:
        make(book)
    assert contents(tmp_path) == whole


def test_a_chapter_whose_files_are_not_written_gets_them_after_all(
    whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the last request of a chapter and its files."""

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Book, "_complete", killed)
    with begin(tmp_path) as book, pytest.raises(Killed):
        make(book)
    monkeypatch.undo()
    assert not (tmp_path / "01-one.flac").exists()
    with resume(tmp_path) as book:
        assert (tmp_path / "01-one.flac").read_bytes() == whole["01-one.flac"]
        make(book)
    assert contents(tmp_path) == whole


def test_a_complete_book_has_nothing_to_do(whole: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data)
    with resume(tmp_path) as book:
        assert book.complete and list(book.remaining()) == []
        assert book.spoken_characters == book.characters
    assert contents(tmp_path) == whole


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"chapters": CHAPTERS[:2]}, "it has 3 chapters, and the text now 2: give the same text"),
        ({"chapters": [CHAPTERS[0], Chapter("Two: the Ball!", "Shorter."), CHAPTERS[2]]},
         "the text of chapter 02-two-the-ball has changed: give the same text"),
        ({"seed": 2}, "its seed is 1, not 2: leave --seed out"),
        ({"settings": {**SETTINGS, "voice": "joe"}}, "voice was not given, and is now joe: give the same options"),
        ({"settings": {"format": "flac", "voice": None}}, "top_k was 5, and is now not given: give the same options"),
        ({"settings": {**SETTINGS, "format": "wav"}}, "format was flac, and is now wav: give the same options"),
    ],
)  # fmt: skip
def test_another_text_or_other_options_are_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    begin(tmp_path).__exit__()
    before = contents(tmp_path)
    with pytest.raises(InvalidRequest) as refused:
        resume(tmp_path, **change)
    assert str(refused.value) == f"{tmp_path} can't be resumed: {sentence}, or name another folder for a new book"
    assert contents(tmp_path) == before


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/mine.txt").write_text("keep")
    with pytest.raises(InvalidRequest, match="a is not an empty folder: name another"):
        begin(tmp_path / "a")
    begin(tmp_path / "b").__exit__()
    with pytest.raises(InvalidRequest, match="b holds a book already: add --resume"):
        begin(tmp_path / "b")
    with pytest.raises(InvalidRequest, match="holds no book to go on with: leave --resume out"):
        resume(tmp_path / "a")


def test_a_chapter_of_pauses_alone_is_left_out(whole: dict[str, bytes], tmp_path: Path) -> None:
    chapters = [CHAPTERS[0], Chapter("Silence", "[pause 2s]"), *CHAPTERS[1:]]
    with Book.begin(tmp_path, chapters, seed=1, settings=SETTINGS) as book:
        make(book)
    assert contents(tmp_path) == whole


def test_two_commands_cannot_work_in_one_folder(tmp_path: Path) -> None:
    with begin(tmp_path), pytest.raises(InvalidRequest, match="another command is working in"):
        resume(tmp_path)


@pytest.mark.parametrize("state", [b"{half", b"[]", b'{"version": 1}', b'{"version": 99}'])
def test_a_state_that_cannot_be_read_is_one_sentence(tmp_path: Path, state: bytes) -> None:
    (tmp_path / STATE).write_bytes(state)
    with pytest.raises(InvalidRequest, match=r"book\.json"):
        resume(tmp_path)


def test_parts_that_lack_what_was_noted_are_told(tmp_path: Path) -> None:
    book = begin(tmp_path)
    with pytest.raises(Killed):
        make(book, steps=10)
    book._lock.close()
    next(tmp_path.glob("*.part.wav")).write_bytes(b"RIFF")
    with resume(tmp_path) as book, pytest.raises(BarkError, match="begin again in another folder"):
        make(book)


def test_a_book_of_which_nothing_is_done_leaves_nothing(tmp_path: Path) -> None:
    with begin(tmp_path / "new") as book:
        with pytest.raises(Killed):
            make(book, steps=2)
        book.discard()
    assert list(tmp_path.iterdir()) == []


def test_the_part_of_a_chapter_plays_while_it_grows(tmp_path: Path) -> None:
    book = begin(tmp_path)
    with pytest.raises(Killed):
        make(book, steps=2)
    samples, rate = soundfile.read(next(tmp_path.glob("*.part.wav")))
    assert samples.size > 0 and rate == RATE
    assert json.loads((tmp_path / STATE).read_text())["chapters"][0]["samples"] == []
    book.__exit__()


def test_a_book_does_not_go_on_with_another_checkpoint(tmp_path: Path) -> None:
    with begin(tmp_path / "book") as book, pytest.raises(Killed):
        make(book, steps=5, checkpoint="bark-small 0123456789ab")
    done = book.first
    with resume(tmp_path / "book") as book, pytest.raises(InvalidRequest, match="begun with bark-small 0123456789ab"):
        make(book, checkpoint="bark-large ba9876543210")
    with resume(tmp_path / "book") as book:
        assert done == book.first > 0
        make(book, checkpoint="bark-small 0123456789ab")
        assert book.complete
