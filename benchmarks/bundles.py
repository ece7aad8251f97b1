"""The bundles, engines and repositories that are measured: made when first needed, kept under ``build/benchmarks``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import STAGES, TABLE, Stage, stage_precision
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render
from bark_serving.spec import NETWORKS
from benchmarks.errors import BenchmarkError
from benchmarks.variants import Variant

Size = Literal["tiny", "small", "large"]

FOLDER = Path("build/benchmarks")


def bundle_of(
    size: Size, *, given: Path | None = None, folder: Path = FOLDER, on_step: Callable[[str], None] = lambda step: None
) -> Bundle:
    """The given bundle, or random weights of a size, whose speech never ends by itself.

    The end token's row of the semantic head is zero, so that its logit is too, among ten thousand that spread around
    it: lengths are then what is asked for. Speed does not depend on what the weights are.
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
    """The stages that a bundle has the networks for."""
    return [stage for stage in STAGES if stage != "hubert" or bundle.spec.hubert is not None]


def ensure_engines(
    bundle: Bundle, variant: Variant, *, store: EngineStore, on_step: Callable[[str], None] = lambda step: None
) -> None:
    """Build the engines that a variant needs and the store lacks."""
    if variant.profile != "cpu":
        if any(row.engine for row in TABLE[variant.profile].stages.values()):
            raise BenchmarkError(
                f"The engines of the {variant.profile} profile are not built here.",
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
    """A rendered model repository of a variant, its engines built before if need be."""
    ensure_engines(bundle, variant, store=store)
    rendering = RenderSettings(
        bundle=bundle.folder,
        engines=store.root,
        profile=variant.profile,
        precision=variant.precision,
        voice_store=folder / "voices",
        threads=threads,
        max_batch=max_batch,
    )
    return render(rendering, output=folder / "repository")
