"""Watches the processes that run Python models (stubs), and reloads a model whose process died.

Triton never restarts a dead stub and still calls its model ready. Unloading and loading the model starts a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from bark_serving.host.processes import running_stubs
from bark_serving.server.binary import GRPC_CONTROL_HEADER
from bark_serving.server.settings import ServerSettings

UNLOAD_TIMEOUT_S = 10.0  #: that a model's last requests may delay its unloading
LOAD_TIMEOUT_S = 300.0
MAX_DELAY_S = 60.0  #: between two reloads of a model that dies again and again


class StubWatch:
    """Finds stubs that ended since the last check and reloads their models, more and more rarely if they die again."""

    def __init__(self, triton: psutil.Process, *, settings: ServerSettings, control_key: str) -> None:
        self._triton, self._settings, self._control_key = triton, settings, control_key
        self._known = running_stubs(triton)
        self._due: dict[str, float] = {}  # model → when to reload it
        self._last: dict[str, tuple[float, float]] = {}  # model → (time of its last reload, delay before it)

    def look(self, *, report: Callable[[str], None]) -> None:
        """Find dead stubs and reload each model that is due. Reports every reload and every failure."""
        current = running_stubs(self._triton)
        for process, model in self._known.items():
            if process not in current and model not in self._due:
                self._due[model] = time.monotonic() + self._delay(model)
                report(f"model {model}: its process {process.pid} died; reloading it in {self._last[model][1]:.0f} s")
        self._known = current
        for model in [model for model, due in self._due.items() if due <= time.monotonic()]:
            del self._due[model]
            self._reload(model, report=report)
            # the other models keep what was known before, so that a stub that died meanwhile is found at the next check
            others = {process: name for process, name in self._known.items() if name != model}
            own = {process: name for process, name in running_stubs(self._triton).items() if name == model}
            self._known = others | own

    def _delay(self, model: str) -> float:
        """0 s the first time; then 1, 2, 4 … `MAX_DELAY_S`, as long as it dies within `MAX_DELAY_S` of a reload."""
        last, delay = self._last.get(model, (float("-inf"), 0.0))
        recent = time.monotonic() - last < MAX_DELAY_S
        delay = min(MAX_DELAY_S, max(1.0, 2 * delay)) if recent else 0.0
        self._last[model] = (time.monotonic() + delay, delay)
        return delay

    def _reload(self, model: str, *, report: Callable[[str], None]) -> None:
        started = time.monotonic()
        try:
            reload_model(model, settings=self._settings, control_key=self._control_key)
        except InferenceServerException as error:
            self._due[model] = time.monotonic() + self._delay(model)
            reason = str(error.message()).strip().splitlines()[0]
            report(f"model {model}: not reloaded ({reason}); next try in {self._last[model][1]:.0f} s")
        else:
            report(f"model {model}: reloaded in {time.monotonic() - started:.1f} s")


def reload_model(model: str, *, settings: ServerSettings, control_key: str) -> None:
    """Unload `model`, wait until its processes have gone, load it again. Raises `InferenceServerException`.

    Unloading returns at once and continues in the background. Loading before its end would keep both in memory.
    """
    headers = {GRPC_CONTROL_HEADER: control_key}
    client = grpc.InferenceServerClient(f"{settings.host}:{settings.grpc_port}")
    try:
        client.unload_model(model, headers=headers, client_timeout=UNLOAD_TIMEOUT_S)
        deadline = time.monotonic() + UNLOAD_TIMEOUT_S
        while not _unloaded(client, model, headers=headers) and time.monotonic() < deadline:
            time.sleep(0.05)  # Triton has no event for this
        client.load_model(model, headers=headers, client_timeout=LOAD_TIMEOUT_S)
    finally:
        client.close()


def _unloaded(client: grpc.InferenceServerClient, model: str, *, headers: dict[str, str]) -> bool:
    index = client.get_model_repository_index(headers=headers, client_timeout=UNLOAD_TIMEOUT_S)
    return any(entry.name == model and entry.reason == "unloaded" for entry in index.models)
