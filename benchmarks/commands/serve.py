"""``serve``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine, perf_analyzer, results, servers, serving, variants
from benchmarks.commands.finish import finish
from benchmarks.commands.prepare import prepare
from benchmarks.console import console, errors_shown, progress
from benchmarks.errors import BenchmarkError
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

_MODES = {"streamed": True, "whole": False}


def command(
    url: UrlOption = None,
    size: SizeOption = "tiny",
    bundle: BundleOption = None,
    variant: OneVariantOption = "cpu int8",
    most: Annotated[int, typer.Option("--most", min=1, max=1024, help="Concurrency doubles from 1 up to this.")] = 64,
    requests_each: Annotated[int, typer.Option(min=3, help="Requests a point, per request in flight.")] = 3,
    least_requests: Annotated[
        int, typer.Option(min=3, help="Requests a point at least. A 95th percentile needs 20, a 99th 100.")
    ] = 20,
    rates: Annotated[
        bool, typer.Option("--rates/--no-rates", help="Also arrivals at random, at 50, 80 and 100 % of the best rate.")
    ] = True,
    whole: Annotated[bool, typer.Option("--whole/--no-whole", help="Also with one answer instead of a stream.")] = True,
    fixed: Annotated[
        bool, typer.Option("--fixed/--natural", help="2, 5 and 10 s of speech for the three texts, or as it comes.")
    ] = True,
    all_points: Annotated[bool, typer.Option("--all-points", help="Go on where more load gives no more.")] = False,
    point_timeout: Annotated[float, typer.Option(min=1, help="Seconds that a point may take.")] = 1_800,
    max_batch: Annotated[int, typer.Option(min=1, help="Sequences that a server of our own runs together.")] = 8,
    threads: ThreadsOption = None,
    engines: EnginesOption = ENGINES,
    output: OutputOption = None,
) -> None:
    """A server under load, by Triton's perf_analyzer: latency, time to first audio, throughput, the knee.

    The binary is fetched for this machine into build/tools. Texts of three lengths are mixed. Each load is a call of
    its own, so that a point which fails leaves a note, not a hole; the sweep ends where twice the load gives no more.

    Try it: `python -m benchmarks serve --size tiny --most 4 --no-rates`

    README: `python -m benchmarks serve --size small -o benchmarks/results/serve-small.json`
    """
    with errors_shown(), tempfile.TemporaryDirectory() as folder:
        tool = perf_analyzer.ensure()
        console.print(f"perf_analyzer {tool.version}")
        here, count, chosen = machine.describe(), threads_of(threads), variants.find(variant)
        prepared = None if url else prepare(size, bundle, variants=[chosen], engines=engines)
        target = servers.target(url, prepared, variant=chosen, threads=count, max_batch=max_batch)
        measured: list[results.Measurement] = []
        notes: list[str] = []
        concurrencies = [2**power for power in range(most.bit_length()) if 2**power <= most]
        modes = {name: stream for name, stream in _MODES.items() if stream or whole}
        points = len(modes) * (len(concurrencies) + (len(serving.RATE_SHARES) if rates else 0))
        with target as server, progress(points) as step:
            for name, stream in modes.items():
                sweep = serving.Sweep(
                    tool=tool,
                    url=server.url,
                    data=serving.write_data(
                        Path(folder) / f"{name}.json",
                        stream=stream,
                        fixed=fixed,
                        options=servers.options_of(prepared, chosen),
                    ),
                    concurrencies=concurrencies,
                    requests_each=requests_each,
                    least_requests=least_requests,
                    timeout=point_timeout,
                    metrics=server.metrics,
                    rates=rates,
                    all_points=all_points,
                )
                found, noted = serving.run(sweep, name, on_step=step)
                measured, notes = measured + found, notes + noted
        if not measured:
            raise BenchmarkError(
                "No point could be measured. " + " ".join(notes[:2]), remedy="Look at the server's log."
            )
        what = url.replace(":", "-") if url else (bundle.name if bundle else size)
        result = results.make(
            "serve",
            measured,
            on=here,
            notes=notes,
            settings={
                **servers.described(url, chosen, bundle=what, threads=count, max_batch=max_batch),
                "requests_each": requests_each,
                "least_requests": least_requests,
                "rates": rates,
                "whole": whole,
                "fixed": fixed,
                "all_points": all_points,
                "perf_analyzer": tool.version,
                "knee_concurrency": serving.knee_of(measured, "streamed"),
            },
        )
        finish(result, output_of(output, "serve", what=what))
