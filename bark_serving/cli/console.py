"""What the commands print on stderr: errors with their remedy, and the progress of long jobs.

Used by ``bark-serve``, ``bark-build`` and ``python -m benchmarks``.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console, ConsoleDimensions
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup

from bark_serving.errors import UserError
from bark_serving.files import FULL_DISK

_UNWRAPPED_COLUMNS = 10_000
#: Wrong usage. Versions of typer differ in whether the class is click's or their own copy of it.
_CLICK_ERROR: Any = typer.BadParameter.__mro__[2]


class Lines(Console):
    """A console that breaks lines for a terminal only. A log file or a pipe gets one line per message or row."""

    @property  # type: ignore[misc]
    def size(self) -> ConsoleDimensions:
        size = super().size
        return size if self.file.isatty() else ConsoleDimensions(_UNWRAPPED_COLUMNS, size.height)


class Commands(TyperGroup):
    """The group of a command line. A terminal gets wrong usage in a box, a log file or a pipe in unbroken lines."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command of a command line, with the options of typer's `main`."""
        if sys.stderr.isatty() or not options.get("standalone_mode", True):
            return super().main(*args, **options)
        try:
            status = super().main(*args, **{**options, "standalone_mode": False})
        except typer.Abort:
            sys.exit("Aborted.")
        except _CLICK_ERROR as error:
            if error.format_message():  # there is none where help was shown
                error.show()
            sys.exit(error.exit_code)
        sys.exit(status if isinstance(status, int) else 0)


console = Lines(stderr=True, highlight=False)
EXIT_ERROR = 1
EXIT_WRONG_OPTION = 2


@contextmanager
def errors_shown(*others: type[Exception]) -> Iterator[None]:
    """Print an expected error and its remedy, and exit with status 1; with status 2 if an option has a wrong value.

    Expected are `UserError`, `OSError` and the classes in `others`. All other errors pass through.
    """
    expected: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except UserError as error:
        print_error(error.problem, error.remedy)
        raise typer.Exit(EXIT_ERROR) from error
    except ValidationError as error:  # of settings made from options
        first = error.errors()[0]
        option = "--" + "-".join(str(part) for part in first["loc"]).replace("_", "-") if first["loc"] else "options"
        print_error(f"{option}: {first['msg'].removeprefix('Value error, ')}")
        raise typer.Exit(EXIT_WRONG_OPTION) from error
    except expected as error:
        print_error(*_problem_and_remedy(error))
        raise typer.Exit(EXIT_ERROR) from error


def _problem_and_remedy(error: Exception) -> tuple[str, str]:
    """What the system said of a file, in a sentence, and what gives access to it."""
    if not isinstance(error, OSError) or error.filename is None:
        if isinstance(error, OSError) and error.errno in FULL_DISK:  # that of a write has no name
            return f"{error.strerror}.", "`df -h` shows which disk is full. Make room there, or name another folder."
        return str(error), ""
    path, remedy = Path(str(error.filename)), ""
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = _access_remedy(path)
    elif error.errno == errno.EROFS:
        remedy = "Mount it for writing, or name another folder."
    elif error.errno in FULL_DISK:
        remedy = "Make room on its disk, or name a folder on another one."
    return f"{path}: {error.strerror}.", remedy


def _access_remedy(path: Path) -> str:
    """What gives this user access to the file, or to the folder that it would be in."""
    user = os.getuid()
    place = next((parent for parent in path.absolute().parents if parent.exists()), path.parent)
    if path.exists() and os.access(place, os.W_OK | os.X_OK):  # so it is the file itself
        place = path
    if place.exists() and place.stat().st_uid == user:
        return f"{place} is this user's, but its mode forbids it: `chmod u+rwX {place}`. Or name another."
    return f"This command runs as user {user}. Give that user {place}, or name another: `chown {user} {place}`."


def print_warning(message: str) -> None:
    """Print what a command can go on with."""
    console.print(f"[yellow]warning:[/yellow] {escape(message)}", soft_wrap=True)


def print_error(problem: str, remedy: str = "") -> None:
    """Print a problem in red, and the remedy on a line of its own."""
    console.print(f"[red]error:[/red] {escape(problem)}", soft_wrap=True)
    if remedy:
        console.print(escape(remedy), soft_wrap=True)


def bars(label_width: int = 28) -> Progress:
    """One bar per task: its label, its count of steps, and the time since it began."""
    return Progress(
        TextColumn(f"{{task.description:<{label_width}}}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


class Steps:
    """The steps of one long job. Call it with the label of the step that begins."""

    def __init__(self, progress: Progress, *, total: int | None) -> None:
        self._progress, self._total = progress, total
        self._task = progress.add_task("starting", total=total)
        self._begun = 0
        self._drawn = console.is_terminal
        if self._drawn:
            progress.start()

    def __call__(self, label: str) -> None:
        """Begin a step; the one before it is done."""
        self._begun += 1
        if self._drawn:
            self._progress.update(self._task, description=escape(label), completed=self._begun - 1)
        else:
            count = f"[{min(self._begun, self._total)}/{self._total}] " if self._total else ""
            console.print(escape(count + label), soft_wrap=True)

    def finish(self) -> None:
        """Fill the bar: the last step is done."""
        if self._drawn and self._total:
            self._progress.update(self._task, description="done", completed=self._total)

    def stop(self) -> None:
        """Stop drawing. Each label after this is printed on a line of its own."""
        if self._drawn:
            self._drawn = False
            self._progress.stop()


@contextmanager
def steps(total: int | None = None) -> Iterator[Steps]:
    """Show a job of `total` steps as a bar, or one of unknown length as a spinner.

    Without a terminal, each step is one line.
    """
    spinner = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    )
    shown = Steps(bars(label_width=52) if total else spinner, total=total)
    try:
        yield shown
        shown.finish()
    finally:
        shown.stop()
