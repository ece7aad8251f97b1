"""What the commands print: one console, errors as one red line, progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bark_serving.bundle import BundleError
from build_engines.errors import BuildError

console = Console(stderr=True, highlight=False)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Print an expected error as one red line with its remedy and leave with status 1."""
    try:
        yield
    except BuildError as error:
        console.print(f"[red]error:[/red] {escape(error.problem)}", soft_wrap=True)
        if error.remedy:
            console.print(escape(error.remedy), soft_wrap=True)
        raise typer.Exit(1) from error
    except BundleError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


def progress() -> Progress:
    """A bar with its label, how many of how many, and the time it takes."""
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


@contextmanager
def drawn(bar: Progress) -> Iterator[None]:
    """Stop drawing `bar` when the block ends, however it does."""
    try:
        yield
    finally:
        bar.stop()
