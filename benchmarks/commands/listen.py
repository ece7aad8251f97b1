"""``listen``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bark_serving.bundle import MINIATURE
from benchmarks import machine, recordings, results, understanding, variants
from benchmarks.commands.finish import finish
from benchmarks.commands.prepare import prepare
from benchmarks.console import errors_shown, progress
from benchmarks.listening import Listener
from benchmarks.options import (
    ENGINES,
    EnginesOption,
    OutputOption,
    SpeakingBundleOption,
    ThreadsOption,
    VariantOption,
    output_of,
    threads_of,
)


def command(
    bundle: SpeakingBundleOption = MINIATURE,
    variant: VariantOption = None,
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
    threads: ThreadsOption = None,
    engines: EnginesOption = ENGINES,
    output: OutputOption = None,
) -> None:
    """Is speech still understood: what a recogniser writes down, through Triton, of sentences that no training saw.

    Each voice, and no voice, speaks every sentence once. *Word errors* are words that the recogniser (Whisper tiny.en)
    has wrong, too many or too few, over all words; its own mistakes count, so look at the recordings' first: one row is
    the teacher whom the miniature learnt from, the next the same recordings through the bundle's codec. *Pitch* tells
    whether it is still the same person. Speech that does not end by itself is cut at the longest a sentence may be.

    Weights matter here: random ones speak noise.

    Try it: `python -m benchmarks listen --variant "cpu int8" --sentences 5 --endings 10`

    README: `python -m benchmarks listen -o benchmarks/results/listen-miniature.json`
    """
    with errors_shown():
        count, here, chosen = threads_of(threads), machine.describe(), variants.chosen(variant)
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
        with progress(understanding.step_count(trial)) as step:
            measured = understanding.measure(trial, listener=listener, on_step=step)
        settings = {"bundle": opened.spec.name, "threads": count, "sentences": sentences, "endings": endings}
        notes = understanding.doubts(trial, measured)
        finish(
            results.make("listen", measured, on=here, settings=settings, notes=notes),
            output_of(output, "listen", what=opened.spec.name),
        )
