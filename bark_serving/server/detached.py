"""The process of a server in the background. ``bark-serve up --detach`` starts it in a session of its own."""

from __future__ import annotations

import argparse
import json
import os
import signal

from bark_serving.errors import UserError
from bark_serving.server import log
from bark_serving.server.process import StopRequest
from bark_serving.server.settings import ServerSettings
from bark_serving.server.supervisor import serve
from bark_serving.server.triton_run import Server


def main(arguments: list[str] | None = None) -> int:
    """Supervise a detached server. Reports the start to the parent process, as JSON lines on a pipe."""
    parser = argparse.ArgumentParser(prog="python -m bark_serving.server.detached", description=main.__doc__)
    parser.add_argument("settings", type=ServerSettings.model_validate_json, help="server settings as JSON")
    parser.add_argument("--report-descriptor", type=int, required=True, help="write end of a pipe")
    options = parser.parse_args(arguments)
    settings: ServerSettings = options.settings
    stop = StopRequest()
    stop.listen(signal.SIGTERM, signal.SIGINT)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    pipe = os.fdopen(options.report_descriptor, "w", buffering=1, encoding="utf-8")

    def tell(**event: object) -> None:
        try:
            print(json.dumps(event), file=pipe, flush=True)
        except (BrokenPipeError, ValueError):  # the parent has closed it, or we have
            return

    def ready(server: Server) -> None:
        tell(ready=server.canary_seconds, gateway=server.gateway_url)
        pipe.close()

    try:
        serve(settings, stop=stop, report=lambda message: tell(waiting=message), ready=ready)
        return 0
    except OSError as error:
        remedy = f"Make sure that {settings.folder} can be written and that the disk has room."
        failure = UserError(f"{error}.", remedy=remedy)
    except UserError as error:
        failure = error
    if settings.log_path.exists():
        log.note(settings.log_path, str(failure))
    tell(error=failure.problem, remedy=failure.remedy)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
