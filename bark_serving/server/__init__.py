"""Runs a real Triton: finds it, starts it, checks that it answers, reloads its models, and stops it completely."""

from bark_serving.server.errors import ServerError
from bark_serving.server.settings import ServerSettings
from bark_serving.server.supervisor import Server, running, serve

__all__ = ["Server", "ServerError", "ServerSettings", "running", "serve"]
