"""Writing a bundle: into a temporary folder beside the target, which is renamed when it is complete."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file

from bark_serving.bundle import SPEC_FILE, TOKENIZER_FILE, VOICES_FOLDER
from bark_serving.engines.quick_sums import write_quick_sums
from bark_serving.files import FULL_DISK, atomic_folder, sha256
from bark_serving.spec import Network, Spec
from build_engines.bundles.check import check_tensors
from build_engines.errors import OutputError


class BundleWriter:
    """Writes the files of a new bundle. `new_bundle` makes it; `finish` writes the spec last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished = False

    def network(
        self,
        network: Network,
        tensors: dict[str, torch.Tensor],
        *,
        spec: Spec,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Check a network's tensors against `spec` and write them. Raises `CheckpointError`."""
        check_tensors(tensors, network=network, spec=spec)
        seen: set[int] = set()
        save_file(
            {name: _owned(tensors[name], seen, dtype) for name in sorted(tensors)},
            self.folder / f"{network}.safetensors",
        )

    def tokenizer(self, text: str) -> None:
        """Write `tokenizer.json` (the tokenizers library's format)."""
        (self.folder / TOKENIZER_FILE).write_text(text, encoding="utf-8")

    def voice(self, name: str) -> Path:
        """The path to write a voice of this name to. Its folder exists."""
        path = self.folder / VOICES_FOLDER / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self, spec: Spec) -> None:
        """Write `spec.json` with the sha256 of every file written so far, and their quick sums."""
        files = {
            path.relative_to(self.folder).as_posix(): sha256(path)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }
        write_quick_sums(self.folder, files)
        complete = spec.model_copy(update={"files": files})
        (self.folder / SPEC_FILE).write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
        self.finished = True


def _owned(tensor: torch.Tensor, seen: set[int], dtype: torch.dtype) -> torch.Tensor:
    """The tensor as `dtype` in memory of its own, as safetensors needs it. It is copied only if it shares memory.

    `seen` collects the addresses of the tensors of one file.
    """
    tensor = tensor.detach().to(dtype).contiguous()
    shares = tensor.untyped_storage().nbytes() != tensor.nbytes or tensor.data_ptr() in seen
    seen.add(tensor.data_ptr())
    return tensor.clone() if shares else tensor


@contextmanager
def new_bundle(out: Path, *, force: bool = False) -> Iterator[BundleWriter]:
    """A `BundleWriter` whose folder becomes `out` if the block ends after `finish`. Otherwise nothing stays.

    Raises `OutputError` if `out` exists and `force` is false, or if `out` is something else than a bundle. The former
    may be seen at the end only: of two that make the same bundle at once, the first to finish wins.
    """
    out = out.absolute()
    check_target(out, force=force)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(atomic_folder(out, replace=force))
        except OSError as error:
            problem = f"{out.parent} cannot be written ({error.strerror})."
            room = "Make room there, or give" if error.errno in FULL_DISK else "Give"
            raise OutputError(problem, remedy=f"{room} another OUT.") from error
        writer = BundleWriter(folder)
        yield writer
        if not writer.finished:
            raise AssertionError("a bundle's writer was left without finish()")
        try:
            stack.close()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            problem = f"{out} exists: another process has made it meanwhile."
            raise OutputError(problem, remedy="Use it, or give --force to replace it.") from error


def check_target(out: Path, *, force: bool) -> None:
    """Raise `OutputError` if `new_bundle` would."""
    if not out.exists():
        return
    if not force:
        raise OutputError(f"{out} exists.", remedy="Give another OUT, or --force to replace it.")
    empty = out.is_dir() and not any(out.iterdir())
    if not empty and not (out / SPEC_FILE).is_file():
        raise OutputError(f"{out} is not a bundle, so --force does not replace it.", remedy="Give another OUT.")
