"""All voices of a server by name and by content hash: those that users keep, and read-only folders of ``.npz`` files.

What is remembered of a file holds only while its *signature* (inode, size, times) stays the same. Every look at a voice
checks the signature, so a process sees at once what another process has put.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices import files
from bark_serving.voices.entries import Entry, shared_language
from bark_serving.voices.names import check_name, is_hash, is_name, language_of, similar_names, why_no_name
from bark_serving.voices.store import VoiceStore
from bark_serving.voices.voice import Voice, content_hash

log = logging.getLogger(__name__)

MAX_CACHED_BYTES = 64 * 2**20  #: of the voices in memory
MAX_KNOWN_FILES = 10_000  #: files whose numbers are remembered
_Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Known:
    """What a file held when it had this signature: the numbers of a voice, or why it cannot be read."""

    signature: _Signature
    hash: str = ""
    semantic_tokens: int = 0
    frames: int = 0
    error: str | None = None


class VoiceLibrary:
    """Voices from a store and from folders, searched in that order; ``v2/en_speaker_6`` is ``v2/en_speaker_6.npz``.

    The voices used last stay in memory, at most `MAX_CACHED_BYTES`. Safe to use from several threads.
    """

    def __init__(self, folders: Iterable[Path], *, spec: Spec, store: VoiceStore | None = None) -> None:
        self.spec = spec
        self._store = store
        self._folders = [Path(folder) for folder in folders]
        self._recent: OrderedDict[Path, tuple[_Signature, Voice]] = OrderedDict()
        self._known: dict[Path, _Known] = {}
        self._lock = threading.RLock()

    @property
    def cached_bytes(self) -> int:
        """Bytes of the voices that are in memory."""
        with self._lock:
            return sum(voice.nbytes for _, voice in self._recent.values())

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({name for folder in self._searched for name in _names_in(folder)})

    def get(self, name: str) -> Voice:
        """The voice of that name or hash. Raises `InvalidRequest`: there is none, or its file is broken."""
        with self._lock:
            return self._read(self._path(self.resolve(name)), name)

    def entries(self) -> Iterator[Entry]:
        """All voices by name. Broken files are left out, and named in the log."""
        entries = []
        for name in self.names():
            try:
                entries.append(self._entry(name))
            except InvalidRequest as error:
                log.warning("left out of the list: %s", error)
        names: dict[str, list[str]] = defaultdict(list)
        for entry in entries:
            names[entry.hash].append(entry.name)
        for entry in entries:
            yield replace(entry, language=shared_language(entry, names[entry.hash]))

    def entry(self, name: str) -> Entry:
        """What a list says about the voice of that name or hash. Raises `InvalidRequest`."""
        with self._lock:
            entry = self._entry(self.resolve(name))
            return entry if entry.language else replace(entry, language=self._language(entry))

    def _language(self, entry: Entry) -> str | None:
        return shared_language(entry, self._with_hash(entry.hash))

    def _entry(self, name: str) -> Entry:
        with self._lock:
            path = self._path(name)
            known = self._learn(path, name)
        stored = self._is_stored(path)
        return Entry(
            name=name,
            hash=known.hash,
            language=language_of(name),
            semantic_tokens=known.semantic_tokens,
            frames=known.frames,
            seconds=round(known.frames / self.spec.encodec.frame_rate_hz, 3),
            stored=stored,
            created=_iso(known.signature[2]) if stored else None,
        )

    def check(self, name: str, *, overwrite: bool = False) -> None:
        """Raise `InvalidRequest` when no voice can be put under this name now. A client asks before it clones."""
        store = self._writable()
        self._check_free(name)
        store.check(name, overwrite=overwrite)

    def put(self, name: str, voice: Voice, *, overwrite: bool = False) -> Entry:
        """Keep a voice. Putting the same voice under the same name again changes nothing. Raises `InvalidRequest`."""
        store = self._writable()
        self._check_free(name)
        if not (store.path(name).is_file() and self._holds(name, voice)):
            store.put(name, voice, overwrite=overwrite)
        return self.entry(name)

    def delete(self, name: str) -> Entry:
        """Remove a voice that users keep, by name or hash; returns what it was, without a hash if it was broken.

        Raises `InvalidRequest`.
        """
        store, name = self._writable(), self._resolve_stored(name)
        try:
            entry = self.entry(name)
        except InvalidRequest:  # a broken file can be removed, too
            entry = Entry(name, "", language_of(name), 0, 0, 0.0, stored=True, created=None)
        store.delete(name)
        return entry

    def rename(self, name: str, new_name: str, *, overwrite: bool = False) -> Entry:
        """Give a voice that users keep another name. Raises `InvalidRequest`."""
        store, name = self._writable(), self._resolve_stored(name)
        self._check_free(new_name)
        if new_name != name:
            store.rename(name, new_name, overwrite=overwrite)
        return self.entry(new_name)

    def resolve(self, name: str) -> str:
        """The name of the voice that `name`, a name or the beginning of a hash, stands for. Raises `InvalidRequest`."""
        if not is_hash(name):
            if not is_name(name):
                raise self._unknown(name)
            return name
        found = self._with_hash(name)
        if not found:
            raise InvalidRequest(f"there is no voice {name}; `bark voice list` shows those that this server has.")
        if len(set(found.values())) > 1:
            raise InvalidRequest(f"several voices' hashes begin with {name}: {', '.join(found)}; give more digits.")
        return next(iter(found))

    @property
    def _searched(self) -> list[Path]:
        return [self._store.folder, *self._folders] if self._store else self._folders

    def _with_hash(self, beginning: str) -> dict[str, str]:
        """Names and hashes of the voices whose hash begins so."""
        found = {}
        with self._lock:
            for name in self.names():
                try:
                    known = self._learn(self._path(name), name)
                except InvalidRequest:
                    continue  # a broken or vanished file is no match; `entries` reports it
                if known.hash.startswith(beginning):
                    found[name] = known.hash
        return found

    def _resolve_stored(self, name: str) -> str:
        """The name of a voice in the store. Raises `InvalidRequest` for a hash that several names share."""
        if is_hash(name):
            found = [candidate for candidate in self._with_hash(name) if self._is_stored(self._path(candidate))]
            if len(found) > 1:
                raise InvalidRequest(f"{name} is the voice of several names: {', '.join(found)}; give one of them.")
            name = found[0] if found else self.resolve(name)
        if not self._is_stored(self._path(name)):
            raise InvalidRequest(f"the voice {name!r} comes with the server; only voices in the store can be changed.")
        return name

    def _writable(self) -> VoiceStore:
        if self._store is None:
            raise InvalidRequest("this server keeps no voices; start it with --voice-store.")
        return self._store

    def _check_free(self, name: str) -> None:
        """Raise `InvalidRequest` when a read-only voice has this name."""
        check_name(name)
        if any((folder / f"{name}{files.SUFFIX}").is_file() for folder in self._folders):
            raise InvalidRequest(f"the voice {name!r} comes with the server; choose another name.")

    def _holds(self, name: str, voice: Voice) -> bool:
        try:
            return self.entry(name).hash == content_hash(voice)
        except InvalidRequest:  # broken: the put replaces or reports it
            return False

    def _is_stored(self, path: Path) -> bool:
        return self._store is not None and path.is_relative_to(self._store.folder)

    def _path(self, name: str) -> Path:
        if is_name(name):
            for folder in self._searched:
                path = folder / f"{name}{files.SUFFIX}"
                if path.is_file():
                    return path
        raise self._unknown(name)

    def _unknown(self, name: str) -> InvalidRequest:
        """The refusal of a name that no voice here has. It names the voices that may be meant."""
        problem = f"there is no voice {name!r}" if is_name(name) else why_no_name(name)
        if found := similar_names(name, self.names()):
            problem += f"; did you mean {' or '.join(map(repr, found))}?"
        else:
            problem += ";"
        return InvalidRequest(f"{problem} `bark voice list` shows those that this server has.")

    def _learn(self, path: Path, name: str) -> _Known:
        """The numbers of a file. Reads it again only if it changed."""
        known = self._known.get(path)
        try:
            if known is None or known.signature != _signature(path.stat()):
                self._read(path, name)
                known = self._known[path]
        except OSError as error:  # deleted since it was found
            raise InvalidRequest(
                f"there is no voice {name!r} any more; `bark voice list` shows those that there are."
            ) from error
        if known.error:
            raise InvalidRequest(known.error)
        return known

    def _read(self, path: Path, name: str) -> Voice:
        try:
            file = path.open("rb")
        except OSError as error:  # deleted since it was found, or not ours to read
            raise InvalidRequest(
                f"the file of voice {name!r} cannot be read: {error.strerror}; the server must be allowed to read it."
            ) from error
        with file:
            signature = _signature(os.fstat(file.fileno()))
            recent = self._recent.get(path)
            if recent and recent[0] == signature:
                self._recent.move_to_end(path)
                return recent[1]
            try:
                voice = files.read(file, name=name, spec=self.spec)
            except InvalidRequest as error:
                self._remember(path, _Known(signature, error=str(error.args[0])))
                raise
        numbers = (content_hash(voice), len(voice.semantic), int(voice.fine.shape[1]))
        self._remember(path, _Known(signature, *numbers))
        self._cache(path, signature, voice)
        return voice

    def _remember(self, path: Path, known: _Known) -> None:
        self._known[path] = known
        while len(self._known) > MAX_KNOWN_FILES:
            del self._known[next(iter(self._known))]

    def _cache(self, path: Path, signature: _Signature, voice: Voice) -> None:
        self._recent[path] = (signature, voice)
        self._recent.move_to_end(path)
        while len(self._recent) > 1 and self.cached_bytes > MAX_CACHED_BYTES:
            self._recent.popitem(last=False)


def _names_in(folder: Path) -> Iterator[str]:
    for pattern in (f"*{files.SUFFIX}", f"*/*{files.SUFFIX}"):
        for path in folder.glob(pattern):
            name = path.relative_to(folder).as_posix().removesuffix(files.SUFFIX)
            if is_name(name):
                yield name


def _signature(status: os.stat_result) -> _Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _iso(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="seconds")
