"""Headers as they were observed. `test_build.py` and `test_true_size.py` check that real plans have them."""

from __future__ import annotations

import struct

import pytest

from build_engines.errors import BuildError
from build_engines.tensorrt.header import Header, read


def plan(mask: int, *, magic: bytes = b"vtrt", size: int = 1_000) -> bytes:
    return struct.pack("<4sIQQ", magic, 0, 2, size) + (
        bytes([1, 7, 1, 116]) + b"vtrt" + struct.pack("<I", mask) + bytes(28)
    )


@pytest.mark.parametrize(
    ("mask", "architectures"),
    [(1, ("sm75",)), (2, ("sm80",)), (0x1E, ("sm80", "sm86", "sm89", "sm120")), (32, ("sm121",))],
)
def test_a_header_has_version_architectures_and_size(mask: int, architectures: tuple[str, ...]) -> None:
    assert read(plan(mask)) == Header(version="1.7.1.116", architectures=architectures, size=1_000)


@pytest.mark.parametrize("data", [b"", b"vtrt", plan(2, magic=b"ptrt")])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(BuildError, match="not a plan of TensorRT for RTX"):
        read(data)


@pytest.mark.parametrize("mask", [0, 64, 0x42])
def test_an_unknown_architecture_is_refused_not_guessed(mask: int) -> None:
    with pytest.raises(BuildError, match=f"mask of architectures is {mask:#x}"):
        read(plan(mask))
