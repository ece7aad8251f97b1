"""The engines that a profile needs for a bundle, one job per engine: is it there, can it be built here, and how.

Listing the jobs builds nothing, and imports a builder's libraries only if the profile uses that builder. The store
keeps each engine under its key, so a job that runs twice builds once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bark_serving.bundle import Bundle
from bark_serving.engines.compatibility import Host
from bark_serving.engines.kernels import MANIFEST_NAME, instruction_set, packed_weights
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import Engine, EngineError, EngineStore
from bark_serving.profiles import STAGES, TABLE, Backend, Precision, Profile, Stage, stage_precision
from build_engines.errors import BuildError
from build_engines.estimate import Estimate, Maker, estimate
from build_engines.tensorrt import library as tensorrt

BATCH = 32
ANY = "any"  #: the architecture of engines that run everywhere


@dataclass(frozen=True)
class EngineJob:
    """One engine that a profile needs. Either `existing`, or `refusal`, or `make` is set."""

    stage: Stage
    precision: Precision
    architecture: str
    maker: Maker  #: the library that builds it
    title: str  #: what runs it, for people
    estimate: Estimate
    profile: Profile = "cpu"
    existing: Engine | None = None
    refusal: BuildError | None = None  #: why this machine cannot build it
    make: Callable[..., Engine] | None = field(default=None, repr=False)  #: takes `on_step`

    @property
    def to_build(self) -> bool:
        """Whether it is missing and can be built here."""
        return self.existing is None and self.refusal is None


@dataclass(frozen=True)
class BuilderOptions:
    """Options that only TensorRT-LLM has. None: the builder's own default."""

    batch: int = BATCH  #: sequences that a TensorRT-LLM engine has room for
    temperature: float | None = None  #: at which a TensorRT-LLM engine computes the end token's probability
    min_eos_p: float | None = None  #: probability of the end token at which a TensorRT-LLM engine ends speech


def engine_jobs(
    bundle: Bundle,
    *,
    profile: Profile,
    precision: Precision | None,
    architectures: Sequence[str],
    store: EngineStore,
    stages: Sequence[Stage] = STAGES,
    options: BuilderOptions | None = None,
) -> Sequence[EngineJob]:
    """The jobs of a profile, by architecture and stage. `precision` None: the profile's default.

    Raises `BuildError` for a profile that needs no engines.
    """
    row = TABLE[profile]
    if row.build is None:
        raise BuildError(
            f"The {profile} profile runs the bundle's own weights.", remedy="It needs no engines: serve it."
        )
    needed = [stage for stage in STAGES if stage in stages and (stage != "hubert" or bundle.spec.hubert is not None)]
    jobs = []
    for architecture in architectures if row.gpu == "always" else (ANY,):
        for stage in needed:
            chosen = stage_precision(stage, precision or row.precision, profile)
            if row.stages[stage].plan:
                builder = _tensorrt(architecture, profile)
            else:
                builder = _BUILDERS[row.stages[stage].backend](bundle, architecture, options or BuilderOptions())
            jobs.append(_job(bundle, profile, stage, chosen, architecture, store, builder))
    return jobs


@dataclass(frozen=True)
class _Builder:
    """A builder module with its own options, or the reason why this machine cannot use it."""

    maker: Maker
    title: str
    module: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    refusal: BuildError | None = None


def _job(
    bundle: Bundle,
    profile: Profile,
    stage: Stage,
    precision: Precision,
    architecture: str,
    store: EngineStore,
    builder: _Builder,
) -> EngineJob:
    make, title = None, builder.title
    if builder.refusal:
        existing = _find_prebuilt(bundle, profile, stage, precision, architecture, store)
    else:
        options = {"stage": stage, "precision": precision, **builder.options}
        manifest: Manifest = builder.module.manifest(bundle, **options)
        existing = store.get(manifest)
        if packed_weights(existing.folder) if existing else MANIFEST_NAME in manifest.versions:
            title = f"kernels ({instruction_set()})"
        make = partial(builder.module.make, bundle, store=store, **options)
    return EngineJob(
        stage=stage,
        precision=precision,
        architecture=architecture,
        maker=builder.maker,
        title=title,
        estimate=estimate(bundle, stage=stage, precision=precision, maker=builder.maker, store=store),
        profile=profile,
        existing=existing,
        refusal=None if existing else builder.refusal,
        make=make,
    )


def _find_prebuilt(
    bundle: Bundle, profile: Profile, stage: Stage, precision: Precision, architecture: str, store: EngineStore
) -> Engine | None:
    """An engine that another machine built for this architecture. This machine cannot compute its key."""
    host = Host(architectures=architecture.split("+"))
    try:
        return store.find(bundle, stage=stage, profile=profile, precision=precision, host=host)
    except EngineError:
        return None


def _onnxruntime(bundle: Bundle, architecture: str, options: BuilderOptions) -> _Builder:
    from build_engines.export import build  # torch is slow to import

    return _Builder("onnxruntime", "ONNX Runtime", build)


def _tensorrt(architecture: str, profile: Profile) -> _Builder:
    from build_engines.tensorrt import architectures, build

    flavour: tensorrt.Flavour = "tensorrt_rtx" if profile == "rtx" else "tensorrt"
    try:
        if flavour == "tensorrt":  # before anybody installs gigabytes for a GPU that is not there
            architectures.check_here(architecture, profile=profile)
        library = tensorrt.load_library(flavour)
    except BuildError as error:
        return _Builder(flavour, tensorrt.TITLES[flavour], refusal=error)
    builder = partial(_Builder, library.flavour, library.title, build)
    try:
        if profile == "tensorrt":
            tensorrt.check_caches(library)
        architectures.check(architecture, library=library, profile=profile)
    except BuildError as error:
        return builder(refusal=error)
    return builder(options={"profile": profile, "architecture": architecture, "library": library})


def _tensorrt_llm(bundle: Bundle, architecture: str, options: BuilderOptions) -> _Builder:
    from build_engines.trtllm import build, checkpoint

    constants = checkpoint.engine_constants(bundle, temperature=options.temperature, min_eos_p=options.min_eos_p)
    try:
        release = build.release_for(architecture)
    except BuildError as error:
        return _Builder("tensorrt_llm", "TensorRT-LLM", refusal=error)
    own = {"release": release, "architecture": architecture, "batch": options.batch, "constants": constants}
    return _Builder("tensorrt_llm", f"TensorRT-LLM {release}", build, own)


#: By backend, for the stages without plans.
_BUILDERS: dict[Backend, Callable[[Bundle, str, BuilderOptions], _Builder]] = {
    "python": _onnxruntime,
    "tensorrtllm": _tensorrt_llm,
}
