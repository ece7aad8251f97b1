"""`bark`: speak from the command line."""

from __future__ import annotations

from typing import Annotated

import typer

import bark_client
from bark_client.cli import options as opt
from bark_client.cli.book import book
from bark_client.cli.console import Commands, fail, messages, plain_errors
from bark_client.cli.neighbours import neighbours
from bark_client.cli.say import say
from bark_client.cli.voice import app as voice_app
from bark_client.client import BarkClient
from bark_client.connection import DEFAULT_URL

app = typer.Typer(
    name="bark",
    cls=Commands,
    help='Speak with a Bark server.\n\nFor example: `bark say "Hello there." -o hello.flac`',
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(say)
app.command()(book)
app.add_typer(voice_app, name="voice")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bark {bark_client.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that come before a command."""


@app.command()
def health(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also speak a word: only this shows that every model works.")
    ] = False,
    url: opt.Url = DEFAULT_URL,
) -> None:
    """Say whether the server can speak; exit with 1 when it can't."""
    with plain_errors(), BarkClient(url) as client:
        with messages.status("asking the server …"):
            found = client.health(deep=deep)
        if not found.ok:
            fail(f"{found.problem}{neighbours('' if found.live else url)}", code=1)
        spoken = f", spoke a word in {found.canary_seconds:.1f} s" if found.canary_seconds is not None else ""
        busy = ", busy: the word was not spoken in time, but the server is speaking for others" if found.busy else ""
        typer.echo(f"{url}: ready ({found.server}){spoken}{busy}")
