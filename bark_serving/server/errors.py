"""What can go wrong around a Triton process. Each error carries the remedy apart from the fact."""

from __future__ import annotations


class ServerError(Exception):
    """A server could not be started, reached or stopped; the base class of this package's errors."""

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class TritonMissing(ServerError):
    """No tritonserver, or one that this interpreter cannot work with."""


class PortInUse(ServerError):
    """Somebody else listens where the server should."""


class AlreadyRunning(ServerError):
    """A server of this name runs already."""


class StartFailed(ServerError):
    """Triton ended, or did not answer the canary, before it was ready."""


class Stopped(ServerError):
    """The user ended the server before it was ready."""


class ServerDied(ServerError):
    """Triton ended without having been asked to."""


class RepositoryError(ServerError):
    """A model repository cannot be rendered or served."""
