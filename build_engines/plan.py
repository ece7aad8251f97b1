"""The engines that a profile needs for a bundle, each as a job: is it there, can it be built here, how is it built.

A job is planned without building or importing anything heavy that is not needed for it, and knows nothing of how it is
shown. Whatever makes the engine, `make` puts it into the store under its key, so doing a job twice is doing it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bark_serving.bundle import Bundle
from bark_serving.engines.compatibility import Host
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import Engine, EngineError, EngineStore
from bark_serving.profiles import STAGES, TABLE, Precision, Profile, Stage, stage_precision
from build_engines.errors import BuildError
from build_engines.estimate import Estimate, Maker, estimate

OnStep = Callable[[str, float], None]  #: what is being done, and the share of the whole job that is done
ANY = "any"  #: the architecture of engines that are bound to none


@dataclass(frozen=True)
class Job:
    """One engine to have."""

    stage: Stage
    precision: Precision
    architecture: str
    title: str  #: of what makes it
    estimate: Estimate
    there: Engine | None = None
    refusal: BuildError | None = None  #: why it can't be made here
    make: Callable[[OnStep], Engine] | None = field(default=None, repr=False)

    @property
    def wanted(self) -> bool:
        """Whether it is to be built, and can be."""
        return self.there is None and self.refusal is None


def plan(
    bundle: Bundle,
    *,
    profile: Profile,
    precision: Precision | None,
    architectures: Sequence[str],
    store: EngineStore,
    stages: Sequence[Stage] = STAGES,
    library: Any = None,
) -> Sequence[Job]:
    """The jobs of a profile, by architecture and stage. `library`: the TensorRT to use; default the one installed.

    Raises `BuildError` for a profile that has no engines.
    """
    row = TABLE[profile]
    if row.build is None:
        raise BuildError(
            f"The {profile} profile runs the bundle's own weights.", remedy="It needs no engines: serve it."
        )
    wanted = [stage for stage in STAGES if stage in stages and (stage != "hubert" or bundle.spec.hubert is not None)]
    if row.gpu != "always":
        architectures = [ANY]
    jobs: list[Job] = []
    for architecture in architectures:
        for stage in wanted:
            chosen = stage_precision(stage, precision or row.precision, profile)
            backend = row.stages[stage].backend
            planner = {"python": _onnx, "tensorrt": _tensorrt, "tensorrtllm": _trtllm}[backend]
            jobs.append(planner(_Order(bundle, stage, chosen, architecture, store, library)))
    return jobs


@dataclass(frozen=True)
class _Order:
    bundle: Bundle
    stage: Stage
    precision: Precision
    architecture: str
    store: EngineStore
    library: Any

    def job(
        self,
        maker: Maker,
        *,
        title: str,
        manifest: Manifest | None = None,
        refusal: BuildError | None = None,
        make: Callable[[OnStep], Engine] | None = None,
    ) -> Job:
        there = self.store.get(manifest) if manifest else self._anyhow()
        return Job(
            stage=self.stage,
            precision=self.precision,
            architecture=self.architecture,
            title=title,
            estimate=estimate(self.bundle, stage=self.stage, precision=self.precision, maker=maker, store=self.store),
            there=there,
            refusal=None if there else refusal,
            make=make,
        )

    def _anyhow(self) -> Engine | None:
        """An engine that was built elsewhere for this architecture, where nothing here could tell its key."""
        try:
            return self.store.find(
                self.bundle,
                stage=self.stage,
                profile="tensorrt",
                precision=self.precision,
                host=Host(architectures=self.architecture.split("+")),
            )
        except EngineError:
            return None


def _onnx(order: _Order) -> Job:
    from build_engines.export.build import STEPS, make, manifest_of  # torch is slow to import

    def build(on_step: OnStep) -> Engine:
        return make(
            order.bundle,
            stage=order.stage,
            precision=order.precision,
            store=order.store,
            on_step=lambda step: on_step(step, STEPS.index(step) / len(STEPS)),
        )

    manifest = manifest_of(order.bundle, stage=order.stage, precision=order.precision)
    return order.job("onnxruntime", title="ONNX Runtime", manifest=manifest, make=build)


def _tensorrt(order: _Order) -> Job:
    from build_engines import tensorrt
    from build_engines.tensorrt import architectures
    from build_engines.tensorrt import library as alias

    try:
        library = order.library or alias.library()
    except BuildError as error:
        return order.job("tensorrt", title="TensorRT", refusal=error)

    def build(on_step: OnStep) -> Engine:
        steps = tensorrt.STEPS
        return tensorrt.make(
            order.bundle,
            stage=order.stage,
            precision=order.precision,
            architecture=order.architecture,
            library=library,
            store=order.store,
            on_step=lambda step, share: on_step(step, (steps.index(step) + share) / len(steps)),
        )

    refusal = None
    try:
        architectures.check(order.architecture, library=library)
    except BuildError as error:
        refusal = error
    manifest = tensorrt.manifest_of(
        order.bundle, stage=order.stage, precision=order.precision, architecture=order.architecture, library=library
    )
    return order.job(library.flavour, title=library.title, manifest=manifest, refusal=refusal, make=build)


def _trtllm(order: _Order) -> Job:
    from build_engines.trtllm import build as trtllm

    try:
        release = trtllm.installed_release()
        here = trtllm.architecture_here(release)
        if here != order.architecture:
            raise BuildError(
                f"TensorRT-LLM builds for the GPU it runs on, here {here}, not for {order.architecture}.",
                remedy=f"Run this command on a machine that has {order.architecture}.",
            )
    except BuildError as error:
        return order.job("tensorrt_llm", title="TensorRT-LLM", refusal=error)
    stage: Any = order.stage

    def build(on_step: OnStep) -> Engine:
        return trtllm.make(
            order.bundle,
            stage=stage,
            precision=order.precision,
            store=order.store,
            on_step=lambda step: on_step(step, trtllm.STEPS.index(step) / len(trtllm.STEPS)),
        )

    manifest = trtllm.manifest_of(
        order.bundle, stage=stage, precision=order.precision, release=release, architecture=here
    )
    return order.job("tensorrt_llm", title=f"TensorRT-LLM {release}", manifest=manifest, make=build)
