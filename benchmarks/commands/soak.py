"""``soak``."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks import endurance, machine, results, servers, variants
from benchmarks.commands.finish import finish
from benchmarks.commands.prepare import prepare
from benchmarks.console import console, errors_shown
from benchmarks.options import (
    ENGINES,
    BundleOption,
    EnginesOption,
    OneVariantOption,
    OutputOption,
    SizeOption,
    ThreadsOption,
    UrlOption,
    output_of,
    threads_of,
)


def command(
    url: UrlOption = None,
    size: SizeOption = "tiny",
    bundle: BundleOption = None,
    variant: OneVariantOption = "cpu int8",
    minutes: Annotated[float, typer.Option(min=0.05, help="How long. An hour shows what leaks.")] = 60.0,
    clients: Annotated[int, typer.Option(min=1, max=256, help="Requests in flight, always.")] = 4,
    fixed: Annotated[bool, typer.Option("--fixed/--natural", help="Fixed durations, or as speech comes.")] = True,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between looks at the memory.")] = 5.0,
    threads: ThreadsOption = None,
    engines: EnginesOption = ENGINES,
    output: OutputOption = None,
) -> None:
    """A server for an hour: memory of each model and latency of each request over time, and their drift.

    Memory is known of a server of our own, or of one that `bark-serve` started on this machine. When the server ends,
    or with Ctrl-C, what was seen until then is written, and the exit status is 1.

    Try it: `python -m benchmarks soak --size tiny --minutes 0.5`

    README: `python -m benchmarks soak --size small -o benchmarks/results/soak-small.json`
    """
    with errors_shown():
        here, count, chosen = machine.describe(), threads_of(threads), variants.find(variant)
        prepared = None if url else prepare(size, bundle, variants=[chosen], engines=engines)
        target = servers.target(url, prepared, variant=chosen, threads=count)
        with target as server, console.status("starting") as status:
            seen = endurance.soak(
                server, seconds=60 * minutes, clients=clients, fixed=fixed, interval=interval,
                options=servers.options_of(prepared, chosen), on_step=status.update,
            )  # fmt: skip
        what = url.replace(":", "-") if url else (bundle.name if bundle else size)
        settings = {
            **servers.described(url, chosen, bundle=what, threads=count),
            "minutes": round(seen.seconds / 60, 2),
            "clients": clients,
            "fixed": fixed,
            "interval": interval,
            "requests": seen.requests,
        }
        result = results.make("soak", seen.measurements, on=here, settings=settings, notes=seen.notes)
        finish(result, output_of(output, "soak", what=what))
        if not seen.whole:
            raise typer.Exit(1)
