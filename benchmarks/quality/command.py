"""``quality``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bark_serving.cli.console import steps
from benchmarks import machine, results, variants
from benchmarks import options as opt
from benchmarks.quality import measure as quality
from benchmarks.quality.report import plot, table
from benchmarks.running import errors_shown, finish, prepare, require
from benchmarks.work import SEMANTIC_TOKENS, make_work


def command(
    size: opt.Size = "tiny",
    bundle: opt.Bundle = None,
    variant: opt.Variants = None,
    seeds: Annotated[int, typer.Option(min=1, help="Utterances to compare; each is a sample.")] = 1,
    threads: opt.Threads = None,
    tokens_scale: opt.Scale = 1.0,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """What speed costs: precisions and approximations against fp32 on the same weights.

    fp32 speaks; then every variant is made to say the same tokens, and asked at each step what it would have said
    (*agreement*: the share of steps with the same most likely token) and how likely it finds what was said (*drift*, in
    nats). Then it speaks by itself from the same seed; the *mel distance* of the audio stands beside that of two takes
    of fp32. "Same coarse tokens" is the sound of the fine stage and decoder alone.

    Weights matter here. Those of a --bundle may end their speech by themselves, at the longest after what one sentence
    holds.

    Try it: `python -m benchmarks quality --size tiny --tokens-scale 0.1`

    To keep: `python -m benchmarks quality --bundle build/bundles/bark-small -o benchmarks/results/quality-small.json`
    """
    with errors_shown(), tempfile.TemporaryDirectory() as folder:
        require("matplotlib")
        count, here = opt.threads_of(threads), machine.describe()
        chosen = [one for one in variants.chosen(variant) if one != variants.reference()]
        opened, store = prepare(size, bundle, variants=[variants.reference(), *chosen], engines=engines)
        most = min(SEMANTIC_TOKENS, opened.spec.semantic.max_steps)
        trial = quality.Trial(
            bundle=opened,
            variants=chosen,
            store=store,
            threads=count,
            work=make_work(opened.spec, semantic_tokens=most, scale=tokens_scale),
            folder=Path(folder),
            seeds=range(seeds),
        )
        with steps(quality.step_count(trial)) as step:
            measured = quality.measure(trial, on_step=step)
        settings = {"bundle": opened.spec.name, "threads": count, "seeds": seeds, "scale": tokens_scale}
        finish(
            results.make("quality", measured, on=here, settings=settings, notes=quality.doubts(measured)),
            opt.output_of(output, "quality", what=opened.spec.name),
            table=table,
            plot=plot,
        )
