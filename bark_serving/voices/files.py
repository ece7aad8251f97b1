"""Voices as ``.npz`` files. The input is untrusted: sizes are checked before anything is read.

An ``.npz`` is a zip of ``.npy`` files. Both state sizes, which `numpy.load` would trust; here each is first compared
with the size of the largest voice.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from bark_serving.arrays import Array
from bark_serving.errors import InvalidRequest
from bark_serving.placeholders import placeholder_of
from bark_serving.spec import Spec
from bark_serving.voices.limits import MAX_VOICE_S
from bark_serving.voices.voice import ARRAYS, Voice, voice_from_arrays

SUFFIX = ".npz"
TEMPORARY = ".writing"  #: suffix of a file that is not complete; readers ignore it
MAX_MEMBERS = 16  #: files in the zip; a voice has three
MAX_HEADER_BYTES = 16_384  #: of a .npy, beside its data


def max_bytes(spec: Spec) -> int:
    """Size of the largest voice in bytes: with all arrays in int64, as Suno's own code may write them."""
    frames = MAX_VOICE_S * spec.encodec.frame_rate_hz * (spec.coarse.codebooks + spec.encodec.codebooks)
    return int(8 * (frames + MAX_VOICE_S * spec.semantic.rate_hz)) + MAX_MEMBERS * MAX_HEADER_BYTES


def read(
    file: IO[bytes], *, name: str, spec: Spec, remedy: str = "put a good file in its place, or delete it"
) -> Voice:
    """The voice in an open ``.npz`` file.

    Raises `InvalidRequest` naming the voice and what is wrong with its file; it ends with the remedy.
    """
    limit = max_bytes(spec)
    try:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise InvalidRequest(f"it has {size} bytes; a voice has at most {limit}")
        if found := placeholder_of(file.read(MAX_HEADER_BYTES)):
            raise InvalidRequest(f"it {found.problem}")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            arrays = _members(archive, limit=limit)
        return voice_from_arrays(arrays, spec=spec, remedy="")
    except InvalidRequest as error:
        reason = error.args[0]
    except Exception as error:  # noqa: BLE001 - zipfile and numpy raise many kinds on broken files; all mean the same here
        reason = f"not a valid .npz ({type(error).__name__})"
    problem = f"the file of voice {name!r} cannot be read: {reason.removesuffix('.')}"
    raise InvalidRequest("; ".join(filter(None, (problem, remedy))) + ".")


def _members(archive: zipfile.ZipFile, *, limit: int) -> dict[str, Array]:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise InvalidRequest(f"it holds {len(members)} files; a voice has three arrays")
    by_name = {member.filename: member for member in members}
    arrays: dict[str, Array] = {}
    for name in ARRAYS:
        if (member := by_name.get(f"{name}.npy")) is None:
            continue
        if member.file_size > limit:
            raise InvalidRequest(f"{name} unpacks to {member.file_size} bytes; a voice has at most {limit}")
        with archive.open(member) as stream:
            arrays[name] = _array(stream, name=name, limit=limit)
    return arrays


def _array(stream: IO[bytes], *, name: str, limit: int) -> Array:
    """An array of numbers. Checks the stated shape, and reads at most `limit` bytes of data."""
    version = npy.read_magic(stream)  # type: ignore[no-untyped-call]
    if version not in ((1, 0), (2, 0)):
        raise InvalidRequest(f"{name} is of .npy version {version}; versions 1 and 2 are read")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)  # type: ignore[no-untyped-call]
    if dtype.kind not in "iuf":
        raise InvalidRequest(f"{name} is of type {dtype}; it must hold integers")
    count = 1
    for length in shape:
        count *= length
    if not 1 <= len(shape) <= 2 or min(shape) < 0 or count * dtype.itemsize > limit:
        raise InvalidRequest(f"{name} states the shape {list(shape)[:8]}; a voice has at most {limit} bytes")
    data = stream.read(count * dtype.itemsize + 1)
    if len(data) != count * dtype.itemsize:
        raise InvalidRequest(f"{name} has more or less data than its shape {list(shape)} says")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def write(path: Path, arrays: Mapping[str, Array]) -> int:
    """Write a new file and flush it to the disk. Returns its size in bytes."""
    with path.open("xb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def sync_folder(folder: Path) -> None:
    """Flush the renamed and removed entries of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
