"""Settings of one server: its name, its repository, where it listens, how long starting and stopping may take."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

STATE_FOLDER_VARIABLE = "BARK_STATE"
CONFIG = "config.pbtxt"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")  # of servers


def state_folder() -> Path:
    """Where servers keep their state, locks and logs, whatever the working folder is.

    It is ``$BARK_STATE``, else ``$XDG_STATE_HOME/bark-triton``, else ``~/.local/state/bark-triton``: one per user.
    """
    if named := os.environ.get(STATE_FOLDER_VARIABLE):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "bark-triton"


def check_name(name: str) -> str:
    """The name of a server. Raises `ValueError` for what can be none."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a server's name. It has 1 to 32 of the characters a-z, 0-9, _ and -, and begins with a "
            "letter or a digit."
        )
    return name


def configs(repository: Path) -> list[Path]:
    """The ``config.pbtxt`` of each model of a rendered repository, by name of the model."""
    return sorted(repository.glob(f"*/{CONFIG}"))


def _ipv4(address: str) -> str:
    """The IPv4 address that an address or a name stands for. Raises `ValueError`.

    Of Triton's three servers only gRPC's looks names up: the other two would listen on 255.255.255.255.
    """
    try:
        return str(socket.getaddrinfo(address, None, family=socket.AF_INET, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        why = "it is an IPv6 address, and a server listens on IPv4"
        if not _is_ipv6(address):
            said = error.strerror if isinstance(error, OSError) else "a part of it is empty or too long"
            why = f"it is no IPv4 address, and no name that has one here ({said})"
        raise ValueError(
            f"{address}: {why}. Give 127.0.0.1 for this machine alone, 0.0.0.0 for all its addresses."
        ) from None


def _is_ipv6(address: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(address.strip("[]")))
    except ValueError:
        return False


class ServerSettings(BaseModel):
    """Settings of one server. Paths become absolute, so that a detached supervisor finds the same files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(check_name)] = "bark"
    repository: Path  #: a rendered model repository
    folder: Path = Field(default_factory=state_folder)  #: state file, lock, log, backend links
    address: Annotated[str, AfterValidator(_ipv4)] = "127.0.0.1"  #: IPv4; a given name is looked up once, at once
    http_port: int = Field(default=8000, ge=1, le=65_535)
    grpc_port: int = Field(default=8001, ge=1, le=65_535)
    metrics_port: int = Field(default=8002, ge=1, le=65_535)
    triton: Path | None = None  #: the tritonserver binary; None: search for one
    gpu: bool = False  #: whether models run on a GPU: Triton then gets its memory pools and metrics of GPUs
    log: Path | None = None
    gateway: bool = False  #: run the gateway beside it; the environment gives its settings
    start_timeout: float = Field(default=300.0, gt=0)  #: seconds from the launch to the canary's answer
    grace: float = Field(default=10.0, ge=0)  #: seconds that running requests get before the server stops
    stop_timeout: float = Field(default=15.0, gt=0)  #: seconds from SIGTERM to SIGKILL, after the grace time

    @model_validator(mode="after")
    def _absolute_paths_and_distinct_ports(self) -> Self:
        for field in ("repository", "folder", "log"):
            path = getattr(self, field)
            if path is not None:
                object.__setattr__(self, field, Path(path).absolute())
        if self.log is not None and self.log.exists() and not self.log.is_file():
            raise ValueError(f"{self.log} is not an ordinary file. The server reads its log again: leave --log out")
        if len({self.http_port, self.grpc_port, self.metrics_port}) < 3:
            raise ValueError("the HTTP, gRPC and metrics ports must be three different ones")
        return self

    @property
    def ports(self) -> dict[str, int]:
        """Port by name of its option, in the order of messages."""
        return {"http-port": self.http_port, "grpc-port": self.grpc_port, "metrics-port": self.metrics_port}

    @property
    def host(self) -> str:
        """The address that a client on this machine connects to."""
        return "127.0.0.1" if self.address == "0.0.0.0" else self.address

    @property
    def metrics_url(self) -> str:
        return f"http://{self.host}:{self.metrics_port}/metrics"

    @property
    def log_path(self) -> Path:
        return self.log or self.folder / f"{self.name}.log"

    @property
    def gateway_log_path(self) -> Path:
        return self.folder / f"{self.name}.gateway.log"

    @property
    def models(self) -> list[str]:
        """Names of the models in the repository."""
        return [path.parent.name for path in configs(self.repository)]
