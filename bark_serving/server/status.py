"""What a running server looks like from outside."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import tritonclient.grpc as grpc
from pydantic import BaseModel, ConfigDict
from tritonclient.utils import InferenceServerException

from bark_serving.server import state
from bark_serving.server.settings import ServerSettings

_CALL = 2.0  # seconds that a health call may take


class Status(BaseModel):
    """One server, as `bark-serve status` shows it."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    triton_pid: int
    state: str  #: "starting" or "ready"
    uptime: float  #: seconds since launch
    address: str
    ports: dict[str, int]
    repository: Path
    log: Path
    models: dict[str, bool]  #: whether Triton calls each ready

    def rows(self) -> list[tuple[str, str]]:
        """Label and text, line by line."""
        ports = ", ".join(f"{name.removesuffix('-port')} {port}" for name, port in self.ports.items())
        return [
            ("server", f"{self.name}, {self.state}"),
            ("pid", f"{self.pid} (Triton {self.triton_pid})"),
            ("uptime", str(timedelta(seconds=int(self.uptime)))),
            ("listens on", f"{self.address}: {ports}"),
            ("models", ", ".join(name if ready else f"{name} (not ready)" for name, ready in self.models.items())),
            ("repository", str(self.repository)),
            ("log", str(self.log)),
        ]


def describe(folder: Path, *, name: str) -> Status | None:
    """The server of this name, or None if it does not run."""
    found = state.read(folder, name=name)
    if found is None or not found.running:
        return None
    settings = found.settings
    return Status(
        name=settings.name,
        pid=found.pid,
        triton_pid=found.triton_pid,
        state="ready" if found.ready else "starting",
        uptime=found.uptime,
        address=settings.address,
        ports=settings.ports,
        repository=settings.repository,
        log=settings.log_path,
        models=_ready(settings),
    )


def _ready(settings: ServerSettings) -> dict[str, bool]:
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    try:
        return {model: client.is_model_ready(model, client_timeout=_CALL) for model in settings.models}
    except InferenceServerException:  # it does not listen yet
        return dict.fromkeys(settings.models, False)
    finally:
        client.close()
