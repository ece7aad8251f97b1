"""Checks that the files a server reads are those that were built: sizes before the start, sums while it starts.

A sum is computed once. Then a record says which file was found whole: its inode, size and times. The next start reads
the record instead of the file, until the file changes or `MAX_AGE_S` has passed. So a bit that flips on the disk,
without a write, is found at a start after at most that time.

The sum is the quick one, where there is one. If it is not that of the build, the SHA-256 is computed, and decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bark_serving.engines.quick_sums import pieces, quick_sum
from bark_serving.engines.served_files import ServedFile
from bark_serving.engines.store import EngineBroken
from bark_serving.host.cores import usable_cores

MAX_AGE_S = 7 * 24 * 3600.0  #: after which a file is read again, though nobody wrote to it
MAX_RECORDS = 1_000
_MAX_THREADS = 4
_HEADER_LENGTH_BYTES = 8
_Record = dict[str, tuple[list[int], str, float]]  # path → (signature, sum, when it was found whole)
_RECORD: TypeAdapter[_Record] = TypeAdapter(_Record)


def check_sizes(files: Iterable[ServedFile]) -> None:
    """Raise `EngineBroken` for the first file that is missing or of a wrong size. Reads no file but short headers."""
    for file in files:
        try:
            found = file.path.stat().st_size
            needed = file.size if file.size is not None else _safetensors_size(file.path)
        except OSError as error:
            raise EngineBroken(f"{file.path} cannot be read ({error.strerror}).", remedy=file.remedy) from error
        if needed is not None and found != needed:
            fault = "cut off" if found < needed else "too long"
            raise EngineBroken(
                f"{file.path} has {found:,} bytes and needs {needed:,}: it is {fault}.", remedy=file.remedy
            )


def _safetensors_size(path: Path) -> int | None:
    """The size that the header of a safetensors file states; None for another file or a broken header."""
    if path.suffix != ".safetensors":
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_HEADER_LENGTH_BYTES), "little")
        if not 0 < length <= path.stat().st_size - _HEADER_LENGTH_BYTES:
            return _HEADER_LENGTH_BYTES + length
        try:
            tensors = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        except (ValueError, LookupError, TypeError, AttributeError):
            return None  # its sum will tell
    return _HEADER_LENGTH_BYTES + length + max(ends, default=0)


class FileCheck:
    """Computes the sums of files in threads of low priority, beside a server that starts."""

    def __init__(self, files: Sequence[ServedFile], *, record: Path, now: Callable[[], float] = time.time) -> None:
        self._record, self._now = record, now
        self._stop = threading.Event()
        self._known = _read(record)
        #: the files that have to be read; the others are known to be whole
        self.to_read = [file for file in files if not self._is_known(file)]
        self._faults: list[EngineBroken] = []
        self._threads: ThreadPoolExecutor | None = None

    @property
    def failed(self) -> bool:
        """Whether a file was found broken."""
        return bool(self._faults)

    def start(self) -> None:
        """Begin. Returns at once."""
        workers = min(_MAX_THREADS, usable_cores(), len(self.to_read))
        if workers:
            self._threads = ThreadPoolExecutor(workers, "sums", initializer=_yield_to_others)
            # the largest first, so that the threads end together
            for file in sorted(self.to_read, key=lambda file: -file.path.stat().st_size):
                self._threads.submit(self._look, file)

    def finish(self) -> None:
        """Wait for the sums and write the record. Raises `EngineBroken` for a file that is not what was built."""
        if self._threads:
            self._threads.shutdown()
        if self._faults:
            raise self._faults[0]
        if self.to_read:
            _write(self._record, self._known)

    def abandon(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._threads:
            self._threads.shutdown(cancel_futures=True)

    def _is_known(self, file: ServedFile) -> bool:
        signature, found, when = self._known.get(str(file.path), ([], "", 0.0))
        return found == file.sha256 and signature == _signature(file.path) and 0 <= self._now() - when <= MAX_AGE_S

    def _look(self, file: ServedFile) -> None:
        try:
            before = _signature(file.path)
            found = self._sum(file)
        except OSError as error:
            self._faults.append(EngineBroken(f"{file.path} cannot be read ({error.strerror}).", remedy=file.remedy))
            return
        except _Abandoned:
            return
        if found != file.sha256:
            self._faults.append(
                EngineBroken(
                    f"{file.path} is damaged: its sha256 is {found[:12]}…, and {file.sha256[:12]}… was built.",
                    remedy=file.remedy,
                )
            )
            self._stop.set()
        elif before == _signature(file.path):
            self._known[str(file.path)] = (before, found, self._now())

    def _sum(self, file: ServedFile) -> str:
        """SHA-256 of a file's content as 64 hex digits. It is computed only if the quick sum is another one."""
        if file.quick_sum is not None and quick_sum(self._pieces(file.path)) == file.quick_sum:
            return file.sha256
        digest = hashlib.sha256()
        for piece in self._pieces(file.path):
            digest.update(piece)
        return digest.hexdigest()

    def _pieces(self, path: Path) -> Iterator[memoryview]:
        """A file's content. Raises `_Abandoned` if nobody waits for its sum any more."""
        for piece in pieces(path):
            if self._stop.is_set():
                raise _Abandoned
            yield piece


class _Abandoned(Exception):
    """The sum of a file is not needed any more."""


def _yield_to_others() -> None:
    """Let the server's own processes compute first. On Linux a thread has a priority of its own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def _signature(path: Path) -> list[int]:
    """What changes when a file is written or replaced. Nobody can set the last number, the time of its last change."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(record: Path) -> _Record:
    try:
        return _RECORD.validate_json(record.read_bytes())
    except (OSError, ValidationError):
        return {}  # then every file is read


def _write(record: Path, known: _Record) -> None:
    """Write the newest `MAX_RECORDS` entries. If the folder cannot be written, files are read again at each start."""
    newest = sorted(known.items(), key=lambda item: -item[1][2])[:MAX_RECORDS]
    temporary = record.with_name(f"{record.name}.{os.getpid()}.new")
    with suppress(OSError):
        temporary.write_bytes(_RECORD.dump_json(dict(newest)))
        temporary.replace(record)
