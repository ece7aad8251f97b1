"""`bark-batch`: speak a table of texts."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from bark_batch import __version__
from bark_batch.folder import MAX_SHARD_ROWS
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


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bark-batch {__version__}")
        raise typer.Exit


def _table(*names: str, text: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Table", metavar="NAME")


def _running(*names: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Servers and Ray", **more)


@app.command()
@opt.options_of(say)
def batch(
    texts: Annotated[
        list[Path],
        typer.Argument(help="Tables: .parquet, .csv, .tsv or .jsonl, one text per row.", exists=True, dir_okay=False),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A new folder, which all nodes see.", file_okay=False),
    ],
    format_: Annotated[Literal["flac", "opus"], typer.Option("--format", help="Of the audio.")] = "flac",
    tokens: Annotated[bool, typer.Option("--tokens/--no-tokens", help="Keep the tokens, too.")] = True,
    shard_rows: Annotated[
        int | None,
        typer.Option(
            "--shard-rows",
            help=f"Rows per file. A kill costs the files under way. Default: at most {MAX_SHARD_ROWS}.",
            min=1,
            max=100_000,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a job that was interrupted; begin it if there is none.")
    ] = False,
    text_column: Annotated[str, _table("--text-column", text="Column of the texts.")] = "text",
    voice_column: Annotated[
        str | None, _table("--voice-column", text="Column of the voices. If not given: voice, where there is one.")
    ] = None,
    seed_column: Annotated[
        str | None, _table("--seed-column", text="Column of the seeds. If not given: seed, where there is one.")
    ] = None,
    id_column: Annotated[
        str | None,
        _table("--id-column", text="Column of the ids. If not given: id, where there is one, else the row's number."),
    ] = None,
    voice: opt.Voice = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            help="A row without a seed gets one made from its id and this number. If not given: 0.",
            rich_help_panel="How to speak",
            min=0,
        ),
    ] = None,
    server: Annotated[
        list[str] | None,
        _running(
            "--server",
            text=f"A server's gRPC endpoint; repeatable. If not given: {DEFAULT_URL}.",
            envvar="BARK_URL",
            metavar="HOST:PORT",
        ),
    ] = None,
    slots: Annotated[
        int, _running("--requests", text="Requests that each server has at once, at most.", min=1, max=4096)
    ] = 8,
    address: Annotated[
        str | None,
        _running("--address", text="A Ray cluster: host:port, or auto. If not given: this machine alone."),
    ] = None,
    workers: Annotated[
        int | None,
        _running("--workers", text="Processes that write files. If not given: one per node of the cluster.", min=1),
    ] = None,
    patience: Annotated[
        float, _running("--patience", text="Seconds to wait while no server answers; then the job ends.", min=0.0)
    ] = 600.0,
    timeout: opt.Timeout = None,
    answer_timeout: opt.AnswerTimeout = 300.0,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
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
