"""The voices that users keep on the server: a folder of ``.npz`` files that several processes share.

``<folder>/<name>.npz`` is a voice, so ordinary tools can read, fill and copy the folder. Writers of all processes take
turns by a file lock, which ends with its process. Writes are atomic: a writer makes a new file beside the old one,
flushes it to the disk, and renames it. So a reader needs no lock. A writer that is killed leaves the old voice or the
new one, and at worst a temporary file, which the next writer removes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from bark_serving.errors import InvalidRequest, StageFailed
from bark_serving.files import exclusive
from bark_serving.voices import files
from bark_serving.voices.names import check_name
from bark_serving.voices.voice import Voice

MAX_VOICES = 1_000
MAX_BYTES = 256 * 2**20
_LOCK = ".lock"


class VoiceStore:
    """Puts, removes and renames voices in one folder. The first put makes the folder.

    max_voices, max_bytes: limits of the folder. A put beyond them is refused; the store never drops a voice.
    """

    def __init__(self, folder: Path, *, max_voices: int = MAX_VOICES, max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder)
        self._max_voices = max_voices
        self._max_bytes = max_bytes

    def path(self, name: str) -> Path:
        """The file of the voice of that name, whether it exists or not. Raises `InvalidRequest` for what is no name."""
        return self.folder / f"{check_name(name)}{files.SUFFIX}"

    def check(self, name: str, *, overwrite: bool = False) -> None:
        """Raise `InvalidRequest`: the name is taken (unless `overwrite`), or there is no room for another voice."""
        target = self.path(name)
        self._check_free(target, name, overwrite=overwrite)
        self._check_room(target, size=0)

    def put(self, name: str, voice: Voice, *, overwrite: bool = False) -> None:
        """Keep a voice under a name. Raises `InvalidRequest`: the name is taken (unless `overwrite`), or no room."""
        target = self.path(name)
        with self._writing():
            self._check_free(target, name, overwrite=overwrite)
            target.parent.mkdir(exist_ok=True)
            temporary = target.with_name(f".{secrets.token_hex(8)}{files.TEMPORARY}")
            try:
                size = files.write(temporary, voice.arrays)
                self._check_room(target, size)
                temporary.replace(target)
                self._sync(target)
            finally:
                temporary.unlink(missing_ok=True)
                self._remove_empty(target)

    def delete(self, name: str) -> None:
        """Remove a voice. Raises `InvalidRequest` when there is none of that name."""
        target = self.path(name)
        with self._writing():
            self._check_exists(target, name)
            target.unlink()
            self._sync(target)
            self._remove_empty(target)

    def rename(self, name: str, new_name: str, *, overwrite: bool = False) -> None:
        """Give a voice another name. Raises `InvalidRequest`: no such voice, or the new name is taken."""
        source, target = self.path(name), self.path(new_name)
        with self._writing():
            self._check_exists(source, name)
            self._check_free(target, new_name, overwrite=overwrite)
            target.parent.mkdir(exist_ok=True)
            source.replace(target)
            self._sync(target)
            self._sync(source)
            self._remove_empty(source)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the folder's lock and remove what killed writers left. Raises `StageFailed` for a disk's error."""
        try:
            with exclusive(self.folder / _LOCK):
                self._remove_leftovers()
                yield
        except OSError as error:
            raise StageFailed(
                f"the voice store cannot be changed ({error.strerror}); its server's --voice-store must be a folder "
                "that the server may write to, on a disk with room."
            ) from error

    def _remove_leftovers(self) -> None:
        """Remove temporary files. Their writers are dead, because a living one would hold the lock."""
        for pattern in (f".*{files.TEMPORARY}", f"*/.*{files.TEMPORARY}"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def _check_free(self, target: Path, name: str, *, overwrite: bool) -> None:
        if target.exists() and not overwrite:
            raise InvalidRequest(f"there is a voice {name!r} already; choose another name, or allow overwriting.")

    def _check_room(self, target: Path, size: int) -> None:
        others = [path for path in self._voices() if path != target]
        if len(others) + 1 > self._max_voices:
            raise InvalidRequest(f"the server keeps at most {self._max_voices} voices; delete one first.")
        if sum(path.stat().st_size for path in others) + size > self._max_bytes:
            raise InvalidRequest(
                f"the server keeps at most {self._max_bytes / 2**20:g} MiB of voices, and this one has "
                f"{size / 2**20:.2g} MiB; delete some first."
            )

    def _voices(self) -> list[Path]:
        return [path for pattern in (f"*{files.SUFFIX}", f"*/*{files.SUFFIX}") for path in self.folder.glob(pattern)]

    def _check_exists(self, path: Path, name: str) -> None:
        if not path.is_file():
            raise InvalidRequest(
                f"there is no voice {name!r} in the store; `bark voice list` shows those that there are."
            )

    def _sync(self, path: Path) -> None:
        files.sync_folder(path.parent)
        if path.parent != self.folder:
            files.sync_folder(self.folder)

    def _remove_empty(self, path: Path) -> None:
        """Remove the folder of a voice if no other voice is in it."""
        if path.parent != self.folder and not any(os.scandir(path.parent)):
            path.parent.rmdir()
