"""Running a real Triton: find it, start it, know that it answers, keep it answering, stop it without a trace."""

from bark_serving.server.errors import ServerError
from bark_serving.server.settings import ServerSettings
from bark_serving.server.supervisor import Server, running, serve

__all__ = ["Server", "ServerError", "ServerSettings", "running", "serve"]
