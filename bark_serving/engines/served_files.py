"""The files that a server reads weights from, with what they must be: engines' files and the bundle's.

They are listed when a repository is rendered, and checked at every start (`bark_serving.engines.file_check`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from pydantic import BaseModel, ConfigDict

from bark_serving.bundle import TOKENIZER_FILE, Bundle
from bark_serving.engines.builders import how_to_build
from bark_serving.engines.kernels import KERNELS_FILE
from bark_serving.engines.quick_sums import read_quick_sums
from bark_serving.engines.store import Engine
from bark_serving.spec import Network


class ServedFile(BaseModel):
    """One file that a server reads."""

    model_config = ConfigDict(frozen=True)

    path: Path  #: absolute
    sha256: str
    quick_sum: str | None = None  #: None: the file was made without one
    size: int | None = None  #: bytes; None: nobody wrote it down
    remedy: str  #: one command that puts a good file in its place, as a sentence


def engine_files(engine: Engine, *, kernels: bool, build_command: str) -> Sequence[ServedFile]:
    """An engine's files that a stage reads: the packed weights alone if the `kernels` run it, else all others."""
    manifest, folder = engine.manifest, engine.folder.absolute()
    quick = read_quick_sums(folder)
    remedy = how_to_build(build_command, first=f"rm -r {quote(str(folder))}")
    return [
        ServedFile(
            path=folder / name,
            sha256=sha256,
            quick_sum=quick.get(sha256),
            size=manifest.sizes.get(name),
            remedy=remedy,
        )
        for name, sha256 in manifest.files.items()
        if (name == KERNELS_FILE) == kernels
    ]


def bundle_files(bundle: Bundle, networks: Sequence[Network]) -> Sequence[ServedFile]:
    """A bundle's tokenizer and the weights of these networks. Voices are left out: each holds sums of its own."""
    names = [TOKENIZER_FILE, *(f"{network}.safetensors" for network in networks)]
    sums, quick = bundle.spec.files, read_quick_sums(bundle.folder)
    return [
        ServedFile(
            path=bundle.folder.absolute() / name,
            sha256=sums[name],
            quick_sum=quick.get(sums[name]),
            remedy=bundle.repair,
        )
        for name in names
        if name in sums
    ]
