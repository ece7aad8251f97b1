"""A book on disk: a folder with one file of audio per chapter and its captions, made request by request.

What is done is noted in `book.json` after each request, in one step, so that a command that is killed at any moment can
go on. The audio of the chapter under way grows in a WAV beside it. It is cut to what was noted before it grows on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from bark_client import audio, book_state, captions, growing
from bark_client.book_state import STATE, VERSION, ChapterState, State
from bark_client.chapters import Chapter
from bark_client.errors import BarkError, InvalidRequest
from bark_client.folder_lock import locked
from bark_client.long_text import Passage, gather
from bark_client.pieces import Piece, moved
from bark_client.script import Finished
from bark_client.speech import Chunk
from bark_client.voice import Voice, VoiceInfo

SPEAKER: Final = "speaker.npz"  #: the made-up speaker, where no voice was given
_BYTES_PER_SAMPLE: Final = 2


class Book:
    """A folder in which a book is made. Open it with `begin` or `resume`, in a `with` block."""

    def __init__(self, folder: Path, state: State, chapters: Sequence[Chapter]) -> None:
        self.folder, self.state = folder, state
        self._passages = [list(gather(chapter.text)) for chapter in chapters]
        self._writer: growing.WavWriter | None = None
        self._file: BinaryIO | None = None
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(locked(folder))

    @classmethod
    def begin(cls, folder: Path, chapters: Sequence[Chapter], *, seed: int, settings: dict[str, Any]) -> Book:
        """Start a book in a new or empty folder. InvalidRequest if there is something in it."""
        if (folder / STATE).exists():
            raise InvalidRequest(
                f"{folder} holds a book already: add --resume to go on with it, or name another folder"
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InvalidRequest(f"{folder} is not an empty folder: name another, which is then made")
        chapters = book_state.with_words(chapters)
        if not chapters:
            raise InvalidRequest("the text is empty; give at least one word to speak")
        folder.mkdir(parents=True, exist_ok=True)
        state = State(VERSION, seed, settings, book_state.chapter_states(chapters))
        book = cls(folder, state, chapters)
        book_state.write(folder, state)
        return book

    @classmethod
    def resume(cls, folder: Path, chapters: Sequence[Chapter], *, seed: int | None, settings: dict[str, Any]) -> Book:
        """Go on with a book. InvalidRequest if its text, seed or settings were others."""
        state, chapters = book_state.read(folder), book_state.with_words(chapters)
        if difference := book_state.difference(state, chapters, seed=seed, settings=settings):
            raise InvalidRequest(f"{folder} can't be resumed: {difference}, or name another folder for a new book")
        book = cls(folder, state, chapters)
        book._clean()
        return book

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()
        self._lock.close()

    @property
    def first(self) -> int:
        """The number of the next request."""
        return sum(len(chapter.samples) for chapter in self.state.chapters)

    @property
    def complete(self) -> bool:
        return all(chapter.complete for chapter in self.state.chapters)

    @property
    def characters(self) -> int:
        """Of the whole book."""
        return sum(len(passage.text) for passages in self._passages for passage in passages)

    @property
    def spoken_characters(self) -> int:
        return sum(
            len(passage.text)
            for chapter, passages in zip(self.state.chapters, self._passages, strict=True)
            for passage in passages[: len(chapter.samples)]
        )

    @property
    def seconds(self) -> float:
        """Of the audio that is done."""
        return sum(one.samples[-1] for one in self.state.chapters if one.samples) / self.state.sample_rate

    @property
    def speaker(self) -> Voice | None:
        """The speaker whom the first request made up. BarkError if the file of it has changed."""
        if not self.state.speaker:
            return None
        speaker = Voice.load(self.folder / SPEAKER)
        if speaker.hash != self.state.speaker:
            raise BarkError(f"{self.folder / SPEAKER} is not the speaker of this book: begin again in another folder")
        return speaker

    def remaining(self) -> Iterator[Passage]:
        """What is still to be spoken."""
        done = [len(chapter.samples) for chapter in self.state.chapters]
        for chapter, passages in zip(done, self._passages, strict=True):
            yield from passages[chapter:]

    @property
    def chapter(self) -> ChapterState:
        """The one under way."""
        return next(chapter for chapter in self.state.chapters if not chapter.complete)

    def check_voices(self, found: Mapping[str, VoiceInfo], *, url: str) -> None:
        """Note the hashes of the voices of the server at `url`. InvalidRequest if a voice is another than before.

        A book that an older version began has none. The first that are found are noted then.
        """
        for name, voice in found.items():
            if self.state.voices.get(name, voice.hash) != voice.hash:
                remedy = "start the server with the former bundle and --voices"
                if voice.stored:
                    remedy = (
                        "import the former voice again from its file "
                        f"(`bark voice import voice.npz --name {name} --overwrite --url {url}`)"
                    )
                raise InvalidRequest(
                    f"the server's voice {name} was replaced after {self.folder} was begun with it: {remedy}, or begin "
                    "again in another folder"
                )
        voices = {name: voice.hash for name, voice in found.items()} | self.state.voices
        if voices != self.state.voices:
            self.state.voices = voices
            if self.first:  # else a failure leaves no folder
                book_state.write(self.folder, self.state)

    def write(self, chunk: Chunk) -> None:
        """Add audio of the request under way. OSError for a full disk."""
        self.state.sample_rate = chunk.sample_rate
        self._open().write(chunk.samples)

    def finish(self, finished: Finished) -> Path | None:
        """Note that a request is done. Returns the audio file of a chapter that is complete now.

        InvalidRequest if another checkpoint spoke it than the requests before: its audio is not kept.
        """
        self._note_checkpoint(finished.summary.checkpoint)
        chapter, writer = self.chapter, self._open()
        before = chapter.samples[-1] if chapter.samples else 0
        if finished.speaker is not None and not self.state.speaker:
            finished.speaker.save(self.folder / f"new-{SPEAKER}").replace(self.folder / SPEAKER)
            self.state.speaker = finished.speaker.hash
        self._add_pieces(moved(finished.summary.pieces, before / self.state.sample_rate))
        os.fsync(writer.file.fileno())
        chapter.samples.append(writer.data_bytes // _BYTES_PER_SAMPLE)
        book_state.write(self.folder, self.state)
        return self._complete(chapter) if self._is_spoken(chapter) else None

    def _note_checkpoint(self, checkpoint: str) -> None:
        if self.state.checkpoint and checkpoint != self.state.checkpoint:
            raise InvalidRequest(
                f"the server speaks with the checkpoint {checkpoint or 'of an older version'}, and {self.folder} was "
                f"begun with {self.state.checkpoint}: start a server of that one, or begin again in another folder"
            )
        self.state.checkpoint = checkpoint

    def discard(self) -> None:
        """Delete all that was written, of a book of which nothing is done, and the folder if nothing else is in it."""
        self._close()
        for chapter in self.state.chapters:
            self._delete_parts(chapter)
        for path in (*self.folder.glob("new-*"), self.folder / SPEAKER, self.folder / STATE):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not empty
            self.folder.rmdir()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None

    def _is_spoken(self, chapter: ChapterState) -> bool:
        return len(chapter.samples) == len(self._passages[self.state.chapters.index(chapter)])

    def _part(self, chapter: ChapterState, suffix: str) -> Path:
        return self.folder / f"{chapter.name}.part.{suffix}"

    def _open(self) -> growing.WavWriter:
        """The writer of the chapter's audio, cut to what was noted."""
        if self._writer is None:
            chapter = self.chapter
            data_bytes = _BYTES_PER_SAMPLE * (chapter.samples[-1] if chapter.samples else 0)
            path = self._part(chapter, "wav")
            _cut(path, audio.WAV_HEADER_BYTES + data_bytes if data_bytes else 0)
            self._file = path.open("r+b", buffering=0)
            self._writer = growing.WavWriter(self._file, sample_rate=self.state.sample_rate, data_bytes=data_bytes)
        return self._writer

    def _add_pieces(self, pieces: list[Piece]) -> None:
        path = self._part(self.chapter, "jsonl")
        _cut(path, self.chapter.captions_bytes)
        with path.open("ab", buffering=0) as file:
            for piece in pieces:
                growing.write_all(file, json.dumps(asdict(piece), ensure_ascii=False).encode() + b"\n")
            os.fsync(file.fileno())
            self.chapter.captions_bytes = file.tell()

    def _complete(self, chapter: ChapterState) -> Path:
        """Write the files of a chapter that is spoken, then delete its parts. To do it again is harmless."""
        self._close()
        target = self.folder / f"{chapter.name}.{self.state.settings['format']}"
        new = target.with_name(f"new-{target.name}")
        with self._part(chapter, "wav").open("rb") as source, new.open("w+b", buffering=0) as file:
            source.seek(audio.WAV_HEADER_BYTES)
            format_ = self.state.settings["format"]
            writer = growing.open_writer(file, sample_rate=self.state.sample_rate, format=format_)
            left = chapter.samples[-1]
            while left:
                block = np.fromfile(source, "<i2", min(left, audio.MAX_BLOCK_SAMPLES))
                writer.write(block.astype(np.float32) / audio.FULL_SCALE)  # the writer makes the same integers of it
                left -= block.size
            writer.close()
            os.fsync(file.fileno())
        new.replace(target)
        lines = self._part(chapter, "jsonl").read_bytes()[: chapter.captions_bytes].splitlines()
        pieces = [Piece(**json.loads(line)) for line in lines]
        for suffix in ("srt", "vtt"):
            captions.save(pieces, self.folder / f"{chapter.name}.{suffix}")
        chapter.complete = True
        book_state.write(self.folder, self.state)
        self._delete_parts(chapter)
        return target

    def _delete_parts(self, chapter: ChapterState) -> None:
        for suffix in ("wav", "jsonl"):
            self._part(chapter, suffix).unlink(missing_ok=True)

    def _clean(self) -> None:
        """After an interruption: finish what was begun of the files."""
        for path in self.folder.glob("new-*"):
            path.unlink()
        for chapter in self.state.chapters:
            if chapter.complete:
                self._delete_parts(chapter)
            elif chapter.samples and self._is_spoken(chapter):
                self._complete(chapter)


def _cut(path: Path, size: int) -> None:
    """Cut a file to the bytes that were noted; make it if none were. BarkError if it holds less."""
    held = path.stat().st_size if path.exists() else 0
    if held < size:
        raise BarkError(f"{path} holds {held} bytes, and {size} were written: begin again in another folder")
    with path.open("ab") as file:
        file.truncate(size)
