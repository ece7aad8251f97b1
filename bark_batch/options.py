"""The options of `bark-batch`, one type per option: names and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from bark_batch import __version__
from bark_batch.folder import MAX_SHARD_CHARACTERS, MAX_SHARD_ROWS
from bark_client.connection import DEFAULT_URL


def _table(*names: str, text: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Table", metavar="NAME")


def _running(*names: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Servers and Ray", **more)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bark-batch {__version__}")
        raise typer.Exit


Texts: TypeAlias = Annotated[
    list[Path],
    typer.Argument(help="Tables: .parquet, .csv, .tsv or .jsonl, one text per row.", exists=True, dir_okay=False),
]
Output: TypeAlias = Annotated[
    Path, typer.Option("--output", "-o", help="A new folder, which all nodes see.", file_okay=False)
]
Format: TypeAlias = Annotated[Literal["flac", "opus"], typer.Option("--format", help="Of the audio.")]
Tokens: TypeAlias = Annotated[bool, typer.Option("--tokens/--no-tokens", help="Keep the tokens, too.")]
ShardRows: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--shard-rows",
        help="Rows per file. A kill costs the files under way. A worker has two in memory: some 1.5 kB per character. "
        f"If not given: at most {MAX_SHARD_ROWS} rows and {MAX_SHARD_CHARACTERS} characters of text.",
        min=1,
        max=100_000,
    ),
]
Resume: TypeAlias = Annotated[
    bool, typer.Option("--resume", help="Go on with a job that was interrupted; begin it if there is none.")
]
Version: TypeAlias = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]

TextColumn: TypeAlias = Annotated[str, _table("--text-column", text="Column of the texts.")]
VoiceColumn: TypeAlias = Annotated[
    str | None, _table("--voice-column", text="Column of the voices. If not given: voice, where there is one.")
]
SeedColumn: TypeAlias = Annotated[
    str | None, _table("--seed-column", text="Column of the seeds. If not given: seed, where there is one.")
]
IdColumn: TypeAlias = Annotated[
    str | None,
    _table("--id-column", text="Column of the ids. If not given: id, where there is one, else the row's number."),
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--seed",
        help="A row without a seed gets one made from its id and this number. If not given: 0.",
        rich_help_panel="How to speak",
        min=0,
    ),
]

Server: TypeAlias = Annotated[
    list[str] | None,
    _running(
        "--server",
        text=f"A server's gRPC endpoint; repeatable. If not given: {DEFAULT_URL}.",
        envvar="BARK_URL",
        metavar="HOST:PORT",
    ),
]
Slots: TypeAlias = Annotated[
    int, _running("--requests", text="Requests that each server has at once, at most.", min=1, max=4096)
]
Address: TypeAlias = Annotated[
    str | None, _running("--address", text="A Ray cluster: host:port, or auto. If not given: this machine alone.")
]
Workers: TypeAlias = Annotated[
    int | None,
    _running("--workers", text="Processes that write files. If not given: one per node of the cluster.", min=1),
]
Patience: TypeAlias = Annotated[
    float, _running("--patience", text="Seconds to wait while no server answers; then the job ends.", min=0.0)
]
