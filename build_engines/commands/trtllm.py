"""``bark-build trtllm``: TensorRT-LLM engines of the semantic and coarse stages."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import Progress

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.engines.store import Engine, EngineStore
from bark_serving.profiles import Precision
from bark_serving.spec import GptStage
from build_engines.commands.console import console, progress
from build_engines.commands.engines import BundleOption, Engines, _errors_shown
from build_engines.errors import BuildError
from build_engines.trtllm.versions import DEFAULT, Release

_STORE = Path("build/engines")


def trtllm(
    bundle: BundleOption = MINIATURE,
    stage: Annotated[GptStage | None, typer.Option("--stage", help="Only this one. Default: both.")] = None,
    precision: Annotated[
        Literal["fp16", "bf16", "int8"], typer.Option("--precision", help="int8: weights only, computing in float16.")
    ] = "fp16",
    max_batch: Annotated[int, typer.Option(min=1, help="Sequences in flight that the engine has room for.")] = 32,
    min_eos_p: Annotated[
        float | None,
        typer.Option(help="Speech ends where the end token is this likely. Built in. Default: the bundle's."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="At which that likelihood is taken. Built in. Default: the bundle's.")
    ] = None,
    release: Annotated[
        Release | None,
        typer.Option(help="TensorRT-LLM's, for --dry-run and --checkpoints. Default: the one installed, else 1.0.0."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the trtllm-build commands.")] = False,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Only write the checkpoints into this folder, and print the commands that build them."),
    ] = None,
    engines: Engines = _STORE,
) -> None:
    """Build TensorRT-LLM engines of the two GPTs, for the **tensorrt** profile.

    Runs `trtllm-build` on this machine's GPU; Bark's rules of what may be said next become part of the engine. Best
    run in the very container that will serve. Without TensorRT-LLM, `--dry-run` and `--checkpoints` still work.
    **Not yet run on hardware**: checked against Bark's own code on a stand-in for TensorRT-LLM.

    Example: `bark-build trtllm --bundle build/bundles/bark-large --precision bf16 --max-batch 16`
    """
    with _errors_shown():
        opened = Bundle(bundle)
        wanted: list[GptStage] = [stage] if stage else ["semantic", "coarse"]
        plan = _Plan(opened, precision=precision, batch=max_batch, min_eos_p=min_eos_p, temperature=temperature)
        if dry_run or checkpoints:
            plan.prepare(wanted, release=release, checkpoints=checkpoints, write=not dry_run)
            return
        plan.check(release)
        with progress() as bar:
            for name in wanted:
                engine = plan.make(name, store=EngineStore(engines), bar=bar)
                bar.console.print(f"{name} {engine.manifest.precision}: {engine.folder}", soft_wrap=True)


class _Plan:
    """What to build, whichever stage."""

    def __init__(
        self, bundle: Bundle, *, precision: Precision, batch: int, min_eos_p: float | None, temperature: float | None
    ) -> None:
        from build_engines.trtllm.checkpoint import Constants, constants_of  # torch is slow to import

        default = constants_of(bundle)
        self._bundle, self._precision, self._batch = bundle, precision, batch
        self._constants = Constants(
            temperature=default.temperature if temperature is None else temperature,
            min_eos_p=default.min_eos_p if min_eos_p is None else min_eos_p,
        )

    def check(self, release: Release | None) -> None:
        """Raises `BuildError` where nothing can be built, before anything is."""
        from build_engines.trtllm.build import architecture_here, installed_release

        here = installed_release()
        if release not in (None, here):
            raise BuildError(
                f"TensorRT-LLM {here} is installed here, not {release}.",
                remedy="An engine is built by the release that will run it: leave --release out, or change containers.",
            )
        architecture_here(here)

    def prepare(
        self,
        stages: list[GptStage],
        *,
        release: Release | None,
        checkpoints: Path | None,
        write: bool,
    ) -> None:
        """Print each stage's command on stdout; write its checkpoint first."""
        from build_engines.trtllm import checkpoint
        from build_engines.trtllm.build import dtype_of, installed_release
        from build_engines.trtllm.command import MODEL_FILE, build_command, limits_of

        if release is None:
            try:
                release = installed_release()
            except BuildError:
                release = DEFAULT
        folder, dtype, model_file = checkpoints or Path("build/trtllm"), dtype_of(self._precision), MODEL_FILE
        if write:
            folder.mkdir(parents=True, exist_ok=True)  # the folder may be carried to the machine that builds
            model_file = Path(shutil.copy(MODEL_FILE, folder))
        for stage in stages:
            if write:
                with console.status(f"writing {folder / stage}"):
                    checkpoint.write(
                        self._bundle,
                        folder / stage,
                        stage=stage,
                        dtype=dtype,
                        int8=self._precision == "int8",
                        constants=self._constants,
                        release=release,
                    )
            command = build_command(
                limits_of(self._bundle, stage=stage, batch=self._batch),
                checkpoint=folder / stage,
                output=folder / f"{stage}-engine",
                dtype=dtype,
                release=release,
                model_file=model_file,
            )
            typer.echo(shlex.join(command))

    def make(self, stage: GptStage, *, store: EngineStore, bar: Progress) -> Engine:
        """One engine, with a bar of its own."""
        from build_engines.trtllm.build import STEPS, make

        task = bar.add_task(stage, total=len(STEPS))
        outcome = "was there"

        def on_step(step: str) -> None:
            nonlocal outcome
            outcome = "built"
            bar.update(task, description=f"{stage}: {step}", completed=STEPS.index(step))

        engine = make(
            self._bundle,
            stage=stage,
            precision=self._precision,
            store=store,
            batch=self._batch,
            constants=self._constants,
            on_step=on_step,
        )
        bar.update(task, description=f"{stage}: {outcome}", completed=len(STEPS))
        return engine
