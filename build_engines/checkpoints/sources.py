"""Where checkpoints come from: a folder, a file, or a repository on the Hugging Face hub."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from build_engines.errors import SourceError

#: `owner/name`, or a bare `name` of the hub's first models, and optionally `:file`.
_REPOSITORY = re.compile(r"(?P<repo>(?P<owner>[\w-][\w.-]*/)?[\w-][\w.-]*)(?::(?P<file>[\w./ -]+))?")
HUB_TIMEOUT_S = 5.0  #: for an answer to a small question; the hub's own client tries for half a minute
#: What ends like this is the name of a file rather than of a repository.
_FILE_SUFFIXES = (".pt", ".pth", ".th", ".json", ".txt")


@dataclass(frozen=True)
class Place:
    """A folder or a repository of the hub. `only`: the one file that the user named, if it was a file."""

    text: str  #: as the user wrote it
    folder: Path | None  #: None: on the hub
    repo: str = ""
    revision: str | None = None
    only: str | None = None

    @property
    def title(self) -> str:
        """The last part of its name or path."""
        return self.repo.rsplit("/", 1)[-1] if self.folder is None else self.folder.absolute().name

    def label(self, name: str) -> str:
        """The name of one of its files in the bundle's spec, without paths of the importing machine."""
        return f"{self.repo}/{name}" if self.folder is None else name

    @functools.cached_property
    def names(self) -> list[str]:
        """Relative names of its files. The hub is asked for the list; no file is fetched. Raises `SourceError`."""
        if self.only is not None:
            return [self.only]
        if self.folder is None:
            return _hub_names(self)
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    def fetch(self, names: Iterable[str]) -> Path:
        """The folder that holds these files, which are fetched first if it is on the hub. Raises `SourceError`."""
        return self.folder if self.folder is not None else _hub_fetch(self, list(names))


def locate(text: str, *, revision: str | None = None, bare: bool = False) -> Place:
    """The place that a user names: a path if it exists, else a repository of the hub. The hub is not asked yet.

    bare: a name without owner may be of the hub, as `bert-base-multilingual-cased` is; else it is a folder's.
    Raises `SourceError`.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        return Place(text, folder=path)
    if path.is_file():
        return Place(text, folder=path.parent, only=path.name)
    match = _REPOSITORY.fullmatch(text)
    looks_local = path.is_absolute() or text.startswith((".", "~")) or path.suffix in _FILE_SUFFIXES
    of_the_hub = match and (match["owner"] or bare) and (match["file"] or not looks_local)
    if not match or not of_the_hub:
        raise SourceError(
            f"there is no file or folder {text}.",
            remedy="Check the path, or write OWNER/NAME or OWNER/NAME:FILE for a repository of the Hugging Face hub.",
        )
    return Place(text, folder=None, repo=match["repo"], revision=revision, only=match["file"])


def _hub_names(place: Place) -> list[str]:
    from huggingface_hub import HfApi

    with _hub_errors(place):
        # not list_repo_files: it repeats its question for 25 s where there is no network
        found = HfApi().model_info(place.repo, revision=place.revision, timeout=HUB_TIMEOUT_S)
    return sorted(file.rfilename for file in found.siblings or ())


def _hub_fetch(place: Place, names: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    with _hub_errors(place):
        folder = Path(snapshot_download(place.repo, revision=place.revision, allow_patterns=names))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise SourceError(f"{place.repo} on the hub has no {missing[0]}.", remedy="Check its files on the hub's page.")
    return folder


@contextmanager
def _hub_errors(place: Place) -> Iterator[None]:
    """Turn whatever the hub's client raises into `SourceError`."""
    from huggingface_hub import errors

    # HfHubHTTPError's bases include the base of all errors of the HTTP library that the client is built on
    transport = [base for base in errors.HfHubHTTPError.__mro__ if base.__name__ == "HTTPError"]
    failures: tuple[type[BaseException], ...] = (*transport, errors.HfHubHTTPError, OSError, RuntimeError)
    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        at = f" at revision {place.revision}" if place.revision else ""
        raise SourceError(
            f"{place.repo}{at} is not on the hub, or not for you to read; nor is there a folder {place.repo} here.",
            remedy="Check the name; for a private or gated repository log in with `hf auth login`.",
        ) from error
    except failures as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SourceError(
            f"there is no folder {place.repo} here, and it could not be fetched from the hub ({reason}).",
            remedy="Check the path; or check the connection and HF_ENDPOINT, or give a folder with its files.",
        ) from error
