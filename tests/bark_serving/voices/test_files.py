"""Files of voices: those that Suno and we write are read. Hostile files are refused before they cost anything."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.voices import Voice, files
from tests.bark_serving.voices_data import SPEC, arrays, voice


def read(path: Path) -> Voice:
    with path.open("rb") as file:
        return files.read(file, name="it", spec=SPEC)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(text: str, *, data: bytes = b"") -> bytes:
    """A .npy file that states what it likes."""
    padded = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + data


def archive(path: Path, *, compression: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    """A .npz of a good voice, with some members replaced."""
    contents = {f"{name}.npy": npy(array) for name, array in arrays().items()}
    contents |= {f"{name}.npy": data for name, data in members.items()}
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.int64, ">i4", np.float32, np.float64, ">f8"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_whole_numbers_of_any_type_width_and_order_are_read(
    tmp_path: Path, dtype: str, save: Callable[..., None]
) -> None:
    save(tmp_path / "a.npz", **{name: np.asfortranarray(array.astype(dtype)) for name, array in arrays().items()})
    for name, array in read(tmp_path / "a.npz").arrays.items():
        assert array.dtype == np.int32
        np.testing.assert_array_equal(array, arrays()[name])


def test_what_is_written_is_what_numpy_reads(tmp_path: Path) -> None:
    size = files.write(tmp_path / "a.npz", voice().arrays)
    assert size == (tmp_path / "a.npz").stat().st_size
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert {name: file[name].tolist() for name in file} == {name: a.tolist() for name, a in arrays().items()}


HUGE = "{'descr': '<i4', 'fortran_order': False, 'shape': (8, 99999999999), }"
NEGATIVE = "{'descr': '<i4', 'fortran_order': False, 'shape': (-8, -4), }"
DEEP = "{'descr': '<i4', 'fortran_order': False, 'shape': (" + "1, " * 200 + "), }"
PICKLE = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
CODE = "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (1,), }"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header(HUGE), "states the shape"),
        (header(NEGATIVE), "states the shape"),
        (header(DEEP), "states the shape"),
        (header(PICKLE, data=b"cos\nsystem\n(S'true'\ntR."), "is of type object; it must hold integers"),
        (header(CODE), "not a valid .npz"),
        (header("{" * 500), "not a valid .npz"),
        (header("x" * 20_000), "not a valid .npz"),
        (b"\x93NUMPY\x03\x00", r"\.npy version"),
        (b"", "not a valid .npz"),
        (b"MZ" * 100, "not a valid .npz"),
        (npy(np.zeros((8, 150), bool)), "of type bool"),
        (npy(np.full((8, 150), 0.5, np.float32)), "numbers that are not whole; it must hold integers"),
        (npy(np.full((8, 150), np.nan)), "numbers that are not whole"),
        (npy(np.zeros((8, 150), np.complex64)), "of type complex64"),
        (npy(np.zeros((8, 150), bool)), "of type bool"),
        (npy(np.zeros((8, 150), "m8[s]")), r"of type timedelta64\[s\]"),
        (npy(np.zeros((8, 150), "i4,i4")), "must hold integers"),
        (npy(np.array(["a"])), "must hold integers"),
        (npy(np.zeros((8, 150), np.int32))[:-4], "more or less data than its shape"),
        (npy(np.zeros((8, 150), np.int32)) + b"more", "more or less data than its shape"),
        (npy(np.full((8, 150), 5_000)), "must be in 0..1023"),
        (npy(np.full((8, 150), 2**40)), "must be in 0..1023"),
        (npy(np.array(3)), "states the shape"),
    ],
)
def test_a_hostile_array_is_refused_with_its_name_and_the_reason(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"voice 'it' cannot be read: .*{message}") as caught:
        read(archive(tmp_path / "a.npz", fine_prompt=data))
    assert "fine_prompt" in str(caught.value) or "not a valid" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = npy(np.zeros(2**28, np.uint8))
    path = archive(tmp_path / "a.npz", compression=zipfile.ZIP_DEFLATED, semantic_prompt=bomb)
    del bomb
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match="semantic_prompt unpacks to 268435584 bytes"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_with_a_false_size_unpacks_no_more_than_it_states(tmp_path: Path) -> None:
    bomb = npy(np.zeros(2**26, np.uint8))
    path = archive(tmp_path / "a.npz", compression=zipfile.ZIP_DEFLATED, semantic_prompt=bomb)
    true_size = struct.pack("<L", len(bomb))
    path.write_bytes(path.read_bytes().replace(true_size, struct.pack("<L", 1_000)))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest, match="cannot be read"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_file_of_too_many_members_or_bytes_is_refused(tmp_path: Path) -> None:
    many = archive(tmp_path / "many.npz", **{f"x{number}": b"" for number in range(20)})
    with pytest.raises(InvalidRequest, match="holds 23 files"):
        read(many)
    large = tmp_path / "large.npz"
    with large.open("wb") as file:
        file.truncate(files.max_bytes(SPEC) + 1)
    with pytest.raises(InvalidRequest, match=r"it has \d+ bytes; a voice has at most"):
        read(large)


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz")
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = data.find(magic)
        while position >= 0:
            data[position + offset] |= 1
            position = data.find(magic, position + 1)
    path.write_bytes(data)
    with pytest.raises(InvalidRequest, match=r"not a valid \.npz"):
        read(path)


def test_a_file_with_any_byte_changed_or_cut_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    files.write(path, voice(tokens=10).arrays)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for round_ in range(400):
        broken = bytearray(good)
        if round_ % 4 == 0:
            del broken[int(rng.integers(len(good))) :]
        else:
            for position in rng.integers(len(good), size=round_ % 4):
                broken[position] = int(rng.integers(256))
        path.write_bytes(broken)
        try:
            read(path)
        except InvalidRequest:
            refused += 1
    assert refused > 300


def test_a_voice_longer_than_any_request_makes_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{name: a.astype(np.int16) for name, a in arrays(tokens=90_100).items()})
    with pytest.raises(InvalidRequest, match="the limit is 1800 s"):
        read(tmp_path / "a.npz")
