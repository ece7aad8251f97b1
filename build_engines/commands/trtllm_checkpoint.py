"""``bark-build trtllm-checkpoint``: what TensorRT-LLM engines are built from, for a machine without this package."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.cli.console import console, errors_shown
from bark_serving.spec import GptStage
from build_engines.commands.options import BundleOption
from build_engines.commands.requirements import TORCH, require
from build_engines.trtllm.versions import DEFAULT, Release

STAGES: tuple[GptStage, ...] = get_args(GptStage)


def trtllm_checkpoint(
    out: Annotated[Path, typer.Argument(help="The folder to write to.")] = Path("build/trtllm"),
    bundle: BundleOption = MINIATURE,
    stage: Annotated[GptStage | None, typer.Option("--stage", help="Only this stage. Default: both.")] = None,
    precision: Annotated[
        Literal["fp16", "bf16", "int8"],
        typer.Option("--precision", help="int8: int8 weights, float16 arithmetic."),
    ] = "fp16",
    max_batch: Annotated[int, typer.Option(min=1, help="Sequences that the engine has room for.")] = 32,
    min_eos_p: Annotated[
        float | None,
        typer.Option(help="Speech ends where the end token has this probability. Default: the bundle's."),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Temperature at which that probability is computed. Default: the bundle's."),
    ] = None,
    release: Annotated[
        Release, typer.Option(help="The release of TensorRT-LLM that will build the engines.")
    ] = DEFAULT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the commands.")] = False,
) -> None:
    """Write the checkpoints of TensorRT-LLM engines, and print the `trtllm-build` commands that build them.

    Carry the folder to a machine that has TensorRT-LLM and the GPU, and run the commands there. Where this package is
    installed on that machine, `bark-build engines --profile trtllm` does both. Takes about as long as copying the
    weights. **Not yet run on hardware**: the checkpoints are tested on a stand-in for TensorRT-LLM.

    Example: `bark-build trtllm-checkpoint build/trtllm --bundle build/bundles/bark-large --precision bf16`
    """
    with errors_shown():
        require(*TORCH)
        from build_engines.trtllm import checkpoint  # torch is slow to import
        from build_engines.trtllm.build import dtype_of
        from build_engines.trtllm.command import MODEL_FILE, build_command, limits_of

        source, dtype = Bundle(bundle), dtype_of(precision)
        constants = checkpoint.engine_constants(source, temperature=temperature, min_eos_p=min_eos_p)
        model_file = out / MODEL_FILE.name
        if not dry_run:
            out.mkdir(parents=True, exist_ok=True)
            shutil.copy(MODEL_FILE, model_file)
        for name in (stage,) if stage else STAGES:
            if not dry_run:
                with console.status(f"writing {out / name}"):
                    checkpoint.write(
                        source,
                        out / name,
                        stage=name,
                        dtype=dtype,
                        int8=precision == "int8",
                        constants=constants,
                        release=release,
                    )
            command = build_command(
                limits_of(source, stage=name, batch=max_batch),
                checkpoint=out / name,
                output=out / f"{name}-engine",
                dtype=dtype,
                release=release,
                model_file=model_file,
            )
            typer.echo(shlex.join(command))
