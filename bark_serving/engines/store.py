"""A content-addressed store of engines on disk.

An engine is a folder ``<root>/<key>/`` with its graph and ``manifest.json``. The key is a hash of everything that
decides the engine's content, so building again is a no-op and nothing is ever overwritten. A new engine is written to
a temporary folder and renamed when it is complete. So every folder with a key as its name is complete.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from pydantic import ValidationError

from bark_serving.bundle import Bundle
from bark_serving.engines.builders import how_to_build
from bark_serving.engines.compatibility import Host, incompatibility, loader_versions, this_host
from bark_serving.engines.manifest import MANIFEST_FILE, Manifest, key
from bark_serving.engines.quick_sums import write_quick_sums
from bark_serving.errors import UserError
from bark_serving.files import atomic_folder, exclusive, existing_place, leftovers, remove, sha256
from bark_serving.profiles import STAGES, TABLE, Precision, Profile, Stage

#: The precisions in which the cpu profile's engines can be built, by stage.
PRECISIONS: dict[Stage, tuple[Precision, ...]] = {stage: TABLE["cpu"].stages[stage].precisions for stage in STAGES}

DEFAULT_ROOT = Path("build/engines")  #: of a store, where no other is named
NAME_A_STORE = "Name the folder of your engines with --engines, or in $BARK_ENGINES."
MODEL_FILE = "model.onnx"
_LOCKS = ".locks"
_KEY = re.compile(r"[0-9a-f]{32}")  # other folders do not belong to the store


class StoreError(UserError):
    """The folder that was named cannot be a store of engines."""


class EngineError(UserError):
    """Base of the errors about an engine. `remedy` names the command that makes or repairs the engine."""


class EngineMissing(EngineError):
    """The store has no engine for this stage of this bundle."""


class EngineMismatch(EngineError):
    """The store's engines of this stage are for another bundle, precision, GPU or library version."""


class EngineBroken(EngineError):
    """An engine's files are not what its manifest says."""


@dataclass(frozen=True)
class Engine:
    """One engine of a store."""

    folder: Path
    manifest: Manifest

    @property
    def model(self) -> Path:
        """Path of the ONNX graph or TensorRT plan."""
        return self.folder / (TABLE[self.manifest.profile].stages[self.manifest.stage].plan or MODEL_FILE)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def verify(self) -> None:
        """Hash every file. Raises `EngineBroken` naming the first that differs."""
        for name, expected in self.manifest.files.items():
            path = self.folder / name
            actual = sha256(path) if path.exists() else "none: it is missing"
            if actual != expected:
                raise EngineBroken(
                    f"{path} has sha256 {actual}, its manifest says {expected}.",
                    remedy=_how_to_repair(self.folder),
                )


class EngineStore:
    """The engines under `root`, a folder. The first build makes it. Raises `StoreError` if `root` cannot be one."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not (place := existing_place(self.root)).is_dir():
            raise StoreError(f"{place} is not a folder, so it keeps no engines.", remedy=NAME_A_STORE)

    def list(self) -> Sequence[Engine]:
        """All engines with a readable manifest, by stage, newest first."""
        engines = [engine for folder in self._folders() if (engine := _read(folder))]
        engines.sort(key=lambda engine: engine.manifest.created or datetime.min.replace(tzinfo=UTC), reverse=True)
        return sorted(engines, key=lambda engine: STAGES.index(engine.manifest.stage))

    def get(self, manifest: Manifest) -> Engine | None:
        """The engine of this manifest, if it is built."""
        return _read(self.root / key(manifest))

    def find(
        self,
        bundle: Bundle,
        *,
        stage: Stage,
        profile: Profile = "cpu",
        precision: Precision,
        host: Host | None = None,
    ) -> Engine:
        """The newest engine whose manifest fits `host` (default: this machine). Files are not hashed.

        Raises `EngineMissing` or `EngineMismatch`, with the command that makes the engine.
        """
        host = host or this_host()
        command = self.build_command(bundle, stage=stage, profile=profile, precision=precision, host=host)
        remedy = how_to_build(command)
        of_stage = [e for e in self.list() if _is_of(e.manifest, stage, profile)]
        if not of_stage:
            if not self.root.is_absolute():  # perhaps another folder is meant
                remedy += " If your engines are in another folder, name it: --engines FOLDER, or $BARK_ENGINES."
            place, what = self.root.absolute(), f"{stage} engine for the {profile} profile"
            raise EngineMissing(
                f"{place} has no {what}." if place.is_dir() else f"There is no folder {place}, so there is no {what}.",
                remedy=remedy,
            )
        of_bundle = [e for e in of_stage if e.manifest.bundle == bundle.hash]
        if not of_bundle:
            others = ", ".join(sorted({f"{e.manifest.bundle_name} ({e.manifest.bundle[:12]})" for e in of_stage}))
            raise EngineMismatch(
                f"The {stage} engines of {self.root.absolute()} were made from {others}, "
                f"not from {bundle.spec.name} ({bundle.hash[:12]}).",
                remedy=remedy,
            )
        of_precision = [e for e in of_bundle if e.manifest.precision == precision]
        if not of_precision:
            others = ", ".join(sorted({e.manifest.precision for e in of_bundle}))
            raise EngineMismatch(
                f"{self.root.absolute()} has the {stage} engine in {others}, not in {precision}.", remedy=remedy
            )
        reasons = [
            incompatibility(
                architecture=e.manifest.architecture, versions=e.manifest.versions, host=host, rtx=profile == "rtx"
            )
            for e in of_precision
        ]
        fitting = [engine for engine, reason in zip(of_precision, reasons, strict=True) if reason is None]
        if not fitting:
            raise EngineMismatch(f"The {stage} engine {of_precision[0].folder} {reasons[0]}.", remedy=remedy)
        architectures = sorted({engine.manifest.architecture for engine in fitting})
        if not host.architectures and len(architectures) > 1:
            raise EngineMismatch(
                f"{self.root.absolute()} has the {stage} engine for {' and for '.join(architectures)}, "
                "and there is no GPU here to choose by.",
                remedy="Name the GPU that will serve, as in --gpu-architecture sm90.",
            )
        return fitting[0]

    def publish(self, manifest: Manifest, build: Callable[[Path], Mapping[str, object] | None]) -> Engine:
        """The engine of this manifest, built by ``build(folder)`` unless it is there.

        `build` writes the engine's files into an empty folder and validates them. It may return fields of the manifest
        that are known only after the build (`memory`). When it raises, nothing stays.
        Builders of the same engine in several processes wait for each other.
        """
        final = self.root / key(manifest)
        with exclusive(self._lock(final.name)):
            if engine := _read(final):
                return engine
            if final.exists():  # its manifest cannot be read, so nobody can use it
                shutil.rmtree(final)
            with atomic_folder(final) as folder:
                started = time.monotonic()
                measured = build(folder) or {}
                complete = manifest.model_copy(
                    update={
                        **measured,
                        "files": {path.name: sha256(path) for path in sorted(folder.iterdir())},
                        "sizes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
                        "created": datetime.now(UTC),
                        "seconds": round(time.monotonic() - started, 1),
                    }
                )
                write_quick_sums(folder, complete.files)
                (folder / MANIFEST_FILE).write_text(complete.model_dump_json(indent=2) + "\n")
        return Engine(final, complete)

    def verify(self) -> Sequence[EngineError]:
        """Hash every engine's files. Returns one error per broken engine."""
        errors = []
        for folder in self._folders():
            try:
                read_engine(folder).verify()
            except EngineBroken as error:
                errors.append(error)
        return errors

    def prune(
        self,
        *,
        keep: Iterable[str] | None = None,
        in_use: Collection[Path] = (),
        on_kept: Callable[[Path], None] = lambda folder: None,
        dry_run: bool = False,
    ) -> Sequence[Path]:
        """Remove what no server would load, and return the removed folders.

        These are the leftovers of killed builders, broken engines, and engines superseded by a newer one (of the same
        bundle, stage, profile and precision) that loads on the same hosts. With `keep` (hashes of bundles), the
        engines of all other bundles are removed too. Folders `in_use`, without links in their paths, stay, and
        `on_kept` is told each. With `dry_run`, nothing is removed.
        """
        kept = None if keep is None else set(keep)
        to_remove = leftovers(self.root)
        broken = {folder for folder in self._folders() if not _is_whole(folder)}
        seen: set[tuple[str, ...]] = set()
        for engine in self.list():  # newest first
            m = engine.manifest
            identity = (
                *(m.bundle, m.stage, m.profile, m.precision, m.architecture, json.dumps(m.shapes)),
                *loader_versions(m.versions),
            )
            if engine.folder in broken:
                continue
            if identity in seen or (kept is not None and m.bundle not in kept):
                to_remove.append(engine.folder)
            seen.add(identity)
        to_remove += sorted(broken)
        for path in [path for path in to_remove if path.resolve() in in_use]:
            to_remove.remove(path)
            on_kept(path)
        if not dry_run:
            for path in to_remove:
                remove(path)
        return to_remove

    def _folders(self) -> Sequence[Path]:
        if not self.root.is_dir():
            return []
        return sorted(path for path in self.root.iterdir() if path.is_dir() and _KEY.fullmatch(path.name))

    def build_command(self, bundle: Bundle, *, stage: Stage, profile: Profile, precision: Precision, host: Host) -> str:
        """The command that builds the engine."""
        row = TABLE[profile]
        gpu = f" --gpu {','.join(host.architectures)}" if row.gpu == "always" and host.architectures else ""
        of_stage = f"--bundle {quote(str(bundle.folder))} --stage {stage} --precision {precision}"
        return f"{row.build}{gpu} {of_stage} {engines_option(self.root)}"

    def _lock(self, name: str) -> Path:
        return self.root / _LOCKS / name


def engines_option(root: Path) -> str:
    """The option that names a store in the command of a message."""
    return f"--engines {quote(str(root))}"


def _how_to_repair(folder: Path) -> str:
    """What replaces a broken engine, by its folder."""
    return f"Run `bark-build prune {engines_option(folder.parent)}`, then build the engine again."


def read_engine(folder: Path) -> Engine:
    """The engine in a folder. Raises `EngineBroken`."""
    engine = _read(folder)
    if engine is None:
        raise EngineBroken(f"{folder / MANIFEST_FILE} cannot be read.", remedy=_how_to_repair(folder))
    return engine


def _read(folder: Path) -> Engine | None:
    """The engine in a folder; None when its manifest cannot be read (another format, or not an engine)."""
    try:
        return Engine(folder, Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes()))
    except (OSError, ValidationError):
        return None


def _is_of(manifest: Manifest, stage: Stage, profile: Profile) -> bool:
    """Whether it is for a stage of the profile. Older versions gave TensorRT-LLM's engines the profile tensorrt."""
    by_llm = TABLE[profile].stages[stage].backend == "tensorrtllm"
    return (manifest.stage, manifest.profile, "tensorrt_llm" in manifest.versions) == (stage, profile, by_llm)


def _is_whole(folder: Path) -> bool:
    engine = _read(folder)
    try:
        if engine:
            engine.verify()
    except EngineBroken:
        return False
    return engine is not None
