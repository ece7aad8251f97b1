"""``bark-build tensorrt``: the plans of the stages that TensorRT runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import TABLE
from build_engines.commands.all import DryRun, Gpu
from build_engines.commands.console import console, errors_shown
from build_engines.commands.engines import BundleOption, Engines
from build_engines.commands.progress import carry_out, show


def _plan_stages(names: list[str] | None) -> list[str] | None:
    stages = [stage for stage, row in TABLE["tensorrt"].stages.items() if row.backend == "tensorrt"]
    for name in names or ():
        if name not in stages:
            raise typer.BadParameter(f"{name!r} is not a stage that TensorRT runs; they are {', '.join(stages)}.")
    return names


def tensorrt(
    bundle: BundleOption = MINIATURE,
    gpu: Gpu = "auto",
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", callback=_plan_stages, help="Only this one; may be repeated. Default: all."),
    ] = None,
    precision: Annotated[
        Literal["fp16", "fp32"], typer.Option("--precision", help="The codec's encoder is always fp32.")
    ] = "fp16",
    library: Annotated[
        Literal["tensorrt", "tensorrt_rtx"] | None,
        typer.Option(
            help="TensorRT builds for the GPU it runs on, and Triton loads its plans. TensorRT for RTX builds without "
            "a GPU, which proves that the networks build. Default: the first that is installed."
        ),
    ] = None,
    engines: Engines = Path("build/engines"),
    dry_run: DryRun = False,
) -> None:
    """Build TensorRT plans of the fine stage, the codec and HuBERT, for the **tensorrt** profile.

    Each graph is run beside its network before it is compiled. A plan that is there already is not built again.

    Example: `bark-build tensorrt --bundle build/bundles/bark-large --gpu sm90`
    """
    from build_engines.plan import plan  # torch is slow to import
    from build_engines.tensorrt import PLAN_STAGES, architectures
    from build_engines.tensorrt import library as alias

    with errors_shown():
        chosen = alias.library(library)
        jobs = plan(
            Bundle(bundle),
            profile="tensorrt",
            precision=precision,
            architectures=architectures.parse(gpu),
            store=EngineStore(engines),
            stages=[name for name in PLAN_STAGES if not stage or name in stage],
            library=chosen,
        )
        show(jobs, root=engines)
        if dry_run:
            return
        carry_out(jobs, root=engines)
    if chosen.flavour == "tensorrt_rtx":
        console.print(
            f"[yellow]Made by {chosen.title}:[/yellow] Triton loads the plans of TensorRT itself only.", soft_wrap=True
        )
