"""``listen``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bark_serving.bundle import MINIATURE
from bark_serving.cli.console import steps
from benchmarks import machine, results, variants
from benchmarks import options as opt
from benchmarks.listen import measure as understanding
from benchmarks.listen.report import plot, table
from benchmarks.running import errors_shown, finish, prepare, require
from reference import recordings
from reference.listener import Listener


def command(
    bundle: opt.SpeakingBundle = MINIATURE,
    variant: opt.Variants = None,
    voice: Annotated[
        list[str] | None,
        typer.Option("--voice", help="A voice to speak with; may be repeated. Default: all of the bundle."),
    ] = None,
    sentences: Annotated[int, typer.Option(min=1, help="Sentences that each voice speaks, to be written down.")] = 20,
    endings: Annotated[
        int, typer.Option(min=0, help="Further ones, by the voices in turns, to see whether they end.")
    ] = 100,
    recorded: Annotated[
        Path | None,
        typer.Option(
            "--recordings",
            help="A folder of the same sentences by those whom the bundle learnt from: SPEAKER/00.ogg, 01.ogg, … "
            "Default: those of the miniature.",
        ),
    ] = None,
    threads: opt.Threads = None,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """Is speech still understood: what a recogniser writes down, through Triton, of sentences that no training saw.

    Each voice, and no voice, speaks every sentence once. *Word errors* are words that the recogniser (Whisper tiny.en)
    has wrong, too many or too few, over all words; its own mistakes count, so look at the recordings' first: one row is
    the teacher whom the miniature learnt from, the next the same recordings through the bundle's codec. *Pitch* tells
    whether it is still the same person. Speech that does not end by itself is cut at the longest a sentence may be.

    Weights matter here: random ones speak noise.

    Try it: `python -m benchmarks listen --variant "cpu int8" --sentences 5 --endings 10`

    To keep: `python -m benchmarks listen -o benchmarks/results/listen-miniature.json`
    """
    with errors_shown():
        require("matplotlib")
        count, here, chosen = opt.threads_of(threads), machine.describe(), variants.chosen(variant)
        listener = Listener(threads=count)  # before any work, for it may not be installed
        texts = recordings.sentences(sentences + endings)
        opened, store = prepare("tiny", bundle, variants=chosen, engines=engines)
        trial = understanding.Trial(
            bundle=opened,
            variants=chosen,
            store=store,
            threads=count,
            spoken=texts[:sentences],
            ended=texts[sentences:],
            recordings=recorded or (recordings.TEACHER if recordings.TEACHER.is_dir() else None),
            voices=[*voice, None] if voice else understanding.voices_of(opened),
        )
        with steps(understanding.step_count(trial)) as step:
            measured = understanding.measure(trial, listener=listener, on_step=step)
        settings = {"bundle": opened.spec.name, "threads": count, "sentences": sentences, "endings": endings}
        notes = understanding.doubts(trial, measured)
        finish(
            results.make("listen", measured, on=here, settings=settings, notes=notes),
            opt.output_of(output, "listen", what=opened.spec.name),
            table=table,
            plot=plot,
        )
