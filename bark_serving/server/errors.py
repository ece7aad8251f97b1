"""What can go wrong around a Triton process."""

from __future__ import annotations

from bark_serving.errors import UserError


class ServerError(UserError):
    """A server could not be started, reached or stopped; the base class of this package's errors."""


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
