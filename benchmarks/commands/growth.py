"""``growth``."""

from __future__ import annotations

from typing import Annotated

import typer

from bark_client import BarkClient
from benchmarks import growth, machine, results, servers, variants
from benchmarks.commands.finish import finish
from benchmarks.commands.prepare import prepare
from benchmarks.console import errors_shown, progress
from benchmarks.options import (
    ENGINES,
    BundleOption,
    EnginesOption,
    OneVariantOption,
    OutputOption,
    RepeatsOption,
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
    longest: Annotated[float, typer.Option(min=5, help="Seconds of speech of the longest text.")] = 120.0,
    one_by_one: Annotated[
        bool, typer.Option("--one-by-one", help="Each sentence after the one before, so that none decode together.")
    ] = False,
    threads: ThreadsOption = None,
    repeats: RepeatsOption = 3,
    engines: EnginesOption = ENGINES,
    output: OutputOption = None,
) -> None:
    """Cost over length: wall time of texts of 5 s to 120 s of speech, and how straight the line is.

    A sentence has 5 s; a long text's sentences decode together, so the line bends where the batch fills.

    Try it: `python -m benchmarks growth --size tiny --longest 20 --repeats 1`

    README: `python -m benchmarks growth --size small -o benchmarks/results/growth-small.json`
    """
    with errors_shown():
        here, count, chosen = machine.describe(), threads_of(threads), variants.find(variant)
        prepared = None if url else prepare(size, bundle, variants=[chosen], engines=engines)
        target = servers.target(url, prepared, variant=chosen, threads=count)
        what = url.replace(":", "-") if url else (bundle.name if bundle else size)
        about = servers.described(url, chosen, bundle=what, threads=count)
        counts = growth.sentence_counts(longest)
        with target as server, BarkClient(server.url) as client, progress(len(counts) * repeats + 1) as step:
            measured = growth.measure(
                client, counts, subject=about["server"], repeats=repeats, options=servers.options_of(prepared, chosen),
                one_by_one=one_by_one, on_step=step,
            )  # fmt: skip
        settings = {**about, "repeats": repeats, "one_by_one": one_by_one}
        finish(results.make("growth", measured, on=here, settings=settings), output_of(output, "growth", what=what))
