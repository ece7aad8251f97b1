"""A bundle on disk: its spec, its weights, its tokenizer.

A *bundle* is a folder with ``spec.json``, one safetensors file per network, ``tokenizer.json`` and optional
``voices/*.npz``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from shlex import quote

import numpy as np
from pydantic import ValidationError
from tokenizers import Tokenizer

from bark_serving.arrays import Floats
from bark_serving.errors import INSTALL_AGAIN, UserError
from bark_serving.files import sha256
from bark_serving.placeholders import placeholder, placeholder_of
from bark_serving.spec import FORMAT_VERSION, Network, Spec

SPEC_FILE = "spec.json"
TOKENIZER_FILE = "tokenizer.json"
VOICES_FOLDER = "voices"

#: The name of the bundle that comes with this package: a miniature that speaks English, for demonstration and tests. It
#: can be given in place of a bundle's folder, unless a folder of this name exists.
MINIATURE = Path("miniature")

_IMPORT_AGAIN = "Import the checkpoint again."
_DTYPES = {"F32": np.float32, "F16": np.float16}


class BundleError(UserError):
    """A bundle is missing, incomplete, or not of the format this version reads."""


class Bundle:
    """A bundle on disk: its folder, its spec and its hash. Opening one reads ``spec.json`` only."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if self.folder == MINIATURE and not self.folder.exists():
            self.folder = Path(__file__).parent / MINIATURE
        path = self.folder / SPEC_FILE
        try:
            text = path.read_bytes()
        except OSError as error:
            raise BundleError(
                f"{self.folder.absolute()} is not a bundle: {path.name} cannot be read ({error.strerror}).",
                remedy="Make one with `bark-build import`.",
            ) from error
        if found := placeholder_of(text[:1024], text=True):
            raise BundleError(f"{path} {found.problem}", remedy=found.remedy)
        try:
            self.spec = Spec.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            raise BundleError(f"{path}: {where}: {first['msg']}.", remedy=_IMPORT_AGAIN) from error
        if self.spec.format_version != FORMAT_VERSION:
            raise BundleError(
                f"{path}: format_version {self.spec.format_version}, this version reads {FORMAT_VERSION}.",
                remedy=_IMPORT_AGAIN,
            )
        self.hash = hashlib.sha256(text).hexdigest()

    @property
    def repair(self) -> str:
        """What puts good files in the place of broken ones."""
        if self.folder == Path(__file__).parent / MINIATURE:
            return INSTALL_AGAIN
        return f"Import it again: `bark-build import CHECKPOINT {quote(str(self.folder))} --force`."

    @property
    def label(self) -> str:
        """Its name and the begin of its hash, such as ``bark-small 1a2b3c4d5e6f``."""
        return f"{self.spec.name} {self.hash[:12]}"

    def weights(self, network: Network) -> Path:
        """Path of a network's safetensors file. Raises `BundleError` when the bundle has none."""
        path = self.folder / f"{network}.safetensors"
        if not path.exists():
            raise BundleError(
                f"{self.folder} has no {path.name}.",
                remedy=f"Import the checkpoint again with its {network} files.",
            )
        _refuse_placeholder(path)
        return path

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER_FILE

    @property
    def voices(self) -> Path:
        return self.folder / VOICES_FOLDER

    def verify(self) -> None:
        """Hash every file and compare with ``spec.json``. Raises `BundleError` naming the first that differs."""
        for name, expected in self.spec.files.items():
            path = self.folder / name
            if not path.exists():
                raise BundleError(f"{path} is missing.", remedy=self.repair)
            actual = sha256(path)
            if actual != expected:
                raise BundleError(f"{path} has sha256 {actual}, spec.json says {expected}.", remedy=self.repair)


def _refuse_placeholder(path: Path, *, text: bool = False) -> None:
    """Raise `BundleError` if a file is empty, a web page, a pointer of Git LFS, or the like."""
    if found := placeholder(path, text=text):
        raise BundleError(f"{path} {found.problem}", remedy=found.remedy)


def mapped(path: Path, name: str) -> Floats:
    """The tensor ``name`` of a safetensors file as float32. Raises `BundleError` if there is none.

    It is memory-mapped read-only, so only the pages that are read need memory. A float16 tensor (of the miniature) is
    converted, hence copied. safetensors' own reader returns copies or contiguous slices, but rows are picked by index
    here. The format is: 8 bytes with the header's length, a JSON header, the data.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    entry = header.get(name)
    if entry is None or entry["dtype"] not in _DTYPES:
        raise BundleError(f"{path} has no float32 or float16 tensor {name}.", remedy=_IMPORT_AGAIN)
    start = 8 + size + entry["data_offsets"][0]
    tensor = np.memmap(path, _DTYPES[entry["dtype"]], "r", offset=start, shape=tuple(entry["shape"]))
    return tensor.astype(np.float32, copy=False)


class Vocabulary:
    """What a checkpoint's tokenizer can write, from a ``tokenizer.json``. Raises `BundleError` for another file."""

    def __init__(self, path: Path) -> None:
        _refuse_placeholder(path, text=True)
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise BundleError(f"{path} is not a tokenizer: {error}.", remedy=_IMPORT_AGAIN) from error
        model = self._tokenizer.model
        unknown = getattr(model, "unk_token", None)
        #: the id of what it has no token for, None where it has one for everything
        self.unknown: int | None = None if unknown is None else self._tokenizer.token_to_id(unknown)
        #: characters that it takes as one word; a longer one is unknown
        self.max_word: int = getattr(model, "max_input_chars_per_word", None) or sys.maxsize

    def tokenise(self, text: str) -> list[int]:
        """Ids, without special tokens or the text offset."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def knows(self, text: str) -> bool:
        """Whether it has tokens for the text, none of them the unknown one."""
        ids = self.tokenise(text)
        return bool(ids) and self.unknown not in ids
