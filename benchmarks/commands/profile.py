"""``profile``."""

from __future__ import annotations

from benchmarks import machine, profiling, results, variants
from benchmarks.commands.finish import finish
from benchmarks.commands.prepare import prepare
from benchmarks.console import errors_shown, progress
from benchmarks.errors import BenchmarkError
from benchmarks.options import (
    ENGINES,
    BundleOption,
    EnginesOption,
    OneVariantOption,
    OutputOption,
    RepeatsOption,
    SizeOption,
    ThreadsOption,
    output_of,
    threads_of,
)


def command(
    size: SizeOption = "tiny",
    bundle: BundleOption = None,
    variant: OneVariantOption = "cpu int8",
    threads: ThreadsOption = None,
    repeats: RepeatsOption = 20,
    engines: EnginesOption = ENGINES,
    output: OutputOption = None,
) -> None:
    """Where the time goes: a decode step, a prefill and a fine pass by operator, from ONNX Runtime's own profile.

    Read shares, not speed: keeping a profile costs time itself.

    Try it: `python -m benchmarks profile --size tiny`

    README: `python -m benchmarks profile --size small -o benchmarks/results/profile-small.json`
    """
    with errors_shown():
        here, count, chosen = machine.describe(), threads_of(threads), variants.find(variant)
        if chosen.profile != "cpu":
            raise BenchmarkError("Only the cpu profile runs in ONNX Runtime.", remedy="Give --variant 'cpu int8'.")
        opened, store = prepare(size, bundle, variants=[chosen], engines=engines)
        with progress(5) as step:
            measured = profiling.measure(opened, chosen, store=store, threads=count, repeats=repeats, on_step=step)
        settings = {"bundle": opened.spec.name, "variant": chosen.name, "threads": count, "repeats": repeats}
        target = output_of(output, "profile", what=opened.spec.name)
        finish(results.make("profile", measured, on=here, settings=settings), target)
