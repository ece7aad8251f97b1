"""Writing a bundle: everything goes to a temporary folder beside the target, which is renamed when it is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file

from bark_serving.bundle import SPEC_FILE, TOKENIZER_FILE, VOICES_FOLDER
from bark_serving.spec import Network, Spec
from build_engines.bundles.check import check
from build_engines.errors import OutputError


def sha256(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class BundleWriter:
    """Files of a bundle that is being made. Made by `new_bundle`; `finish` writes the spec last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished = False

    def network(
        self,
        network: Network,
        tensors: dict[str, torch.Tensor],
        *,
        spec: Spec,
        source: str,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Check a network's tensors against `spec` and write them. Raises `CheckpointError`."""
        check(tensors, network=network, spec=spec, source=source)
        seen: set[int] = set()
        save_file(
            {name: _alone(tensors[name], seen, dtype) for name in sorted(tensors)},
            self.folder / f"{network}.safetensors",
        )

    def tokenizer(self, text: str) -> None:
        """Write `tokenizer.json` (the tokenizers library's format)."""
        (self.folder / TOKENIZER_FILE).write_text(text, encoding="utf-8")

    def voice(self, name: str) -> Path:
        """The path a voice of this name is to be written to; its folder exists."""
        path = self.folder / VOICES_FOLDER / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self, spec: Spec) -> None:
        """Write `spec.json` with the sha256 of every file written so far."""
        files = {
            path.relative_to(self.folder).as_posix(): sha256(path)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }
        complete = spec.model_copy(update={"files": files})
        (self.folder / SPEC_FILE).write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
        self.finished = True


def _alone(tensor: torch.Tensor, seen: set[int], dtype: torch.dtype) -> torch.Tensor:
    """The tensor as `dtype` in memory of its own, as safetensors wants it; copied only if it shares its memory.

    `seen` collects the addresses of the tensors of one file.
    """
    tensor = tensor.detach().to(dtype).contiguous()
    shares = tensor.untyped_storage().nbytes() != tensor.nbytes or tensor.data_ptr() in seen
    seen.add(tensor.data_ptr())
    return tensor.clone() if shares else tensor


@contextmanager
def new_bundle(out: Path, *, force: bool = False) -> Iterator[BundleWriter]:
    """A `BundleWriter` whose folder becomes `out` when the block ends after `finish`; otherwise nothing stays.

    Raises `OutputError` when `out` exists and `force` is false, or when `out` is something else than a bundle.
    """
    out = out.absolute()
    _check_target(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out.parent} cannot be written ({error.strerror}).", remedy="Give another OUT.") from error
    try:
        writer = BundleWriter(work)
        yield writer
        if not writer.finished:
            raise AssertionError("a bundle's writer was left without finish()")
        _open_to_umask(work)
        _replace(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check_target(out: Path, *, force: bool) -> None:
    if not out.exists():
        return
    if not force:
        raise OutputError(f"{out} exists.", remedy="Give another OUT, or --force to replace it.")
    empty = out.is_dir() and not any(out.iterdir())
    if not empty and not (out / SPEC_FILE).is_file():
        raise OutputError(f"{out} is not a bundle, so --force does not replace it.", remedy="Give another OUT.")


def _replace(work: Path, out: Path) -> None:
    """Put `work` in the place of `out`: the old bundle is moved aside first and comes back if that fails."""
    if not out.exists():
        work.rename(out)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
    try:
        out.rename(aside / out.name)
        try:
            work.rename(out)
        except OSError:
            (aside / out.name).rename(out)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _open_to_umask(folder: Path) -> None:
    """mkdtemp and safetensors make things for their owner alone; a server often runs as somebody else."""
    mask = os.umask(0o022)  # the umask can only be read by setting it
    os.umask(mask)
    folder.chmod(0o777 & ~mask)
    for path in folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
