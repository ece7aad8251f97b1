"""A lock on a folder, so that two commands do not work in it at the same time."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from bark_client.errors import InvalidRequest


@contextlib.contextmanager
def locked(folder: Path, *, named: Path | None = None) -> Iterator[None]:
    """A lock on the folder, which ends with its process. On Windows there is none.

    named: the folder that the error names. Raises InvalidRequest if another process has it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InvalidRequest(f"another command is working in {named or folder}: wait for it, or stop it") from None
    finally:
        os.close(descriptor)
