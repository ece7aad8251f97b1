"""``serve``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bark_client import BarkClient
from bark_serving.cli.console import console, steps
from benchmarks import machine, results, servers, variants
from benchmarks import options as opt
from benchmarks.running import errors_shown, finish, prepare, require
from benchmarks.serve import growth, perf_analyzer
from benchmarks.serve import measure as load
from benchmarks.serve import through as front
from benchmarks.serve.report import plot, table
from benchmarks.servers import Target

_GROWTH = "With --growth"


def command(
    url: opt.Url = None,
    size: opt.Size = "tiny",
    bundle: opt.Bundle = None,
    variant: opt.OneVariant = "cpu int8",
    most: Annotated[
        int, typer.Option("--most", min=1, max=1024, help="Highest concurrency. The sweep doubles from 1 up to this.")
    ] = 64,
    requests_each: Annotated[int, typer.Option(min=3, help="Requests per load, times its concurrency.")] = 3,
    least_requests: Annotated[
        int, typer.Option(min=3, help="Fewest requests per load. A 95th percentile needs 20, a 99th needs 100.")
    ] = 20,
    rates: Annotated[
        bool, typer.Option("--rates/--no-rates", help="Add random arrivals at 50, 80 and 100 % of the best rate.")
    ] = True,
    whole: Annotated[bool, typer.Option("--whole/--no-whole", help="Also measure without streaming.")] = True,
    fixed: Annotated[
        bool, typer.Option("--fixed/--natural", help="Fix the speech of the three texts to 2, 5 and 10 s.")
    ] = True,
    all_points: Annotated[bool, typer.Option("--all-points", help="Never end the sweep early.")] = False,
    point_timeout: Annotated[float, typer.Option(min=1, help="Most seconds per load.")] = 1_800,
    max_batch: Annotated[int, typer.Option(min=1, help="Batch size of the server that this command starts.")] = 8,
    grow: Annotated[
        bool, typer.Option("--growth", help="Measure texts of growing length instead, one request at a time.")
    ] = False,
    longest: Annotated[
        float, typer.Option(min=5, help="Seconds of speech of the longest text.", rich_help_panel=_GROWTH)
    ] = 120.0,
    one_by_one: Annotated[
        bool, typer.Option("--one-by-one", help="Decode one sentence at a time.", rich_help_panel=_GROWTH)
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each length, in turns.", rich_help_panel=_GROWTH)] = 3,
    through: Annotated[
        Literal["gateway"] | None,
        typer.Option("--through", help="Measure what the gateway adds instead, with 1, 8 … --most requests at once."),
    ] = None,
    threads: opt.Threads = None,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """Load a server with Triton's perf_analyzer: latency, time to first audio, throughput and its knee.

    perf_analyzer is downloaded into build/tools. The requests mix texts of three lengths. Each load is a separate run:
    if it fails, the result has a note and the other loads are still measured. The sweep ends when doubling the load
    gives no more throughput.

    `--growth` measures the wall time of texts of 5 s to 120 s of speech and fits a straight line. Each sentence has 5 s
    of speech. The sentences of one text decode together, so the line becomes steeper when the batch is full.

    Try it: `python -m benchmarks serve --size tiny --most 4 --no-rates`, or `… serve --growth --longest 20 --repeats 1`

    `--through gateway` sends the same requests by gRPC and through a gateway, in turns: first audio and longest pause.

    To keep: `python -m benchmarks serve --size small -o benchmarks/results/serve-small.json`, and
    `python -m benchmarks serve --growth --size small -o benchmarks/results/growth-small.json`
    """
    with errors_shown():
        require("matplotlib")
        here, count, chosen = machine.describe(), opt.threads_of(threads), variants.find(variant)
        tool = None if grow or through else perf_analyzer.ensure()
        prepared = None if url else prepare(size, bundle, variants=[chosen], engines=engines)
        what = url.replace(":", "-") if url else (bundle.name if bundle else size)
        about = servers.described(url, chosen, bundle=what, threads=count)
        inputs = servers.options_of(prepared, chosen)
        with servers.target(url, prepared, variant=chosen, threads=count, max_batch=max_batch) as server:
            if through:
                trial = front.Trial([count for count in (1, 8, 64) if count <= most], least_requests, inputs)
                _through(server, trial, here, about, opt.output_of(output, "serve-through-gateway", what=what))
                return
            if tool is None:
                lengths = growth.Lengths(longest, repeats, one_by_one)
                _grow(server, lengths, inputs, here, about, opt.output_of(output, "growth", what=what))
                return
            sweep = load.Sweep(
                tool, most, requests_each, least_requests, point_timeout, rates, whole, fixed, all_points
            )
            console.print(f"perf_analyzer {tool.version}")
            with steps(sweep.point_count()) as step:
                measured, notes = load.run_all(sweep, server, options=inputs, on_step=step)
        if url is None:
            about["max_batch"] = max_batch
        result = results.make("serve", measured, on=here, notes=notes, settings={**about, **sweep.settings(measured)})
        finish(result, opt.output_of(output, "serve", what=what), table=table, plot=plot)


def _through(server: Target, trial: front.Trial, here: machine.Machine, about: Mapping[str, Any], output: Path) -> None:
    (port,) = servers.free_ports(1)
    with front.gateway(server.url, port=port), steps(trial.step_count) as step:
        measured = front.measure(server.url, port, trial, on_step=step)
    result = results.make("serve-through-gateway", measured, on=here, settings=dict(about))
    finish(result, output, table=front.table, plot=front.plot)


def _grow(
    server: Target,
    lengths: growth.Lengths,
    inputs: Mapping[str, Any],
    here: machine.Machine,
    about: Mapping[str, Any],
    output: Path,
) -> None:
    with BarkClient(server.url) as client, steps(lengths.step_count()) as step:
        measured = growth.measure(client, lengths, subject=str(about["server"]), options=inputs, on_step=step)
    settings = {**about, "repeats": lengths.repeats, "one_by_one": lengths.one_by_one}
    result = results.make("growth", measured, on=here, settings=settings)
    finish(result, output, table=growth.table, plot=growth.plot)
