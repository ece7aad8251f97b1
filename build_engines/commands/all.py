"""``bark-build engines``: every engine that a profile needs, for whatever GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import STAGES, TABLE, Precision, Profile
from build_engines.commands.console import errors_shown
from build_engines.commands.engines import BundleOption, Engines, _known_stages
from build_engines.commands.progress import carry_out, show

Gpu = Annotated[
    str,
    typer.Option(
        "--gpu",
        help="Architectures to build for, as in sm80,sm90; auto: of the GPUs here. sm80+sm86: one engine for both.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")]


def engines(
    bundle: BundleOption = MINIATURE,
    profile: Annotated[Profile, typer.Option("--profile", help="Build what this profile runs.")] = "cpu",
    gpu: Gpu = "auto",
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", callback=_known_stages, help="Only this one; may be repeated. Default: all."),
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="Of the three transformers. Default: the profile's.")
    ] = None,
    store: Engines = Path("build/engines"),
    dry_run: DryRun = False,
) -> None:
    """Build every engine that a profile needs and that is not there yet.

    Shows the plan first. What is built is kept at once: after a crash or Ctrl-C the same command goes on where it
    stopped, and two of them at a time share the work.

    Example: `bark-build engines --profile tensorrt --gpu sm80,sm90 --bundle build/bundles/bark-large`
    """
    from build_engines.plan import plan  # torch is slow to import

    with errors_shown():
        jobs = plan(
            Bundle(bundle),
            profile=profile,
            precision=precision,
            architectures=_architectures(gpu) if TABLE[profile].gpu == "always" else (),
            store=EngineStore(store),
            stages=[name for name in STAGES if not stage or name in stage],
        )
        show(jobs, root=store)
        if not dry_run:
            carry_out(jobs, root=store)


def _architectures(gpu: str) -> list[str]:
    from build_engines.tensorrt.architectures import parse

    return list(parse(gpu))
