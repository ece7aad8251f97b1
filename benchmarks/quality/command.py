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
    seeds: Annotated[int, typer.Option(min=1, help="Utterances to compare, one sample per utterance.")] = 1,
    threads: opt.Threads = None,
    tokens_scale: opt.Scale = 1.0,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """What speed costs: compares lower precisions and approximations with fp32 on the same weights.

    First fp32 generates tokens. Every variant then reads the same tokens, and its logits are compared at each step.
    *Agreement* is the share of steps with the same most likely token. *Drift* is the difference in the log-likelihood
    of the token, in nats. Then each variant speaks with the same seed, and the *mel distance* of its audio to fp32's is
    measured. Compare it with the mel distance of two fp32 utterances with different seeds. "Same coarse tokens" runs
    only the fine stage and the decoder, on fp32's coarse tokens.

    The weights matter here. With a --bundle, speech may end by itself, and is at most as long as one sentence.

    Try it: `python -m benchmarks quality --size tiny --tokens-scale 0.1`

    To keep: `python -m benchmarks quality --bundle build/bundles/bark-small -o benchmarks/results/quality-small.json`
    """
    with errors_shown(), tempfile.TemporaryDirectory() as folder:
        require("matplotlib")
        count, here = opt.threads_of(threads), machine.describe()
        chosen = [one for one in variants.chosen(variant) if one != variants.reference()]
        opened, store = prepare(size, bundle, variants=[variants.reference(), *chosen], engines=engines)
        max_tokens = min(SEMANTIC_TOKENS, opened.spec.semantic.max_steps)
        trial = quality.Trial(
            bundle=opened,
            variants=chosen,
            store=store,
            threads=count,
            work=make_work(opened.spec, semantic_tokens=max_tokens, scale=tokens_scale),
            folder=Path(folder),
            seeds=range(seeds),
        )
        with steps(quality.step_count(trial)) as step:
            measured = quality.measure(trial, on_step=step)
        settings = {"bundle": opened.spec.name, "threads": count, "seeds": seeds, "scale": tokens_scale}
        finish(
            results.make("quality", measured, on=here, settings=settings, notes=quality.caveats(measured)),
            opt.output_of(output, "quality", what=opened.spec.name),
            table=table,
            plot=plot,
        )
