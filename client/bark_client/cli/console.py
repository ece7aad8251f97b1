"""What all commands share: where messages go, and how errors are shown."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

import typer
from rich.console import Console, ConsoleDimensions
from rich.markup import escape
from typer.core import TyperGroup

from bark_client.cli.neighbours import neighbours
from bark_client.errors import BarkError, InvalidRequest, ServerUnavailable

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


messages = Lines(stderr=True)  # standard output is for audio and tables, so that both can be piped


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


#: Arguments of the SDK in messages of the server and the SDK, and the options that give them here.
OPTIONS: Final[Mapping[str, str]] = {
    "or allow overwriting": "or give --overwrite",
    "pick a part with start and duration": "pick a part with --start and --duration",
}


@contextlib.contextmanager
def plain_errors(options: Mapping[str, str] = OPTIONS) -> Iterator[None]:
    """Show an expected error as one red line. Exit with 2 for a wrong request, else with 1.

    options: phrases of messages, and what stands for them where a command's options are others.
    """
    try:
        with _sigterm_raises():
            yield
    except InvalidRequest as error:
        message = str(error)
        for theirs, ours in options.items():
            message = message.replace(theirs, ours)
        fail(message, code=2)
    except BrokenPipeError:
        # The player at the other end has quit. Without this, Python would report it again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except ServerUnavailable as error:
        fail(f"{error}{neighbours(error.nobody_at)}", code=1)
    except BarkError as error:
        fail(str(error), code=1)
    except OSError as error:  # mostly of a file: a full disk, or no right to write
        words = (error.strerror or str(error)).lower()
        fail(f"can't write or read {error.filename}: {words}" if error.filename else words, code=1)
    except Terminated:
        fail("stopped", code=128 + signal.SIGTERM)
    except KeyboardInterrupt:
        fail("stopped", code=130)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind as Ctrl-C does: files get closed, and the server is told."""
    free = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not free:
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def fail(message: str, *, code: int) -> NoReturn:
    messages.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)
