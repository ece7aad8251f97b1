"""What a command needs before it measures: a bundle and engines, made if they are not there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from benchmarks import models
from benchmarks.console import console
from benchmarks.models import Size
from benchmarks.variants import Variant


def prepare(
    size: Size, bundle: Path | None, *, variants: Iterable[Variant], engines: Path
) -> tuple[Bundle, EngineStore]:
    """The given bundle, or the random one of a size, with every engine that the variants need. Shows what it does."""
    store = EngineStore(engines)
    with console.status("preparing") as status:
        opened = models.bundle_of(size, given=bundle, on_step=lambda step: status.update(f"making the {step}"))
        for variant in {variant.server: variant for variant in variants}.values():

            def show(step: str, name: str = variant.name) -> None:
                status.update(f"{name}: {step}")

            models.ensure_engines(opened, variant, store=store, on_step=show)
    return opened, store
