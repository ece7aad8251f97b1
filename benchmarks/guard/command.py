"""``guard``."""

from __future__ import annotations

from typing import Annotated

import typer

from bark_client import BarkClient
from bark_serving.bundle import MINIATURE
from bark_serving.cli.console import steps
from benchmarks import machine, results, variants
from benchmarks import options as opt
from benchmarks.guard.measure import CONDITIONS, measure
from benchmarks.guard.report import plot, table
from benchmarks.listen.measure import voices_of
from benchmarks.running import errors_shown, finish, prepare, require
from benchmarks.servers import own_server
from reference import recordings


def command(
    bundle: opt.SpeakingBundle = MINIATURE,
    variant: opt.Variants = None,
    sentences: Annotated[int, typer.Option(min=2, help="Sentences per condition; good takes: times the voices.")] = 70,
    threads: opt.Threads = None,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """Which takes does the guard let be spoken again? Good ones, which cost time for nothing, and spoiled ones.

    Sentences that no training saw are spoken through Triton with the options of the checkpoint (good takes: with each
    voice and without one), and with temperatures that spoil them. Nothing is spoken again here. The table has the
    share of takes that fail by the limits of the checkpoint's spec; the picture has one curve per measure, over all
    limits.

    This needs trained weights.

    Try it: `python -m benchmarks guard --sentences 5`

    To keep: `python -m benchmarks guard -o benchmarks/results/guard-miniature.json`
    """
    with errors_shown():
        require("matplotlib")
        count, here, chosen = opt.threads_of(threads), machine.describe(), variants.chosen(variant)[:1]
        texts = recordings.sentences(sentences)
        opened, store = prepare("tiny", bundle, variants=chosen, engines=engines)
        with steps(1 + len(CONDITIONS)) as step:
            step(f"{chosen[0].name}: starting")
            with own_server(opened, chosen[0], store=store, threads=count) as target, BarkClient(target.url) as client:
                measured = measure(client, opened, texts, voices=voices_of(opened), on_step=step)
        settings = {"bundle": opened.spec.name, "threads": count, "sentences": sentences, "variant": chosen[0].name}
        finish(
            results.make("guard", measured, on=here, settings=settings),
            opt.output_of(output, "guard", what=opened.spec.name),
            table=table,
            plot=plot,
        )
