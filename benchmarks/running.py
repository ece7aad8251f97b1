"""The start and the end of every benchmark: check extras, make bundle and engines; write and show the result."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.markup import escape

from bark_client import BarkError
from bark_serving.bundle import Bundle
from bark_serving.cli import console as shared
from bark_serving.cli.console import Lines, console
from bark_serving.engines.builders import EXPORTERS
from bark_serving.engines.store import EngineStore
from benchmarks import bundles, plots, results
from benchmarks.bundles import Size
from benchmarks.errors import INSTALL_BENCH, BenchmarkError
from benchmarks.results import Result
from benchmarks.tables import Table
from benchmarks.variants import Variant


def errors_shown() -> AbstractContextManager[None]:
    """Print an expected error and its remedy, and exit with status 1."""
    return shared.errors_shown(BarkError)


def require(*modules: str, remedy: str = INSTALL_BENCH) -> None:
    """Raise `BenchmarkError` if a module is not installed. Call it before any slow work."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise BenchmarkError(f"The Python module {module} is not installed.", remedy=remedy)


def prepare(
    size: Size, bundle: Path | None, *, variants: Iterable[Variant], engines: Path
) -> tuple[Bundle, EngineStore]:
    """The given bundle, or random weights of ``size``, and a store with every engine that the variants need."""
    variants = list(variants)
    engines_needed = any(variant.profile == "cpu" for variant in variants)
    require(*(EXPORTERS if engines_needed else ["torch"]))
    store = EngineStore(engines)
    with console.status("preparing") as status:
        opened = bundles.bundle_of(size, given=bundle, on_step=lambda step: status.update(f"making the {step}"))
        for variant in {variant.server: variant for variant in variants}.values():

            def show(step: str, name: str = variant.name) -> None:
                status.update(f"{name}: {step}")

            bundles.ensure_engines(opened, variant, store=store, on_step=show)
    return opened, store


def finish(
    result: Result, output: Path, *, table: Callable[[Result], Table], plot: Callable[[Result, Any], None]
) -> None:
    """Write the result and its picture, and print its table."""
    results.save(result, output)
    Lines().print(table(result).rich())
    picture = plots.draw(result, output.with_suffix(".png"), plot)
    console.print(f"\n[green]Written:[/green] {escape(str(output))} and {picture.name}", soft_wrap=True)
