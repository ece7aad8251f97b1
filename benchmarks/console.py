"""What the commands print: progress while they measure, tables at the end, errors as one red line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bark_client import BarkError
from bark_serving.errors import UserError

console = Console(stderr=True, highlight=False)
Step = Callable[[str], None]


@contextmanager
def errors_shown() -> Iterator[None]:
    """Print an expected error as one red line with its remedy and leave with status 1."""
    try:
        yield
    except UserError as error:
        _leave(error.problem, error.remedy, error)
    except BarkError as error:
        _leave(str(error), "", error)


def _leave(problem: str, remedy: str, cause: Exception) -> None:
    console.print(f"[red]error:[/red] {escape(problem)}", soft_wrap=True)
    if remedy:
        console.print(escape(remedy), soft_wrap=True)
    raise typer.Exit(1) from cause


@contextmanager
def progress(total: int) -> Iterator[Step]:
    """A bar over `total` steps. Yields a function that names the step that begins; the one before it is then done."""
    bar = Progress(
        TextColumn("{task.description:<52}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    begun = -1
    task = bar.add_task("starting", total=total)

    def step(label: str) -> None:
        nonlocal begun
        begun += 1
        bar.update(task, description=escape(label), completed=begun)
        if not console.is_terminal:
            console.print(f"[{min(begun + 1, total)}/{total}] {escape(label)}", markup=False, soft_wrap=True)

    if console.is_terminal:
        bar.start()
    try:
        yield step
        bar.update(task, description="done", completed=total)
    finally:
        bar.stop()
