"""Opening PyTorch files that nobody vouches for.

A pickle may call any function it names. These files are read by PyTorch's weights-only unpickler, which knows tensors
and plain containers. What older trainers also stored (numpy scalars, fairseq's configuration) is named in the file
but never imported: such names are answered with `Inert`, a class that keeps what it is given and does nothing.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # Python 2's names, which protocol 2 writes
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from build_engines.errors import CheckpointError, refuse_placeholder

_REFETCH = "Fetch it again."


class Inert:
    """Stands for an object of a class that is not loaded: keeps its arguments and its state, does nothing."""

    def __new__(cls, *arguments: object, **_: object) -> Inert:
        self = super().__new__(cls)
        self.arguments = arguments
        self.state = None
        return self

    def __init__(self, *_: object, **__: object) -> None:
        """`__new__` has kept everything; unpickling does not always come here."""

    def __setstate__(self, state: object) -> None:
        self.state = state

    arguments: tuple[object, ...]
    state: object


def _empty_dict(*_: object) -> dict[object, object]:
    """Stands for `collections.defaultdict`, which the unpickler fills after it is made: it fills plain ones only."""
    return {}


_STAND_INS = {"collections.defaultdict": _empty_dict}  #: for names that `Inert` cannot stand for


def load_pickle(path: Path, *, inert: tuple[str, ...] = ()) -> Any:
    """The object saved by `torch.save` at `path`; tensors of a zipped file are mapped, not read.

    `inert` lists the packages, and single names as ``module.name``, that may occur in the file. Their objects come back
    as `Inert`. Any other name than PyTorch's own, a truncated file, or no such file raises `CheckpointError`.
    """
    refuse_placeholder(path)
    try:
        zipped = zipfile.is_zipfile(path)
        names = {name for name in _globals(path, zipped=zipped) if name in inert or name.split(".")[0] in inert}
        allowed: list[Any] = [(_STAND_INS.get(name, Inert), name) for name in sorted(names)]
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        # what a damaged file raises depends on where the damage is
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path} is truncated or is not a file of torch.save ({reason}).", remedy=_REFETCH
        ) from error


def _refused(path: Path, message: str) -> CheckpointError:
    named = re.search(r"GLOBAL ([\w.]+)", message)
    if named:
        return CheckpointError(
            f"{path} names {named[1]}, which no checkpoint of this kind needs; it was refused and nothing was run.",
            remedy="Do not use this file; fetch the checkpoint from its publisher.",
        )
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return CheckpointError(f"{path} cannot be unpickled safely ({lines[-1] if lines else message}).", remedy=_REFETCH)


def _globals(path: Path, *, zipped: bool) -> Iterator[str]:
    """Every `module.name` that the pickles of a PyTorch file refer to. Reads operations, runs none."""
    if zipped:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    with archive.open(name) as file:
                        yield from _globals_of_pickle(file)
        return
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            raise ValueError("a zip archive without its end")
        file.seek(0)
        for _ in range(4):  # before PyTorch 1.6: magic number, protocol, system, object; then the tensors' bytes
            yield from _globals_of_pickle(file)


def _globals_of_pickle(file: IO[bytes]) -> Iterator[str]:
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "GLOBAL":
            module, name = str(argument).split(" ", 1)
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            yield f"{module}.{name}"


def find(tree: object, key: str) -> object:
    """The first value stored under `key` anywhere in nested containers and `Inert` objects, or None."""
    seen: set[int] = set()
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop(0)
        if id(node) in seen or isinstance(node, torch.Tensor):
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            if key in node:
                return _plain(node[key])
            waiting += node.values()
        elif isinstance(node, Inert):
            waiting += [node.state, *node.arguments]
        elif isinstance(node, list | tuple):
            waiting += node
    return None


def number(value: object) -> object:
    """The number of a numpy scalar that was kept as `Inert`; any other value as it is.

    numpy writes ``scalar(dtype(code, …), bytes)``; the second entry of the dtype's state is its byte order.
    """
    if not isinstance(value, Inert) or len(value.arguments) != 2:
        return value
    kind, data = value.arguments
    if not isinstance(kind, Inert) or not isinstance(data, bytes) or not kind.arguments:
        return value
    code, state = kind.arguments[0], kind.state
    if not isinstance(code, str) or not re.fullmatch("[iufb][1248]", code):
        return value
    order = state[1] if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">") else "="
    dtype = np.dtype(f"{order}{code}")
    return np.frombuffer(data, dtype)[0].item() if len(data) == dtype.itemsize else value


def _plain(value: object) -> object:
    """omegaconf wraps each value in a node whose state holds it as `_val`; enums are called with theirs."""
    if isinstance(value, Inert):
        if isinstance(value.state, dict) and "_val" in value.state:
            return _plain(value.state["_val"])
        if len(value.arguments) == 1:
            return _plain(value.arguments[0])
    return value
