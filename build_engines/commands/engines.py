"""``bark-build onnx``, ``list``, ``verify`` and ``prune``: the commands around the engine store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import Engine, EngineError, EngineStore
from bark_serving.profiles import STAGES, Precision, Stage, stage_precision
from build_engines.commands.console import console, errors_shown, progress
from build_engines.errors import BuildError

Engines = Annotated[Path, typer.Option("--engines", envvar="BARK_ENGINES", help="The engine store.", show_default=True)]
BundleOption = Annotated[
    Path, typer.Option("--bundle", help="The bundle to build from; miniature: the one that comes with this.")
]
_STORE = Path("build/engines")


def _known_stages(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in STAGES:
            raise typer.BadParameter(f"{name!r} is not a stage; the stages are {', '.join(STAGES)}.")
    return names


def onnx(
    bundle: BundleOption = MINIATURE,
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", callback=_known_stages, help="Only this one; may be repeated. Default: all."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Of semantic, coarse and fine; the others are always fp32.")
    ] = "int8",
    engines: Engines = _STORE,
) -> None:
    """Export a bundle's networks to ONNX engines for the **cpu** profile.

    Each graph is run beside its network before it is kept. An engine that is there already is not built again.

    Example: `bark-build onnx --bundle build/bundles/bark-small --stage semantic --stage coarse`
    """
    with _errors_shown():
        opened = Bundle(bundle)
        every = [name for name in STAGES if name != "hubert" or opened.spec.hubert is not None]
        wanted = [name for name in every if name in stage] if stage else every
        with progress() as bar:
            for name in wanted:
                engine = _make(opened, stage=name, precision=precision, store=EngineStore(engines), bar=bar)
                bar.console.print(f"{name} {engine.manifest.precision}: {engine.folder}", soft_wrap=True)


def list_engines(engines: Engines = _STORE) -> None:
    """List the engines of the store, newest first within a stage.

    Example: `bark-build list`
    """
    found = EngineStore(engines).list()
    if not found:
        console.print(f"{engines} has no engines. Make some with `bark-build onnx`.", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "profile", "precision", "GPU", "bundle", "MB", "built", "key"):
        table.add_column(column, no_wrap=column != "bundle", justify="right" if column == "MB" else "left")
    for engine in found:
        table.add_row(*_row(engine))
    Console().print(table)  # on stdout: it is the answer, not a message


def verify(engines: Engines = _STORE) -> None:
    """Hash every file of every engine and compare with its manifest. Status 1 when one differs.

    Example: `bark-build verify`
    """
    store = EngineStore(engines)
    found = len(store.list())
    with console.status(f"hashing {found} engines"):
        errors = store.verify()
    for error in errors:
        console.print(f"[red]broken:[/red] {error}", soft_wrap=True)
    if errors:
        raise typer.Exit(1)
    console.print(f"{found} engines are whole")


def prune(
    engines: Engines = _STORE,
    keep: Annotated[
        list[Path] | None, typer.Option("--keep", help="A bundle whose engines stay; all other bundles' engines go.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove engines that no server would load: broken, replaced by a newer one, or of bundles not kept.

    Example: `bark-build prune --keep build/bundles/bark-small --dry-run`
    """
    with _errors_shown():
        hashes = None if keep is None else [Bundle(folder).hash for folder in keep]
        with console.status("hashing engines"):
            gone = EngineStore(engines).prune(keep=hashes, dry_run=dry_run)
    for folder in gone:
        console.print(f"{'would remove' if dry_run else 'removed'} {folder}", soft_wrap=True)
    console.print(f"{len(gone)} {'to remove' if dry_run else 'removed'}")


@contextmanager
def _errors_shown() -> Iterator[None]:
    """`errors_shown`, for the errors of the engine store too."""
    with errors_shown():
        try:
            yield
        except EngineError as error:
            raise BuildError(error.problem, remedy=error.remedy) from error


def _make(bundle: Bundle, *, stage: Stage, precision: Precision, store: EngineStore, bar: Progress) -> Engine:
    from build_engines.export import make  # torch is slow to import
    from build_engines.export.build import STEPS

    task = bar.add_task(stage, total=len(STEPS))
    outcome = "was there"

    def on_step(step: str) -> None:
        nonlocal outcome
        outcome = "built"
        bar.update(task, description=f"{stage}: {step}", completed=STEPS.index(step))

    precision = stage_precision(stage, precision)
    engine = make(bundle, stage=stage, precision=precision, store=store, on_step=on_step)
    bar.update(task, description=f"{stage}: {outcome}", completed=len(STEPS))
    return engine


def _row(engine: Engine) -> tuple[str, ...]:
    manifest = engine.manifest
    return (
        manifest.stage,
        manifest.profile,
        manifest.precision,
        manifest.architecture,
        f"{manifest.bundle_name} {manifest.bundle[:8]}",
        f"{engine.size / 1e6:.1f}",
        f"{manifest.created:%Y-%m-%d}" if manifest.created else "",
        engine.folder.name[:8],
    )
