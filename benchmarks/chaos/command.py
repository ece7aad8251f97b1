"""`chaos`: breaks a server again and again while it speaks, and checks every answer."""

from __future__ import annotations

from typing import Annotated

import typer

from bark_serving.bundle import MINIATURE
from bark_serving.cli.console import steps
from benchmarks import machine, results, servers, variants
from benchmarks import options as opt
from benchmarks.chaos.faults import KINDS, TARGETS, chosen, deck
from benchmarks.chaos.measure import chaos
from benchmarks.chaos.report import measurements, plot, table
from benchmarks.chaos.server import served
from benchmarks.errors import BenchmarkError
from benchmarks.running import errors_shown, finish, prepare, require


def command(
    minutes: Annotated[float, typer.Option(min=0.1, help="Duration of the run.")] = 30.0,
    streams: Annotated[int, typer.Option(min=1, max=64, help="Number of clients; each has one request in flight.")] = 4,
    every: Annotated[float, typer.Option(min=2.0, help="Seconds from one fault to the next.")] = 20.0,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--faults",
            help="A kind of fault, or one with its process, as in 'kill bark'; may be repeated. Default: all. "
            + " ".join(f"{kind}: {what}." for kind, what in KINDS.items())
            + f" The processes are {', '.join(TARGETS)}.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides the order of the faults and of the requests.")] = 0,
    variant: opt.OneVariant = "cpu int8",
    threads: opt.Threads = None,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """Break a server again and again while it speaks: is every answer right, every error worded, the service back?

    `bark-serve` serves the miniature. First every request is spoken alone. Then the streams speak them side by side,
    and at intervals a random process of the server is killed, stopped or starved. Every answer is compared with its
    solo answer, sample by sample. The next fault waits until a speech succeeds. If none does within a minute, the
    server is started again, which counts as a miss. At the end, processes and shared memory that are left are counted.

    The exit status is 1 if an answer was wrong, or if the run ended early. Other targets that are missed are shown.

    Try it: `python -m benchmarks chaos --minutes 2 --every 15`

    To keep: `python -m benchmarks chaos -o benchmarks/results/chaos-miniature.json`
    """
    with errors_shown():
        require("matplotlib")
        here, count, chosen_variant = machine.describe(), opt.threads_of(threads), variants.find(variant)
        if 60 * minutes < 2 * every:
            raise BenchmarkError(
                f"No fault fits into {minutes:g} min: the first and the last {every:g} s have none.",
                remedy="Give more --minutes, or a shorter --every.",
            )
        pairs = chosen(faults)
        bundle, store = prepare("tiny", MINIATURE, variants=[chosen_variant], engines=engines)
        with (
            steps() as step,
            served(bundle, chosen_variant, store=store, threads=count) as server,
        ):
            seen = chaos(
                server,
                deck(pairs, seed=seed),
                seconds=60 * minutes,
                every=every,
                streams=streams,
                seed=seed,
                on_step=step,
            )
        settings = {
            **servers.described(None, chosen_variant, bundle="miniature", threads=count),
            "minutes": round(seen.seconds / 60, 2),
            "streams": streams,
            "every": every,
            "faults": faults or list(KINDS),
            "seed": seed,
        }
        made = measurements(seen, every=every)
        result = results.make("chaos", made, on=here, settings=settings, notes=seen.notes)
        finish(result, opt.output_of(output, "chaos", what="miniature"), table=table, plot=plot)
        if seen.wrong or not seen.whole:
            raise typer.Exit(1)
