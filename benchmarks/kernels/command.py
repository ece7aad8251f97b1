"""``kernels``."""

from __future__ import annotations

from bark_serving.cli.console import steps
from benchmarks import machine, results, variants
from benchmarks import options as opt
from benchmarks.kernels.measure import measure
from benchmarks.kernels.report import plot, table
from benchmarks.running import errors_shown, finish, prepare, require


def command(
    size: opt.Size = "tiny",
    bundle: opt.Bundle = None,
    threads: opt.Threads = None,
    repeats: opt.Repeats = 3,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """How near are the kernels to this machine's limits, and how much faster than ONNX Runtime?

    Decode steps, prefills and a fine pass run on the same engines in both, in turns. The roofline is what the machine
    allows: its threads read memory at a measured speed, and multiply at the speed of an int8 product that stays in the
    cache. Close other programs: they take both.

    Try it: `python -m benchmarks kernels --size tiny`

    To keep: `python -m benchmarks kernels --size small -o benchmarks/results/kernels-small.json`
    """
    with errors_shown():
        require("matplotlib", "bark_kernels")
        count, here = opt.threads_of(threads), machine.describe()
        opened, store = prepare(size, bundle, variants=[variants.find("cpu int8")], engines=engines)
        with steps(8) as step:
            measured = measure(opened, store=store, threads=count, repeats=repeats, on_step=step)
        settings = {"bundle": opened.spec.name, "threads": count, "repeats": repeats}
        finish(
            results.make("kernels", measured, on=here, settings=settings),
            opt.output_of(output, "kernels", what=opened.spec.name),
            table=table,
            plot=plot,
        )
