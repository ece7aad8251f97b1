"""Quick sums: an XXH3 beside the SHA-256 of each file of an engine or a bundle. It takes a ninth of the processor time.

So a start can check it without becoming slow. 128 bits miss no damage that happens by chance. These sums are in a file
of their own, so that manifests, specs and hence the hashes of bundles stay as they are. Older engines and bundles have
none: SHA-256 does the same, only slower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import xxhash
from pydantic import TypeAdapter, ValidationError

QUICK_SUMS_FILE = "xxh3.json"  #: XXH3 by SHA-256, which says which content is meant
_SUMS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
_PIECE_BYTES = 2**20


def write_quick_sums(folder: Path, files: Mapping[str, str]) -> None:
    """Write the quick sums of files into their folder. files: SHA-256 by relative name."""
    sums = {sha256: quick_sum(pieces(folder / name)) for name, sha256 in files.items()}
    (folder / QUICK_SUMS_FILE).write_bytes(_SUMS.dump_json(sums, indent=2) + b"\n")


def read_quick_sums(folder: Path) -> Mapping[str, str]:
    """XXH3 by SHA-256 of a folder's files; empty if they cannot be read."""
    try:
        return _SUMS.validate_json((folder / QUICK_SUMS_FILE).read_bytes())
    except (OSError, ValidationError):
        return {}


def quick_sum(content: Iterable[memoryview]) -> str:
    """XXH3 of 128 bits, as 32 hex digits, of pieces that follow each other."""
    digest = xxhash.xxh3_128()
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()


def pieces(path: Path) -> Iterator[memoryview]:
    """A file's content in pieces. Each is valid until the next one is read."""
    buffer = memoryview(bytearray(_PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            yield buffer[:count]
