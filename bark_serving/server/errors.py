"""What can go wrong around a Triton process."""

from __future__ import annotations

from bark_serving.errors import UserError


class ServerError(UserError):
    """A server could not be started, reached or stopped; the base class of this package's errors."""


class TritonMissing(ServerError):
    """There is no tritonserver, or none that works with this interpreter."""


class PortInUse(ServerError):
    """Another process listens on a port of the server."""


class AlreadyRunning(ServerError):
    """A server of this name is already running."""


class StartFailed(ServerError):
    """Triton ended before it was ready, or did not answer the canary."""


class StartCrashed(StartFailed):
    """A signal ended Triton before it answered, and memory had not run out."""


class Stopped(ServerError):
    """The user ended the server before it was ready."""


class ResourcesMissing(ServerError):
    """There is too little memory, or shared memory, for the server."""


class ServerDied(ServerError):
    """Triton ended without a request to stop."""


class RepositoryError(ServerError):
    """A model repository cannot be rendered or served."""
