"""``bark-build engines``, ``list``, ``verify`` and ``prune``: the commands around the engine store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.cli.console import Lines, console, errors_shown, print_error
from bark_serving.engines.store import Engine, EngineStore
from bark_serving.profiles import STAGES, TABLE, Precision, Profile
from build_engines.commands.requirements import EXPORT, require

EnginesOption = Annotated[
    Path, typer.Option("--engines", envvar="BARK_ENGINES", help="The engine store.", show_default=True)
]
BundleOption = Annotated[
    Path, typer.Option("--bundle", help="The bundle to build from. miniature: the one that comes with this package.")
]
_STORE = Path("build/engines")
_TENSORRT = "Options of the tensorrt profile"
_PRECISIONS = " ".join(f"{name}: {', '.join(row.precisions)}." for name, row in TABLE.items() if row.build)


def _check_stages(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in STAGES:
            raise typer.BadParameter(f"{name!r} is not a stage. The stages are {', '.join(STAGES)}.")
    return names


def engines(
    bundle: BundleOption = MINIATURE,
    profile: Annotated[Profile, typer.Option("--profile", help="Build what this profile runs.")] = "cpu",
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", callback=_check_stages, help="Only this stage. Can be repeated. Default: all stages."),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            "--precision", help=f"Of semantic, coarse and fine, the default of each profile first. {_PRECISIONS}"
        ),
    ] = None,
    store: EnginesOption = _STORE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be built.")] = False,
    gpu: Annotated[
        str,
        typer.Option(
            "--gpu",
            rich_help_panel=_TENSORRT,
            help="Architectures to build for, as in sm80,sm90. auto: those of the GPUs in this machine. "
            "sm80+sm86: one engine for both.",
        ),
    ] = "auto",
    library: Annotated[
        Literal["tensorrt", "tensorrt_rtx"] | None,
        typer.Option(
            rich_help_panel=_TENSORRT,
            help="TensorRT builds for the GPU it runs on, and Triton loads its plans. TensorRT for RTX builds without "
            "a GPU, which proves that the networks build. Default: the first that is installed.",
        ),
    ] = None,
    max_batch: Annotated[
        int,
        typer.Option(min=1, rich_help_panel=_TENSORRT, help="Sequences that a TensorRT-LLM engine has room for."),
    ] = 32,
    min_eos_p: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=_TENSORRT,
            help="Speech ends where the end token has this probability. Built into the semantic engine. "
            "Default: the bundle's.",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=_TENSORRT,
            help="Temperature at which that probability is computed. Built in as well. Default: the bundle's.",
        ),
    ] = None,
) -> None:
    """Build the engines that a profile needs. An engine that the store has already is not built again.

    First prints what exists, what will be built, and the time and disk space that it takes. Each engine is compared
    with its network before it is kept in `build/engines` (`--engines`). After a crash or Ctrl-C the same command goes
    on where it stopped. Two of these commands at the same time share the work.

    **cpu** (the default): graphs for ONNX Runtime, on any machine. On two cores about half a minute for the miniature,
    two minutes for Bark small, five minutes for Bark large.

    `bark-build engines --bundle build/bundles/bark-small --precision int4`

    **tensorrt**: TensorRT-LLM engines of semantic and coarse, TensorRT plans of the other stages. Run it on the GPU
    and in the container that will serve. Minutes per engine, as an estimate: **not yet run on hardware**.

    `bark-build engines --profile tensorrt --gpu sm80,sm90 --bundle build/bundles/bark-large`

    **torch**: runs the bundle itself and needs no engines.
    """
    with errors_shown():
        require(*EXPORT)
        from build_engines.commands.progress import build_all, print_jobs  # torch is slow to import
        from build_engines.engine_jobs import BuilderOptions, engine_jobs
        from build_engines.tensorrt import library as tensorrt
        from build_engines.tensorrt.architectures import parse

        row = TABLE[profile]
        if precision and row.build and precision not in row.precisions:
            raise typer.BadParameter(
                f"The {profile} profile has {', '.join(row.precisions)}, not {precision}.", param_hint="--precision"
            )
        jobs = engine_jobs(
            Bundle(bundle),
            profile=profile,
            precision=precision,
            architectures=parse(gpu) if row.gpu == "always" else (),
            store=EngineStore(store),
            stages=[name for name in STAGES if not stage or name in stage],
            options=BuilderOptions(
                library=tensorrt.load_library(library) if library else None,
                batch=max_batch,
                temperature=temperature,
                min_eos_p=min_eos_p,
            ),
        )
        print_jobs(jobs, root=store)
        if not dry_run:
            build_all(jobs, root=store)


def list_engines(store: EnginesOption = _STORE) -> None:
    """List the engines of the store by stage, the newest first.

    Example: `bark-build list`
    """
    found = EngineStore(store).list()
    if not found:
        console.print(f"{store} has no engines. Build some with `bark-build engines`.", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "profile", "precision", "GPU", "bundle", "MB", "built", "key"):
        table.add_column(column, no_wrap=column != "bundle", justify="right" if column == "MB" else "left")
    for engine in found:
        table.add_row(*_row(engine))
    Lines().print(table)  # on stdout: it is the answer, not a message


def verify(store: EnginesOption = _STORE) -> None:
    """Hash every file of every engine and compare the hash with the manifest. Status 1 if one differs.

    Example: `bark-build verify`
    """
    with errors_shown():
        engine_store = EngineStore(store)
        count = len(engine_store.list())
        with console.status(f"hashing {count} engines"):
            errors = engine_store.verify()
    for error in errors:
        print_error(error.problem, error.remedy)
    if errors:
        raise typer.Exit(1)
    console.print(f"{count} engines are whole")


def prune(
    store: EnginesOption = _STORE,
    keep: Annotated[
        list[Path] | None,
        typer.Option("--keep", help="A bundle whose engines stay. The engines of all other bundles are removed."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
) -> None:
    """Remove engines that no server would load: broken, replaced by a newer one, or of bundles not kept.

    Example: `bark-build prune --keep build/bundles/bark-small --dry-run`
    """
    with errors_shown():
        hashes = None if keep is None else [Bundle(folder).hash for folder in keep]
        with console.status("hashing engines"):
            removed = EngineStore(store).prune(keep=hashes, dry_run=dry_run)
    for folder in removed:
        console.print(f"{'would remove' if dry_run else 'removed'} {folder}", soft_wrap=True)
    console.print(f"{len(removed)} {'to remove' if dry_run else 'removed'}")


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
