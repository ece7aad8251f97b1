"""`bark-batch`: speak a table of texts."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import typer
from rich.markup import escape

from bark_batch import options as own
from bark_batch.rows import Columns
from bark_batch.wanted import Wanted, how_far
from bark_client import BarkError, InvalidRequest
from bark_client.cli import options as opt
from bark_client.cli.console import fail, messages, plain_errors
from bark_client.cli.say import say
from bark_client.connection import DEFAULT_URL

app = typer.Typer(
    name="bark-batch", rich_markup_mode="markdown", pretty_exceptions_enable=False, add_completion=False
)  # fmt: skip


@app.command()
@opt.options_of(say)
def batch(
    texts: own.Texts,
    output: own.Output,
    format_: own.Format = "flac",
    tokens: own.Tokens = True,
    shard_rows: own.ShardRows = None,
    resume: own.Resume = False,
    text_column: own.TextColumn = "text",
    voice_column: own.VoiceColumn = None,
    seed_column: own.SeedColumn = None,
    id_column: own.IdColumn = None,
    voice: opt.Voice = None,
    seed: own.Seed = None,
    server: own.Server = None,
    slots: own.Slots = 8,
    address: own.Address = None,
    workers: own.Workers = None,
    patience: own.Patience = 600.0,
    timeout: opt.Timeout = None,
    answer_timeout: opt.AnswerTimeout = 300.0,
    version: own.Version = False,
    **options: Any,
) -> None:
    """Speak a table of texts into Parquet files of audio, tokens, verdicts and times.

    It needs a server, or several: `bark-serve up --detach`, then `bark-batch texts.csv -o corpus --voice joe`

    After an interruption, even by kill -9, the same command with --resume goes on: files that are written stay. The
    result is the same, byte by byte, as without the interruption. A row that cannot be spoken is kept, with its error.
    """
    with plain_errors():
        wanted = Wanted(
            inputs=texts,
            output=output,
            columns=Columns(text_column, voice_column, seed_column, id_column),
            voice=voice,
            seed=seed,
            format=format_,
            tokens=tokens,
            shard_rows=shard_rows,
            options={name: value for name, value in options.items() if value is not None},
            resume=resume,
            servers=list(dict.fromkeys(server or [DEFAULT_URL])),
            slots=slots,
            workers=workers,
            address=address,
            patience=patience,
            timeout=timeout,
            answer_timeout=answer_timeout,
        )
        from bark_batch import job  # needs Ray, which `--help` does not

        with _resumable(wanted):
            result = job.run(wanted, messages)
        messages.print(f"[bold green]{escape(str(output / 'data'))}[/]", highlight=False)
        for line in result.lines:
            messages.print(line, highlight=False, markup=False)
        if not result.spoken:
            fail("no row could be spoken", code=1)


@contextlib.contextmanager
def _resumable(wanted: Wanted) -> Iterator[None]:
    """Say how to go on after an error or Ctrl-C."""
    try:
        yield
    except (KeyboardInterrupt, BarkError, OSError) as error:
        if not isinstance(error, InvalidRequest) and (words := how_far(wanted)) is not None:
            command = shlex.join(["bark-batch", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
            messages.print(f"{words}. Go on with: {escape(command)}", highlight=False)
        raise
