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
from reference.quality import Dnsmos


def command(
    bundle: opt.SpeakingBundle = MINIATURE,
    variant: opt.Variants = None,
    voice: Annotated[
        list[str] | None,
        typer.Option("--voice", help="A voice to speak with; may be repeated. Default: all voices of the bundle."),
    ] = None,
    sentences: Annotated[int, typer.Option(min=1, help="Sentences per voice for the speech recogniser.")] = 20,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            exists=True,
            dir_okay=False,
            help="A file of sentences, one per line. Default: sentences that the miniature was not trained on.",
        ),
    ] = None,
    endings: Annotated[
        int, typer.Option(min=0, help="More sentences, by the voices in turns, to see whether speech ends by itself.")
    ] = 100,
    recorded: Annotated[
        Path | None,
        typer.Option(
            "--recordings",
            help="A folder of the same sentences, spoken by the teacher of the bundle: SPEAKER/00.ogg, 01.ogg, … "
            "Default: the recordings of the miniature's teacher; with --texts, none.",
        ),
    ] = None,
    threads: opt.Threads = None,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """Is speech understood? A speech recogniser transcribes sentences, spoken through Triton, that no training saw.

    Each voice speaks every sentence once; so does the model without a voice. *Word errors* are the words that the
    recogniser (Whisper tiny.en) gets wrong, adds or leaves out, divided by all words. Its own mistakes count too.
    Compare with the first rows: recordings of the miniature's teacher, and these recordings after the bundle's
    codec. Then the first variant speaks the recordings again, from their own coarse tokens, and from their own
    semantic tokens. These two rows show what the stages that follow lose. *Cross-entropy* is how unexpected the
    right text is to the recogniser: the mean of -log p of a token, in nats; 0 is best. It changes before words
    change. *Quality* is how good the speech sounds, from 1 to 5, as a model of listeners' opinions estimates it
    (DNSMOS P.835, overall; the median of all sentences). *Pitch* shows whether the voice is still the same.
    Speech that does not end by itself is cut at the longest duration of a sentence.

    This needs trained weights: random weights speak noise.

    Try it: `python -m benchmarks listen --variant "cpu int8" --sentences 5 --endings 10`

    Your own sentences: `python -m benchmarks listen --texts FILE --sentences 40 --endings 0`

    To keep: `python -m benchmarks listen -o benchmarks/results/listen-miniature.json`
    """
    with errors_shown():
        require("matplotlib")
        count, here, chosen = opt.threads_of(threads), machine.describe(), variants.chosen(variant)
        # first, because they may not be installed
        judges = understanding.Judges(Listener(threads=count), Dnsmos(threads=count))
        lines = recordings.sentences(sentences + endings, path=texts or recordings.SENTENCES)
        folder = recorded or (recordings.TEACHER if recordings.TEACHER.is_dir() and not texts else None)
        clips = recordings.by_teacher(lines[:sentences], folder=folder) if folder else None
        opened, store = prepare("tiny", bundle, variants=chosen, engines=engines)
        trial = understanding.Trial(
            bundle=opened,
            variants=chosen,
            store=store,
            threads=count,
            spoken=lines[:sentences],
            ended=lines[sentences:],
            recordings=clips,
            voices=[*voice, None] if voice else understanding.voices_of(opened),
        )
        with steps(understanding.step_count(trial)) as step:
            measured = understanding.measure(trial, judges=judges, on_step=step)
        settings = {"bundle": opened.spec.name, "threads": count, "sentences": sentences, "endings": endings}
        settings |= {"texts": texts.name} if texts else {}
        notes = understanding.caveats(trial, measured)
        finish(
            results.make("listen", measured, on=here, settings=settings, notes=notes),
            opt.output_of(output, "listen", what=opened.spec.name),
            table=table,
            plot=plot,
        )
