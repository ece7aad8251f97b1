"""``bark-build engines``, ``list``, ``verify`` and ``prune``: the commands around the engine store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.cli.console import Lines, console, errors_shown, print_error
from bark_serving.cli.options import GptOption, profile_of, refuse_unused
from bark_serving.engines.builders import EXPORTERS
from bark_serving.engines.store import DEFAULT_ROOT, NAME_A_STORE, Engine, EngineStore, engines_option
from bark_serving.profiles import STAGES, TABLE
from bark_serving.server.in_use import engines_in_use
from bark_serving.server.settings import state_folder
from build_engines.commands import options
from build_engines.commands.checks import USES, architectures_of
from build_engines.commands.requirements import require
from build_engines.errors import BuildError


def engines(
    bundle: options.BundleOption = MINIATURE,
    profile: options.ProfileOption = "cpu",
    gpt: GptOption = None,
    stage: options.Stages = None,
    precision: options.PrecisionOption = None,
    store: options.EnginesOption = DEFAULT_ROOT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be built; status 1 if not all can be.")
    ] = False,
    gpu: options.Architectures = "auto",
    max_batch: options.MaxBatch = None,
    min_eos_p: options.MinEosP = None,
    temperature: options.Temperature = None,
) -> None:
    """Build the engines that a profile needs. An engine that the store has already is not built again.

    First prints what exists, what will be built, and the time and disk space that it takes. Each engine is compared
    with its network before it is kept in `build/engines` (`--engines`). After a crash or Ctrl-C the same command goes
    on where it stopped. Two of these commands at the same time share the work.

    **cpu** (the default): graphs for ONNX Runtime, on any machine. The three transformers in int8 or int4 also get
    weights for the project's own kernels, which run them where they are installed. On two cores about half a minute
    for the miniature, two minutes for Bark small, five minutes for Bark large.

    `bark-build engines --bundle build/bundles/bark-small --precision int4`

    **rtx**: plans of TensorRT for RTX, on any x86-64 Linux machine, with or without a GPU. One plan may be for several
    architectures. Seconds per engine on two cores. Serving them is **not yet run on hardware**.

    `bark-build engines --profile rtx --gpu sm86+sm89+sm120 --bundle build/bundles/bark-large`

    **tensorrt**: plans of TensorRT, on the GPU that will serve. Minutes per engine, as an estimate: **not yet run on
    hardware**.

    `bark-build engines --profile tensorrt --bundle build/bundles/bark-large`

    **trtllm** (also `--profile tensorrt --gpt trtllm`): TensorRT-LLM engines of semantic and coarse, TensorRT plans of
    the other stages. Run it on the GPU and in the container that will serve. **Not yet run on hardware.**

    `bark-build engines --profile trtllm --bundle build/bundles/bark-large`

    **torch**: runs the bundle itself and needs no engines.
    """
    with errors_shown():
        require(*EXPORTERS)
        from build_engines.commands.progress import build_all, check_all, print_jobs  # torch is slow to import
        from build_engines.engine_jobs import BATCH, BuilderOptions, engine_jobs

        profile = profile_of(profile, gpt)
        row = TABLE[profile]
        if precision and row.build and precision not in row.precisions:
            raise typer.BadParameter(
                f"The {profile} profile has {', '.join(row.precisions)}, not {precision}.", param_hint="--precision"
            )
        refuse_unused(
            profile,
            {
                "--gpu": gpu != "auto",
                "--max-batch": max_batch is not None,
                "--min-eos-p": min_eos_p is not None,
                "--temperature": temperature is not None,
            },
            uses=USES,
        )
        jobs = engine_jobs(
            Bundle(bundle),
            profile=profile,
            precision=precision,
            architectures=architectures_of(gpu) if row.gpu == "always" else (),
            store=EngineStore(store),
            stages=[name for name in STAGES if not stage or name in stage],
            options=BuilderOptions(batch=max_batch or BATCH, temperature=temperature, min_eos_p=min_eos_p),
        )
        print_jobs(jobs, root=store)
        if dry_run:
            check_all(jobs, root=store)
        else:
            build_all(jobs, root=store)


def list_engines(store: options.EnginesOption = DEFAULT_ROOT) -> None:
    """List the engines of the store by stage, the newest first.

    Example: `bark-build list`
    """
    with errors_shown():
        found = EngineStore(store).list()
    if not found:
        build = f"bark-build engines {engines_option(store)}"
        console.print(escape(f"{store} has no engines. Build some with `{build}`."), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "profile", "precision", "GPU", "bundle", "MB", "built", "key"):
        table.add_column(column, no_wrap=column != "bundle", justify="right" if column == "MB" else "left")
    for engine in found:
        table.add_row(*_row(engine))
    Lines().print(table)  # on stdout: it is the answer, not a message


def verify(store: options.EnginesOption = DEFAULT_ROOT) -> None:
    """Hash every file of every engine and compare the hash with the manifest.

    The status is 1 if one differs, or if there is no such store.

    Example: `bark-build verify`
    """
    with errors_shown():
        engine_store = _existing(store)
        count = len(engine_store.list())
        with console.status(f"hashing {count} engines"):
            errors = engine_store.verify()
    for error in errors:
        print_error(error.problem, error.remedy)
    if errors:
        raise typer.Exit(1)
    console.print(f"{count} engines are whole" if count else f"no engines in {engine_store.root}")


def prune(
    store: options.EnginesOption = DEFAULT_ROOT,
    keep: Annotated[
        list[Path] | None,
        typer.Option("--keep", help="A bundle whose engines stay. The engines of all other bundles are removed."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
) -> None:
    """Remove engines that no server would load: broken, replaced by a newer one, or of bundles not kept.

    The engines of your servers that run on this machine stay in any case. The status is 1 if there is no such store.

    Example: `bark-build prune --keep build/bundles/bark-small --dry-run`
    """
    with errors_shown():
        hashes = None if keep is None else [Bundle(folder).hash for folder in keep]
        in_use, kept = engines_in_use(state_folder()), list[Path]()
        with console.status("hashing engines"):
            removed = _existing(store).prune(keep=hashes, in_use=in_use, on_kept=kept.append, dry_run=dry_run)
    for folder in kept:
        console.print(f"kept {folder}: the server {in_use[folder.resolve()]!r} uses it", soft_wrap=True)
    for folder in removed:
        console.print(f"{'would remove' if dry_run else 'removed'} {folder}", soft_wrap=True)
    console.print(f"{len(removed)} {'to remove' if dry_run else 'removed'}")


def _existing(root: Path) -> EngineStore:
    """The store at `root`. Raises `BuildError` if there is no such folder."""
    store = EngineStore(root)
    if not root.exists():
        raise BuildError(f"There is no folder {root.absolute()}.", remedy=NAME_A_STORE)
    return store


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
