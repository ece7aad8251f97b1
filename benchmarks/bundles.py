"""The bundles, engines and model repositories to measure. The first use makes them, under ``build/benchmarks``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bark_serving.bundle import Bundle
from bark_serving.decoding.sampler import Sampler
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import STAGES, TABLE, Stage, stage_precision
from bark_serving.runtimes.factory import open_gpts
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render
from bark_serving.spec import NETWORKS, GptStage
from bark_serving.triton.in_process import InProcess
from benchmarks.errors import BenchmarkError
from benchmarks.variants import Variant

Size = Literal["tiny", "small", "large"]

FOLDER = Path("build/benchmarks")


def bundle_of(
    size: Size, *, given: Path | None = None, folder: Path = FOLDER, on_step: Callable[[str], None] = lambda step: None
) -> Bundle:
    """The given bundle, or a bundle of random weights whose speech never ends by itself.

    The end token's row of the semantic head is zero, so its logit is 0. The other ten thousand logits spread around 0,
    so the end token is practically never sampled, and speech has the requested length. Speed does not depend on the
    values of the weights.
    """
    if given is not None:
        return Bundle(given)
    path = folder / "bundles" / size
    if (path / "spec.json").exists():
        return Bundle(path)
    return _make(path, size, on_step)


def _make(path: Path, size: Size, on_step: Callable[[str], None]) -> Bundle:
    from build_engines.bundles.random_weights import random_spec, random_tensors  # torch is slow to import
    from build_engines.bundles.wordpiece import small_tokenizer
    from build_engines.bundles.writer import new_bundle

    pieces = small_tokenizer()
    spec = random_spec(size, name=f"bark-{size}-endless", tokens=pieces.get_vocab_size())
    with new_bundle(path) as writer:
        writer.tokenizer(pieces.to_str())
        for network in NETWORKS:
            on_step(f"bundle: {network}")
            tensors = random_tensors(network, spec, seed=0)
            if network == "semantic":
                tensors["head.weight"][spec.semantic.end_token] = 0
            writer.network(network, tensors, spec=spec)
        writer.finish(spec)
    return Bundle(path)


def stages_of(bundle: Bundle) -> list[Stage]:
    """The stages whose networks the bundle has."""
    return [stage for stage in STAGES if stage != "hubert" or bundle.spec.hubert is not None]


def ensure_engines(
    bundle: Bundle, variant: Variant, *, store: EngineStore, on_step: Callable[[str], None] = lambda step: None
) -> None:
    """Build those engines of a variant that are not in the store."""
    if variant.profile != "cpu":
        if any(row.engine for row in TABLE[variant.profile].stages.values()):
            raise BenchmarkError(
                f"The benchmarks do not build engines of the {variant.profile} profile.",
                remedy=f"Build them (`{TABLE[variant.profile].build}`), start a server, and give its --url to `serve`.",
            )
        return
    from build_engines.export.build import make  # torch is slow to import

    for stage in stages_of(bundle):
        on_step(f"engine: {stage}")
        make(bundle, stage=stage, precision=stage_precision(stage, variant.precision), store=store)


def repository_of(
    bundle: Bundle, variant: Variant, *, store: EngineStore, folder: Path, threads: int | None, max_batch: int = 8
) -> Path:
    """Render the model repository of a variant. Engines that are not in the store are built first."""
    ensure_engines(bundle, variant, store=store)
    rendering = RenderSettings(
        bundle=bundle.folder,
        engines=store.root,
        profile=variant.profile,
        precision=variant.precision,
        kernels=variant.kernels,
        voice_store=folder / "voices",
        threads=threads,
        max_batch=max_batch,
    )
    return render(rendering, output=folder / "repository")


def open_in_process(
    bundle: Bundle, variant: Variant, *, store: EngineStore, folder: Path, threads: int, max_batch: int = 8
) -> InProcess:
    """A variant's models in this process. Their repository is a folder of its own under ``folder``."""
    own = folder / variant.name.replace(" ", "-").replace(",", "")
    return InProcess(repository_of(bundle, variant, store=store, folder=own, threads=threads, max_batch=max_batch))


def open_sampler(
    bundle: Bundle, variant: Variant, stage: GptStage, *, store: EngineStore, threads: int, max_batch: int
) -> Sampler:
    """What the decode loop of one GPT stage runs, on the first GPU where the variant uses one."""
    import torch  # slow to import

    ensure_engines(bundle, variant, store=store)
    profile, precision = variant.profile, variant.precision
    engine = None
    if TABLE[profile].stages[stage].engine:
        engine = store.find(bundle, stage=stage, profile=profile, precision=precision).folder
    device = "cuda:0" if profile == "torch" and torch.cuda.is_available() else "cpu"
    settings = RuntimeSettings(profile, precision, bundle, engine, [device], threads, variant.kernels)
    [sampler] = open_gpts(stage, settings, max_batch=max_batch)
    return sampler
