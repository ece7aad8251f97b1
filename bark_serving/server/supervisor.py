"""Runs one server for as long as it should run: watches it, and mends what breaks.

Two places mend: `serve` starts Triton again, and `reloads` loads a model again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import psutil

from bark_serving.host.processes import is_running
from bark_serving.server import gateway, log, log_follow, process, state
from bark_serving.server.drain import drain
from bark_serving.server.errors import ResourcesMissing, ServerDied, ServerError, StartFailed, Stopped
from bark_serving.server.process import StopRequest
from bark_serving.server.reloads import MIN_PATIENCE_S, PATIENCE
from bark_serving.server.restarts import NO_RESTARTS, SHORT_RUN_S, why_not_run
from bark_serving.server.settings import ServerSettings
from bark_serving.server.triton_run import Report, Server, held, run_triton, silent, tell_log
from bark_serving.server.watchdog import MAX_STOPPED_S, WATCH_INTERVAL_S, StoppedWatch, StubWatch


def serve(
    settings: ServerSettings,
    *,
    stop: StopRequest,
    report: Report = silent,
    ready: Callable[[Server], None],
    show: Callable[[str], None] | None = None,
) -> None:
    """Run a server until `stop`; start Triton again whenever it ends. The gateway beside it goes on meanwhile.

    Calls `ready` once it answers for the first time. show: gets the warnings and errors of its log, line by line.
    Raises as `running` if the first start failed, and `ServerDied` if too many others did.
    """
    tell = tell_log(settings, report)
    restarts, started = NO_RESTARTS, time.time()
    with held(settings) as found, ExitStack() as beside:
        front: gateway.Gateway | None = None
        url, up = "", False
        while not (up and stop.count):
            answered: float | None = None
            try:
                with run_triton(
                    settings, found, report=report, stop=stop, started=started, restarts=restarts, gateway_url=url
                ) as server:
                    answered = time.monotonic()
                    if up:
                        tell(f"Triton speaks again (pid {server.process.pid})")
                    else:
                        front, url = beside.enter_context(gateway.beside(settings, report=report, hurry=stop.is_urgent))
                        if url and (noted := state.read(settings.folder, name=settings.name)):
                            state.note(noted.model_copy(update={"gateway_url": url}))
                        ready(replace(server, gateway_url=url))
                        up = True
                    watch(server, stop=stop, report=report, front=front, show=show)
                    if front is not None:
                        front.begin_stop()
                    drain(
                        settings,
                        triton=server.process,
                        control_key=server.control_key,
                        hurry=stop.is_urgent,
                        report=tell,
                    )
                    beside.close()  # the gateway ends first: its requests need the server
            except (ServerDied, StartFailed, ResourcesMissing, OSError) as error:
                if not up:
                    raise
                lived = 0.0 if answered is None else time.monotonic() - answered
                why = error.problem if isinstance(error, ServerError) else why_not_run(error)
                restarts = restarts.after(why, seconds=lived)
                if restarts.exhausted:
                    raise ServerDied(
                        f"Triton failed to start, or ended within {SHORT_RUN_S:.0f} s, {restarts.short_runs} times "
                        f"in a row. The last time: {why}",
                        remedy=f"The log of that run is {log.previous(settings.log_path)}.",
                    ) from error
                if last := state.read(settings.folder, name=settings.name):
                    state.note(last.model_copy(update={"ready": False, "restarts": restarts}))
                tell(f"{why}\nStarting Triton again in {restarts.delay_s:.0f} s")
                stop.wait(restarts.delay_s)
            except Stopped:  # while Triton was started again
                if not up:
                    raise


def watch(
    server: Server,
    *,
    stop: StopRequest,
    report: Report = silent,
    front: gateway.Gateway | None = None,
    show: Callable[[str], None] | None = None,
) -> None:
    """Watch a server until `stop`, and reload models whose process died. Raises `ServerDied` if Triton ends.

    front: its gateway, which is started again if it ends. show: gets the warnings and errors of its log.
    """
    tell, logs = tell_log(server.settings, report), log_follow.Logs(server.settings, show=show)
    stopped = StoppedWatch(limit_s=MAX_STOPPED_S)
    try:
        patience_s = max(MIN_PATIENCE_S, PATIENCE * server.canary_seconds)
        stubs = StubWatch(
            server.process, settings=server.settings, control_key=server.control_key, patience_s=patience_s
        )
        while not stop.wait(WATCH_INTERVAL_S):
            given_up = logs.look()
            if front is not None:
                front.look(report=tell)
            for hanging in stopped.hanging([server.process]):
                tell(f"Triton (pid {hanging.pid}) hangs; it is killed")
                process.kill([hanging])
            if not is_running(server.process):
                raise _died(server)
            stubs.look(given_up=given_up, report=tell)
    except psutil.NoSuchProcess as error:
        raise _died(server) from error
    finally:
        logs.look()


def _died(server: Server) -> ServerDied:
    return ServerDied(server.why_ended(), remedy=f"The whole log is {server.settings.log_path}.")
