"""What can go wrong while building. Each error says what, which limit, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bark_serving.errors import UserError
from bark_serving.placeholders import placeholder


class BuildError(UserError):
    """Base of all errors of this package."""


class SourceError(BuildError):
    """A checkpoint cannot be found, fetched or recognised."""


class CheckpointError(BuildError):
    """A checkpoint's file is not what its format says: unreadable, incomplete, or of other shapes."""


class OutputError(BuildError):
    """The folder to write to exists, or cannot be written."""


class ExportError(BuildError):
    """A network could not be exported, or its export does not compute what the network computes."""


def refuse_placeholder(path: Path, *, text: bool = False) -> None:
    """Raise `CheckpointError` if a file is empty, a web page, a pointer of Git LFS … `text`: as `placeholder`."""
    if found := placeholder(path, text=text):
        raise CheckpointError(f"{path} {found.problem}", remedy=found.remedy)


@contextmanager
def naming(source: object) -> Iterator[None]:
    """Put `source` (a file, or a part of one) before the problem of an error that does not begin with it already."""
    try:
        yield
    except BuildError as error:
        if error.problem.startswith(str(source)):
            raise
        raise type(error)(f"{source}: {error.problem}", remedy=error.remedy) from error
