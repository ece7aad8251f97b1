"""What all commands share: where messages go, and how errors are shown."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from bark_client.errors import BarkError, InvalidRequest

messages = Console(stderr=True)  # standard output is for audio and tables, so that both can be piped


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Show an expected error as one red line. Exit with 2 for a wrong request, else with 1."""
    try:
        yield
    except InvalidRequest as error:
        fail(str(error), code=2)
    except BrokenPipeError:
        # The player at the other end has quit. Without this, Python would report it again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except (BarkError, OSError) as error:
        fail(str(error), code=1)
    except KeyboardInterrupt:
        fail("stopped", code=130)


def fail(message: str, *, code: int) -> NoReturn:
    messages.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)
