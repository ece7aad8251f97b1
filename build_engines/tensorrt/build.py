"""One stage of a bundle to one TensorRT plan in a store: export, check, compile, publish."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from bark_serving.bundle import Bundle
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import MODEL_FILE, Engine, EngineStore
from bark_serving.profiles import TABLE, Precision, Profile, Stage
from bark_serving.spec import Spec
from build_engines.builder import builder_version
from build_engines.errors import BuildError
from build_engines.export import graph
from build_engines.export.build import SOURCES
from build_engines.steps import OnStep, ignore_steps, report_steps
from build_engines.tensorrt import architectures, check, compiler, dialect, gpt, gpt_check, header
from build_engines.tensorrt.library import Library
from build_engines.tensorrt.shapes import shapes

STEPS = ("export", "check", "compile", "publish")
PLAN_FILE = "model.plan"  #: as Triton looks for it
_LIBRARIES = ("torch", "onnx", "onnxscript")
_GRAPH_FOLDER = "graph"


def manifest(
    bundle: Bundle,
    *,
    profile: Profile,
    stage: Stage,
    precision: Precision,
    architecture: str,
    library: Library,
) -> Manifest:
    """What a plan built here and now would be. `architecture`: ``sm80``, or ``sm80+sm86`` for a plan that runs on both.

    Raises `BuildError` for a stage that TensorRT does not run in the profile, or a precision that the stage does not
    have.
    """
    row = TABLE[profile].stages[stage]
    if not row.plan:
        raise BuildError(
            f"{stage} is not a stage that TensorRT runs in the profile {profile}.",
            remedy=f"TensorRT-LLM builds it: `{TABLE[profile].build}`.",
        )
    if precision not in row.precisions:
        raise BuildError(f"{stage} cannot be built in {precision}.", remedy=f"It has {' and '.join(row.precisions)}.")
    return Manifest(
        stage=stage,
        profile=profile,
        precision=precision,
        bundle=bundle.hash,
        bundle_name=bundle.spec.name,
        shapes=shapes(stage, bundle.spec),
        architecture=architecture,
        versions={library.flavour: library.version, **{name: metadata.version(name) for name in _LIBRARIES}},
        builder=builder_version(*SOURCES, Path(__file__).parent),
        inputs=dialect.inputs(bundle.spec, stage=stage, precision=precision),
        outputs=dialect.plan_outputs(bundle.spec, stage=stage, precision=precision),
    )


def make(
    bundle: Bundle,
    *,
    profile: Profile,
    stage: Stage,
    precision: Precision,
    architecture: str,
    library: Library,
    store: EngineStore,
    on_step: OnStep = ignore_steps,
) -> Engine:
    """The plan of one stage, from the store or built now.

    ``on_step`` is told each of `STEPS` as it begins, and how far the compiler is.
    Raises `BundleError` for a bad bundle, `ExportError` when the graph does not compute what the network does,
    `BuildError` when this library or this machine can't build for the architecture, or TensorRT refuses.
    """
    planned = manifest(
        bundle, profile=profile, stage=stage, precision=precision, architecture=architecture, library=library
    )
    report = report_steps(on_step, STEPS)

    def build(folder: Path) -> dict[str, object]:
        targets = architectures.check(architecture, library=library, profile=profile)
        # in the store's temporary folder, which is removed later if this process is killed
        graphs = folder / _GRAPH_FOLDER
        graphs.mkdir()
        _export(bundle, planned, folder=graphs, report=report)
        plan = _compile(bundle.spec, planned, graphs / MODEL_FILE, targets=targets, library=library, report=report)
        shutil.rmtree(graphs)
        report("publish")
        (folder / PLAN_FILE).write_bytes(plan.data)
        return {"memory": plan.activations}

    return store.publish(planned, build)


def _export(bundle: Bundle, manifest: Manifest, *, folder: Path, report: Callable[..., None]) -> None:
    stage, precision = manifest.stage, manifest.precision
    report("export")
    model = dialect.export(bundle, stage=stage, precision=precision)
    graph.save(model, folder / MODEL_FILE)
    report("check")
    if dialect.is_gpt(stage):
        gpt_check.check(bundle, stage=stage, precision=precision, path=folder / MODEL_FILE)
    else:
        check.check(bundle, stage=stage, precision=precision, folder=folder)
    dialect.keep_outputs(folder / MODEL_FILE, manifest.outputs)


def _compile(
    spec: Spec,
    manifest: Manifest,
    model: Path,
    *,
    targets: Sequence[str],
    library: Library,
    report: Callable[..., None],
) -> compiler.Plan:
    report("compile")
    options: dict[str, Any] = {}
    if dialect.is_gpt(manifest.stage):
        options["check_network"] = partial(gpt.check_network, layers=spec.gpt(manifest.stage).layers)
    plan = compiler.build(
        model,
        library=library,
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        shapes=manifest.shapes,
        architectures=targets,
        on_progress=lambda phase, done, total: report("compile", done / total),
        **options,
    )
    if library.flavour == "tensorrt_rtx":
        found = header.read(plan.data)
        if (found.version, found.architectures) != (library.version, tuple(targets)):
            raise BuildError(
                f"{library.title} was told to build for {manifest.architecture}, but its plan is for {found}."
            )
    return plan
