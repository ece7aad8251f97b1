"""One GPT stage of a bundle to one TensorRT-LLM engine of a store: checkpoint, ``trtllm-build``, publish."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from bark_serving.bundle import Bundle
from bark_serving.engines.manifest import Manifest, TensorInfo
from bark_serving.engines.store import Engine, EngineStore
from bark_serving.host import gpus
from bark_serving.profiles import TABLE as PROFILES
from bark_serving.profiles import Precision
from bark_serving.spec import GptStage
from build_engines.builder import builder_version
from build_engines.errors import BuildError
from build_engines.steps import OnStep, ignore_steps, report_steps
from build_engines.trtllm import checkpoint
from build_engines.trtllm.checkpoint import Constants, Dtype, engine_constants
from build_engines.trtllm.command import PROGRAM, build_command, limits_of
from build_engines.trtllm.versions import DEFAULT, RELEASES, TABLE, Release

STEPS = ("checkpoint", "compile", "publish")
BATCH = 32  #: default number of sequences that an engine has room for

_DTYPES: dict[Precision, Dtype] = {"fp16": "float16", "bf16": "bfloat16", "int8": "float16"}
_ENGINE_FILES = ("config.json", "rank0.engine")
_LOGS = ".logs"


def dtype_of(precision: Precision) -> Dtype:
    """The type that an engine computes in. Raises `BuildError` for a precision that engines do not have."""
    if precision not in _DTYPES:
        raise BuildError(
            f"A TensorRT-LLM engine cannot be built in {precision}.",
            remedy=f"Give --precision {' or '.join(PROFILES['trtllm'].stages['semantic'].precisions)}.",
        )
    return _DTYPES[precision]


def installed_release() -> Release:
    """The installed release of TensorRT-LLM. Raises `BuildError` if there is none, or one that is not in the table."""
    row = TABLE[DEFAULT]
    try:
        version = metadata.version("tensorrt_llm")
    except metadata.PackageNotFoundError:
        version = None
    if version is None or shutil.which(PROGRAM) is None:
        raise BuildError(
            "TensorRT-LLM is not installed here.",
            remedy=f"Run this command in the container that will serve, {row.container} (TensorRT-LLM {DEFAULT}). "
            "`bark-build trtllm-checkpoint` with the same --bundle writes what it is built from, on any machine.",
        )
    if version not in RELEASES:
        raise BuildError(
            f"TensorRT-LLM {version} is installed here; engines can be built with {' and '.join(RELEASES)}.",
            remedy=f"Use {row.container}.",
        )
    return version


def architecture_here(release: Release) -> str:
    """The architecture that ``trtllm-build`` builds for here. Raises `BuildError` if no GPU here is supported."""
    here, known = gpus.architectures((0,)), TABLE[release].architectures  # trtllm-build takes the first GPU
    if not here:
        raise BuildError(
            "An engine is built on the GPU that will run it; this machine shows none.",
            remedy="Run on a machine with the GPU, or start the container with --gpus all.",
        )
    if here[0] not in known:
        raise BuildError(
            f"TensorRT-LLM {release} has no engines for {here[0]}.",
            remedy=f"It has them for {', '.join(known)}. Serve with --profile torch on this GPU.",
        )
    return here[0]


def release_for(architecture: str) -> Release:
    """The installed release, if it builds for this architecture here. Raises `BuildError` if it does not."""
    release = installed_release()
    here = architecture_here(release)
    if here != architecture:
        raise BuildError(
            f"TensorRT-LLM builds for the GPU it runs on, here {here}, not for {architecture}.",
            remedy=f"Run this command on a machine that has {architecture}.",
        )
    return release


def manifest(
    bundle: Bundle,
    *,
    stage: GptStage,
    precision: Precision,
    release: Release,
    architecture: str,
    batch: int = BATCH,
    constants: Constants | None = None,
) -> Manifest:
    """What an engine built with these would be. Raises `BuildError` for a precision that the stage does not have."""
    dtype_of(precision)
    limits = limits_of(bundle, stage=stage, batch=batch)
    ids, one = TensorInfo(dtype="int32", axes=("batch", "sequence")), TensorInfo(dtype="int32", axes=("batch", 1))
    inputs = {"input_ids": ids, "input_lengths": one, "request_output_len": one}
    if limits.prompt_table:
        width = bundle.spec.semantic.gpt.width
        inputs["prompt_embedding_table"] = TensorInfo(dtype=dtype_of(precision), axes=("batch", "prompt", width))
    return Manifest(
        stage=stage,
        profile="trtllm",
        precision=precision,
        bundle=bundle.hash,
        bundle_name=bundle.spec.name,
        shapes={
            "batch": (1, batch, batch),
            "prompt": (1, limits.input_length, limits.input_length),
            "sequence": (1, limits.sequence_length, limits.sequence_length),
        },
        constants=asdict(constants or engine_constants(bundle)) if stage == "semantic" else {},
        architecture=architecture,
        versions={"tensorrt_llm": release, "tensorrt": TABLE[release].tensorrt},
        builder=builder_version(Path(__file__).parent),
        inputs=inputs,
        outputs={"output_ids": ids, "sequence_length": one},
    )


def make(
    bundle: Bundle,
    *,
    stage: GptStage,
    precision: Precision,
    release: Release,
    architecture: str,
    batch: int = BATCH,
    constants: Constants | None = None,
    store: EngineStore,
    on_step: OnStep = ignore_steps,
) -> Engine:
    """The engine of one stage, from the store or built now. ``on_step`` is told each of `STEPS` as it begins.

    `release` and `architecture` are those of this machine: see `release_for`. Raises `BuildError` when
    ``trtllm-build`` fails.
    """
    planned = manifest(
        bundle,
        stage=stage,
        precision=precision,
        release=release,
        architecture=architecture,
        batch=batch,
        constants=constants,
    )
    report = report_steps(on_step, STEPS)

    def build(folder: Path) -> None:
        dtype = dtype_of(precision)
        with tempfile.TemporaryDirectory(prefix="checkpoint-", dir=folder) as name:  # goes with it if this is killed
            report("checkpoint")
            checkpoint.write(
                bundle,
                Path(name),
                stage=stage,
                dtype=dtype,
                int8=precision == "int8",
                constants=constants,
                release=release,
            )
            report("compile")
            command = build_command(
                limits_of(bundle, stage=stage, batch=batch),
                checkpoint=Path(name),
                output=folder,
                dtype=dtype,
                release=release,
            )
            _run(command, folder=folder, log=store.root / _LOGS / f"{stage}-{PROGRAM}.log")
        report("publish")

    return store.publish(planned, build)


def _run(command: Sequence[str], *, folder: Path, log: Path) -> None:
    """Run ``trtllm-build`` and check that it left an engine."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        output.write(f"{shlex.join(command)}\n\n")
        output.flush()
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    missing = [name for name in _ENGINE_FILES if not (folder / name).is_file()]
    if status or missing:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        reason = f"status {status}" if status else f"no {missing[0]}"
        raise BuildError(f"{PROGRAM} failed ({reason}): {lines[-1]}", remedy=f"Its whole output is in {log}.")
