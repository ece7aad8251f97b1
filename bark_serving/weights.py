"""Reading single tensors of a bundle without loading the file: safetensors, memory-mapped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from bark_serving.arrays import Floats
from bark_serving.spec import BundleError

_DTYPES = {"F32": np.float32, "F16": np.float16}


def mapped(path: Path, name: str) -> Floats:
    """The tensor ``name`` of a safetensors file as float32.

    Memory-mapped read-only, so that only pages that are read cost memory; a float16 one (a miniature's) is converted.

    safetensors' own reader hands out copies or contiguous slices; rows picked by index want the map itself. The
    layout is the format's: 8 bytes of header length, a JSON header, the data.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    entry = header.get(name)
    if entry is None or entry["dtype"] not in _DTYPES:
        raise BundleError(f"{path} has no float32 or float16 tensor {name}. Import the checkpoint again.")
    start = 8 + size + entry["data_offsets"][0]
    tensor = np.memmap(path, _DTYPES[entry["dtype"]], "r", offset=start, shape=tuple(entry["shape"]))
    return tensor.astype(np.float32, copy=False)
