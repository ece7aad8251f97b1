"""Starts a supervisor in the background, and stops one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bark_serving.server import process, state
from bark_serving.server.errors import ServerError, StartFailed
from bark_serving.server.settings import ServerSettings


def start(settings: ServerSettings, *, report: Callable[[str], None]) -> tuple[float, str]:
    """Start a supervisor in its own session and wait until its server answers.

    Returns the seconds of the canary's answer, and where its gateway listens, if it has one. Raises the `ServerError`
    that the supervisor reports. An interrupt ends the supervisor.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    crash = settings.folder / f"{settings.name}.supervisor.log"  # of a supervisor that fails before it can report
    with crash.open("wb") as output:
        supervisor = subprocess.Popen(
            [
                *(sys.executable, "-m", "bark_serving.server.detached"),
                *(settings.model_dump_json(), "--report-descriptor", str(writer)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writer,),
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": _python_path()},
        )
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8") as events:
            for line in events:
                event = json.loads(line)
                if "waiting" in event:
                    report(event["waiting"])
                elif "ready" in event:
                    return float(event["ready"]), str(event["gateway"])
                else:
                    raise ServerError(event["error"], remedy=event["remedy"])
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        raise
    said = crash.read_text(errors="replace")
    raise StartFailed(
        f"The supervisor ended without a report (exit status {supervisor.wait()}):\n{said}",
        remedy="Run the same `bark-serve up` without --detach to see more.",
    )


def _python_path() -> str:
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)


def end(folder: Path, *, name: str, report: Callable[[str], None] = lambda message: None, now: bool = False) -> bool:
    """Stop the server of this name, by force after its deadline. Returns False if none runs.

    report: is told when the stop begins. now: cut running requests off.
    """
    description = state.read(folder, name=name)
    supervisor = process.find(description.pid, born=description.born) if description else None
    if description is None or supervisor is None:
        if state.is_held(folder, name=name):
            raise ServerError(
                f"A server named {name!r} is just starting, or another version started it.",
                remedy="Wait until it is up, or stop it with the version that started it.",
            )
        state.clear(folder, name=name)
        return False
    settings = description.settings
    report(f"Stopping {name}")
    supervisor.terminate()
    if now:
        supervisor.send_signal(signal.SIGINT)  # another one: two equal signals may arrive as one
    if not process.wait_for([supervisor], timeout=settings.grace + settings.stop_timeout + 10):
        process.kill([supervisor])
    state.clear(folder, name=name)
    return True
