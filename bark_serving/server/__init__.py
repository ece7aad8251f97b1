"""Runs a real Triton: finds it, starts it, checks that it answers, reloads its models, and stops it completely."""

from bark_serving.server.errors import ServerError
from bark_serving.server.settings import ServerSettings
from bark_serving.server.supervisor import serve
from bark_serving.server.triton_run import Server, running

__all__ = ["Server", "ServerError", "ServerSettings", "running", "serve"]
