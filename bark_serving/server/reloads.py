"""Loads models again: the one place that restarts the process of a model.

Triton never restarts a dead stub. Unloading and loading its model starts a new one. Each reload has a thread of its
own, so that several models come back at once and the watch goes on.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psutil
from tritonclient.utils import InferenceServerException

from bark_serving.host.processes import is_running, running_stubs
from bark_serving.server import canary
from bark_serving.server.canary import CanaryFailed, NoAnswer
from bark_serving.server.control import control, metrics
from bark_serving.server.process import kill
from bark_serving.server.settings import ServerSettings

UNLOAD_TIMEOUT_S = 5.0  #: that the living processes of a model get to end
#: That `bark` stays unloaded at least. Clients whose streams are silent look whether it is ready, and so learn that
#: their streams have ended: see `bark_client.silence`.
MIN_DOWN_S = 1.5
MAX_DELAY_S = 60.0  #: between two reloads of a model that dies again and again
#: What `bark` gets to speak a word after a reload: so much, or so many times what the first word of the server took.
MIN_PATIENCE_S, PATIENCE = 20.0, 20.0
_ANSWERED = re.compile(r"^nv_inference_request_success\{[^}]*\} (\S+)$", re.MULTILINE)
_POLL_S = 0.05  # Triton has no event for this

Reload = Callable[[str], None]


@dataclass
class _Model:
    """One model that is being reloaded, or was."""

    delay_s: float = 0.0  #: before its last reload
    begun: float = float("-inf")  #: when its last reload was due
    due: float | None = None  #: when its next one is
    thread: threading.Thread | None = None  #: of the reload that runs
    outcome: str = ""  #: of the reload that the thread has made, to be reported
    failed: bool = False


@dataclass
class Reloads:
    """Reloads models, more and more rarely if they die again. Its methods belong to one thread; none waits."""

    reload: Reload
    _models: dict[str, _Model] = field(default_factory=dict)

    def under_way(self, model: str) -> bool:
        """Whether this model waits for a reload or has one now."""
        found = self._models.get(model)
        return found is not None and (found.due is not None or found.thread is not None)

    def ask(self, model: str) -> float:
        """Reload a model, and return the seconds until then."""
        found = self._models.setdefault(model, _Model())
        now = time.monotonic()
        # 0 s the first time; then 1, 2, 4 … `MAX_DELAY_S`, as long as it dies within `MAX_DELAY_S` of a reload.
        recent = now - found.begun < MAX_DELAY_S
        found.delay_s = min(MAX_DELAY_S, max(1.0, 2 * found.delay_s)) if recent else 0.0
        found.due = found.begun = now + found.delay_s
        return found.delay_s

    def go_on(self, *, report: Callable[[str], None]) -> Iterator[str]:
        """Begin the reloads that are due. Yields each model that was loaded again; reports what came of each reload."""
        for name, model in self._models.items():
            if model.thread is not None and not model.thread.is_alive():
                model.thread = None
                report(f"model {name}: {model.outcome}")
                if model.failed:
                    report(f"model {name}: next try in {self.ask(name):.0f} s")
                else:
                    yield name
            if model.due is not None and model.due <= time.monotonic():
                model.due = None
                model.thread = threading.Thread(target=self._run, args=(name, model), name="reload", daemon=True)
                model.thread.start()

    def _run(self, name: str, model: _Model) -> None:
        started = time.monotonic()
        try:
            self.reload(name)
        except InferenceServerException as error:
            reason = str(error.message()).strip().splitlines()[0]
            model.failed, model.outcome = True, f"not reloaded ({reason})"
        except NoAnswer:
            model.failed, model.outcome = False, "reloaded, but it does not speak; Triton is ended"
        else:
            model.failed, model.outcome = False, f"reloaded in {time.monotonic() - started:.1f} s"


def reload_model(
    model: str, *, triton: psutil.Process, settings: ServerSettings, control_key: str, patience_s: float
) -> None:
    """Unload `model`, end its processes, load it again. Raises `InferenceServerException`.

    If `bark` then says no word within `patience_s` and no model has answered anything either, Triton is ended, and
    `NoAnswer` raised: threads of Triton that wait for the process which died can hold up everything, for ever.

    Unloading returns at once. It goes on in the background until the model's requests have ended, and those of a dead
    process never end. So only the processes are waited for: without them, the old model holds no memory.
    """
    with control(settings, key=control_key) as triton_control:
        triton_control.unload(model)
        unloaded = time.monotonic()
        while (left := processes_of(triton, model)) and time.monotonic() < unloaded + UNLOAD_TIMEOUT_S:
            time.sleep(_POLL_S)
        kill(left)
        if model == canary.MODEL:
            time.sleep(max(0.0, unloaded + MIN_DOWN_S - time.monotonic()))
        triton_control.load(model)
    if model == canary.MODEL:
        _end_if_stuck(triton, settings, patience_s=patience_s)


def _end_if_stuck(triton: psutil.Process, settings: ServerSettings, *, patience_s: float) -> None:
    before = _answers(settings)
    try:
        canary.speak(settings, timeout=patience_s)
    except NoAnswer:
        if _answers(settings) == before:  # else it is only busy with requests that came earlier
            kill([triton])
            raise
    except CanaryFailed:  # an error is an answer
        return


def _answers(settings: ServerSettings) -> float:
    """How many requests Triton's models have answered. The stages count one per sentence."""
    return sum(float(number) for number in _ANSWERED.findall(metrics(settings)))


def processes_of(triton: psutil.Process, model: str) -> list[psutil.Process]:
    """The running processes of one model."""
    try:
        return [process for process, name in running_stubs(triton).items() if name == model and is_running(process)]
    except psutil.NoSuchProcess:  # Triton has ended: the next call to it says so
        return []
