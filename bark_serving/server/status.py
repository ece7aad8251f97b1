"""What `bark-serve status` shows of the servers that run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import tritonclient.grpc as grpc
from pydantic import BaseModel, ConfigDict

from bark_serving.server import state
from bark_serving.server.canary import models_ready
from bark_serving.server.repository import read_rendered
from bark_serving.server.restarts import Restarts
from bark_serving.server.settings import ServerSettings


class Status(BaseModel):
    """One server, as `bark-serve status` shows it."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    triton_pid: int
    state: str  #: "starting", "ready", "degraded" (a model is not ready) or "restarting"
    restarts: Restarts  #: of Triton: how often, when and why the last time
    bundle: str | None  #: name of the bundle; None, as the next two: another program made the repository
    profile: str | None
    precision: str | None
    runtime: str | None  #: what runs the transformers
    uptime: float  #: seconds since launch
    address: str
    ports: dict[str, int]
    gateway: str | None  #: where its gateway listens; None if it has none
    repository: Path
    log: Path
    models: dict[str, bool]  #: whether Triton calls each ready

    def rows(self) -> list[tuple[str, str]]:
        """Label and text, line by line."""
        return [
            ("server", f"{self.name}, {self._state_and_models}"),
            ("pid", f"{self.pid} (Triton {self.triton_pid})"),
            ("serves", self._serves),
            *([("runs on", self.runtime)] if self.runtime else []),
            ("uptime", self._uptime),
            ("restarts", str(self.restarts)),
            ("listens on", f"{self.address}: {self._ports}"),
            *([("gateway", self.gateway)] if self.gateway else []),
            ("models", ", ".join(name if ready else f"{name} (not ready)" for name, ready in self.models.items())),
            ("repository", str(self.repository)),
            ("log", str(self.log)),
        ]

    def cells(self) -> tuple[str, ...]:
        """One line of the table of all servers, in the order of `COLUMNS`."""
        return (self.name, self._state_and_models, self._serves, self._ports_and_gateway, self._uptime, str(self.log))

    @property
    def _state_and_models(self) -> str:
        """The state; if it is "degraded", with the models that are not ready."""
        missing = [name for name, ready in self.models.items() if not ready]
        if self.state != DEGRADED:
            return self.state
        return f"{self.state}: {'no model' if len(missing) == len(self.models) else ', '.join(missing)}"

    @property
    def _serves(self) -> str:
        return ", ".join(part for part in (self.bundle, self.profile, self.precision) if part) or "unknown"

    @property
    def _ports(self) -> str:
        return ", ".join(f"{name.removesuffix('-port')} {port}" for name, port in self.ports.items())

    @property
    def _ports_and_gateway(self) -> str:
        return f"{self._ports}, gateway {self.gateway}" if self.gateway else self._ports

    @property
    def _uptime(self) -> str:
        return str(timedelta(seconds=int(self.uptime)))


COLUMNS = ("name", "state", "bundle, profile, precision", "ports", "uptime", "log")

READY, DEGRADED = "ready", "degraded"


def describe_all(folder: Path) -> list[Status]:
    """All servers that run, by name."""
    return [_describe(found) for found in state.running_servers(folder)]


def describe(folder: Path, *, name: str) -> Status | None:
    """The server of this name, or None if it does not run."""
    found = state.read(folder, name=name)
    return None if found is None or not found.running else _describe(found)


def _describe(found: state.ServerState) -> Status:
    settings = found.settings
    rendered, models = read_rendered(settings.repository), _ready(settings)
    return Status(
        name=settings.name,
        pid=found.pid,
        triton_pid=found.triton_pid,
        state=_state(found, models),
        restarts=found.restarts,
        bundle=rendered.bundle if rendered else None,
        profile=rendered.profile if rendered else None,
        precision=rendered.precision if rendered else None,
        runtime=rendered.runtime if rendered else None,
        uptime=found.uptime,
        address=settings.address,
        ports=settings.ports,
        gateway=found.gateway_url or None,
        repository=settings.repository,
        log=settings.log_path,
        models=models,
    )


def _state(found: state.ServerState, models: Mapping[str, bool]) -> str:
    if found.ready:
        return READY if all(models.values()) else DEGRADED
    return "restarting" if found.restarts.count else "starting"


def _ready(settings: ServerSettings) -> dict[str, bool]:
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    try:
        return models_ready(settings, client=client)
    finally:
        client.close()
