"""What happens when a process of a server dies or hangs: it comes back by itself, and requests fail in words."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import httpx2
import numpy as np
import pytest
import tritonclient.grpc as grpc

from bark_client import BarkClient, ServerUnavailable
from bark_serving.bundle import Bundle
from bark_serving.host.processes import is_running, running_stubs
from bark_serving.server import canary, log
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render
from tests.system.commands import Cli, assert_no_trace, processes_of, regions, until
from tests.system.conftest import ENGINES, build_engines_of

pytestmark = pytest.mark.timeout(300)


def test_models_that_were_killed_or_hang_are_loaded_again(cli: Cli) -> None:
    cli.run(*cli.up("--detach"))
    triton = processes_of(cli.state())[0]
    before = {model: process.pid for process, model in running_stubs(triton).items()}
    os.kill(before["echo"], signal.SIGKILL)
    os.kill(before["bark"], signal.SIGSTOP)
    for model in ("echo", "bark"):
        until(lambda: f"model {model}: reloaded" in cli.settings.log_path.read_text())  # noqa: B023 - awaited at once
    assert "hangs; it is killed" in cli.settings.log_path.read_text()
    after = {model: process.pid for process, model in running_stubs(triton).items()}
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert canary.speak(cli.settings, timeout=30) > 0


def test_when_a_process_dies_running_speech_ends_and_later_speech_works(tiny_bundle: Bundle, cli: Cli) -> None:
    """That of a dead `bark` ends with an error within seconds, although Triton does not end its calls. Without a stage,
    speech ends with an error, or goes on when the stage is back."""
    build_engines_of(tiny_bundle, precision="int8")
    rendering = RenderSettings(bundle=tiny_bundle.folder, engines=ENGINES, threads=1)
    cli.serve(render(rendering, output=cli.settings.folder / "speech"))
    cli.run(*cli.up("--detach"))

    def came_back(model: str, *, restarts: int) -> bool:
        """Now and then Triton aborts when a process of it dies. Then it is started again, with every model."""
        reloaded = f"model {model}: reloaded in" in cli.settings.log_path.read_text()
        found = cli.state()
        return reloaded or (found.restarts.count > restarts and found.ready)

    with BarkClient(f"127.0.0.1:{cli.settings.grpc_port}", connect_timeout=60) as client:
        for model in ("coarse", "bark"):
            restarts, triton = cli.state().restarts.count, processes_of(cli.state())[0]
            stub = next(process for process, name in running_stubs(triton).items() if name == model)
            with client.stream("Hello there. " * 60, answer_timeout=60) as stream, ThreadPoolExecutor(1) as pool:
                next(stream)
                stub.kill()
                begun = time.monotonic()
                rest = pool.submit(lambda: list(stream))
                if model == "bark":
                    with pytest.raises(ServerUnavailable):
                        rest.result(timeout=60)
                    assert time.monotonic() - begun < 15
                else:
                    with suppress(ServerUnavailable):
                        assert rest.result(timeout=100), "the rest is spoken"
                until(partial(came_back, model, restarts=restarts))
        if not cli.state().restarts.count:
            counted = httpx2.get(cli.settings.metrics_url).text
            assert re.search(r'bark_requests_total\{outcome="failed"\} [12]\n', counted)
        assert client.speak("Hello there.", answer_timeout=60).samples.size > 0


class Stream:
    """A request to a toy, and the times of its answers."""

    def __init__(self, url: str, text: str) -> None:
        self.answers: list[float] = []
        self.ended, self.error = threading.Event(), ""
        self._client = grpc.InferenceServerClient(url)
        self._client.start_stream(self._take)
        tensor = grpc.InferInput("text", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([text.encode()], dtype=np.object_))
        self._client.async_stream_infer("bark", [tensor], enable_empty_final_response=True)

    def _take(self, result: grpc.InferResult | None, error: Exception | None) -> None:
        self.answers.append(time.monotonic())
        if result is None:
            self.error = str(error)
        if result is None or result.get_response().parameters["triton_final_response"].bool_param:
            self.ended.set()

    def close(self) -> None:
        self._client.stop_stream(cancel_requests=True)
        self._client.close()


def test_a_server_that_is_told_to_stop_lets_running_requests_end(cli: Cli) -> None:
    cli.run(*cli.up("--detach", "--grace", "60"))
    description = cli.state()
    processes = processes_of(description)
    stream = Stream(f"127.0.0.1:{cli.settings.grpc_port}", "Speak for eight seconds.")
    until(lambda: bool(stream.answers))
    down = cli.start("down")
    until(lambda: "Letting running requests end" in cli.settings.log_path.read_text())
    with pytest.raises(canary.CanaryFailed, match="bark"):
        while not stream.ended.is_set():
            canary.speak(cli.settings, timeout=30)
    assert stream.ended.wait(60) and not stream.error
    assert len(stream.answers) >= 160
    ended = time.monotonic()
    assert down.wait(60) == 0  # although the stream is still open
    assert time.monotonic() - ended < 25
    stream.close()
    assert_no_trace(description, processes)


@pytest.mark.parametrize("options", [["--grace", "0.2"], ["--grace", "60"]])
def test_the_grace_time_has_a_limit_and_can_be_cut_short(cli: Cli, options: list[str]) -> None:
    cli.run(*cli.up("--detach", *options))
    description = cli.state()
    processes = processes_of(description)
    stream = Stream(f"127.0.0.1:{cli.settings.grpc_port}", "Speak for ever.")
    until(lambda: bool(stream.answers))
    begun = time.monotonic()
    cli.run("down", *([] if options[1] == "0.2" else ["--now"]))
    assert time.monotonic() - begun < 40
    stream.close()
    assert_no_trace(description, processes)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_a_triton_that_dies_or_hangs_is_started_again(cli: Cli, number: signal.Signals) -> None:
    """In the foreground with a kill, in the background with a stop."""
    if number == signal.SIGKILL:
        child = cli.start(*cli.up())
        assert child.stdout is not None
        assert any("Up:" in line for line in iter(child.stdout.readline, ""))
    else:
        cli.run(*cli.up("--detach"))
    before = cli.state()
    processes = processes_of(before)
    os.kill(before.triton_pid, number)
    until(lambda: cli.state().restarts.count == 1 and cli.state().ready)
    assert canary.speak(cli.settings, timeout=30) > 0
    after = cli.state()
    assert (after.pid, after.started) == (before.pid, before.started)
    assert after.triton_pid != before.triton_pid
    assert not [process for process in processes if is_running(process)]
    assert not regions(before.shm_prefix)

    found = json.loads(cli.run("status", "toy", "--json"))
    assert found["restarts"]["count"] == 1
    assert "ended by SIGKILL" in found["restarts"]["reason"]
    assert "1, the last at" in cli.run("status", "toy")
    processes = processes_of(after)
    assert "Stopped toy" in cli.run("down")
    assert_no_trace(after, processes)


def test_a_triton_that_hangs_while_it_starts_again_is_killed_and_started_once_more(cli: Cli) -> None:
    cli.run(*cli.up("--detach"))
    first = cli.state().triton_pid
    os.kill(first, signal.SIGKILL)
    until(lambda: cli.state().triton_pid != first)
    os.kill(cli.state().triton_pid, signal.SIGSTOP)
    until(lambda: cli.state().restarts.count == 2 and cli.state().ready)
    assert canary.speak(cli.settings, timeout=30) > 0
    assert "hangs while it starts; it is killed" in log.previous(cli.settings.log_path).read_text()
    cli.run("down")
