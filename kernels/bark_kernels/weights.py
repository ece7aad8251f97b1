"""A file of packed weights: safetensors' format, with every array at a multiple of 64 bytes, mapped into memory."""

from __future__ import annotations

import contextlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bark_kernels.errors import Unsupported
from bark_kernels.packing import LAYOUT

ALIGNMENT = 64  #: bytes, a line of the cache
_TYPES: dict[str, np.dtype[Any]] = {"U8": np.dtype(np.uint8), "F32": np.dtype(np.float32)}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


def save(path: Path, arrays: Mapping[str, npt.NDArray[Any]], *, metadata: Mapping[str, int]) -> None:
    """Write arrays of uint8 and float32, and whole numbers about them."""
    header: dict[str, Any] = {
        "__metadata__": {name: str(value) for name, value in {"layout": LAYOUT, **metadata}.items()}
    }
    end = 0
    for name, array in arrays.items():
        # safetensors allows no holes, so what fills an array up to the next multiple is an array too
        if pad := -end % ALIGNMENT:
            header[f"pad.{end}"] = {"dtype": "U8", "shape": [pad], "data_offsets": [end, end + pad]}
            end += pad
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        start = file.tell()
        for name, array in arrays.items():
            file.write(bytes(header[name]["data_offsets"][0] - (file.tell() - start)))
            file.write(np.ascontiguousarray(array).data)


class Weights:
    """The arrays of a file, mapped: they are read when they are first used, and processes share them.

    Raises `Unsupported` when the file is not one of packed weights or has another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with contextlib.suppress(AttributeError, OSError):  # a wish that few file systems grant; the rest refuse it
                self._map.madvise(mmap.MADV_HUGEPAGE)
            size = int.from_bytes(self._map[:8], "little")
            header = json.loads(self._map[8 : 8 + size])
            self.metadata = {name: int(value) for name, value in header.pop("__metadata__").items()}
            self.arrays = {
                name: self._array(8 + size, **entry) for name, entry in header.items() if not name.startswith("pad.")
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unsupported(f"{path} is not a file of packed weights: {error}.") from error
        if self.metadata.get("layout") != LAYOUT:
            raise Unsupported(f"{path} has layout {self.metadata.get('layout')}, these kernels read {LAYOUT}.")

    def _array(self, start: int, *, dtype: str, shape: list[int], data_offsets: list[int]) -> npt.NDArray[Any]:
        count = int(np.prod(shape))
        if count * _TYPES[dtype].itemsize != data_offsets[1] - data_offsets[0]:
            raise ValueError(f"an array of shape {shape} has {data_offsets[1] - data_offsets[0]} bytes")
        return np.frombuffer(self._map, _TYPES[dtype], count, start + data_offsets[0]).reshape(shape)
