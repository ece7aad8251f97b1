"""Reading single tensors of a bundle without loading the file: safetensors, memory-mapped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from bark_serving.arrays import Floats
from bark_serving.spec import BundleError


def mapped(path: Path, name: str) -> Floats:
    """The float32 tensor ``name`` of a safetensors file, memory-mapped read-only: only pages that are read cost memory.

    safetensors' own reader hands out copies or contiguous slices; rows picked by index want the map itself. The
    layout is the format's: 8 bytes of header length, a JSON header, the data.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    entry = header.get(name)
    if entry is None or entry["dtype"] != "F32":
        raise BundleError(f"{path} has no float32 tensor {name}. Import the checkpoint again.")
    start = 8 + size + entry["data_offsets"][0]
    return np.memmap(path, np.float32, "r", offset=start, shape=tuple(entry["shape"]))
