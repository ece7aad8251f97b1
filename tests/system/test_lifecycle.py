"""Starting, watching and stopping a real Triton, with toys for models, mostly through the real command line."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest
import tritonclient.grpc as grpc

from bark_client import BarkClient, InvalidRequest
from bark_serving.engines.served_files import ServedFile
from bark_serving.engines.store import EngineBroken
from bark_serving.host.processes import is_running, running_stubs
from bark_serving.profiles import STAGES
from bark_serving.server import ServerError, ServerSettings, canary, running, state
from bark_serving.server.binary import check_interpreter
from bark_serving.server.binary import find as find_triton
from bark_serving.server.process import SHARED_MEMORY, StopRequest, launch
from bark_serving.server.repository import CLONING, RENDERED_FILE, Rendered
from bark_serving.server.status import describe
from tests.system import toy
from tests.system.commands import Cli, assert_no_trace, processes_of, regions, until
from tests.system.conftest import RealServer

pytestmark = pytest.mark.timeout(300)


def test_a_server_answers_in_its_block_and_leaves_nothing(tmp_path: Path) -> None:
    settings = toy.settings(tmp_path)
    told: list[str] = []
    with running(settings, report=told.append) as server:
        assert canary.speak(settings, timeout=30) > 0
        description = state.read(settings.folder, name=settings.name)
        assert description is not None
        assert description.ready
        assert description.running
        assert regions(server.shm_prefix)
        processes = processes_of(description)
        assert sorted(running_stubs(server.process).values()) == ["bark", "echo"]
    assert_no_trace(description, processes)
    assert told[1] == "Starting Triton", "the toys have no sums, which is said first"
    assert "Waiting for bark to speak" in told


def test_only_the_owner_can_read_the_state_file_with_the_control_key(tmp_path: Path) -> None:
    settings = toy.settings(tmp_path)
    with running(settings) as server:
        mode = state.path(settings.folder, name=settings.name).stat().st_mode
        client = grpc.InferenceServerClient(server.url)
        with pytest.raises(Exception, match="restricted"):
            client.unload_model("echo")
        client.close()
    assert mode & 0o077 == 0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"error": "[INTERNAL] the toy is broken"}, "did not answer the canary.*the toy is broken"),
        ({"silent": True}, "did not answer the canary.*ended without any audio"),
        ({"unloadable": "no engine for this machine"}, "ended before it was ready.*no engine for this machine"),
    ],
)
def test_a_server_that_cannot_speak_fails_with_the_reason_and_log(
    tmp_path: Path, fault: dict[str, object], message: str
) -> None:
    settings = toy.settings(tmp_path, **fault)
    with pytest.raises(ServerError, match=f"(?s){message}.*{settings.log_path}"), running(settings):
        pytest.fail("it counted as running")
    assert state.read(settings.folder, name=settings.name) is None


def served_file(settings: ServerSettings, *, sha256: str) -> ServedFile:
    """A file that the toys' repository says it reads."""
    path = settings.folder.parent / "model.onnx"
    path.write_bytes(b"weights")
    file = ServedFile(path=path, sha256=sha256, size=7, remedy="Run `rm -r engine && bark-build engines`.")
    rendered = Rendered(bundle="toy", profile="cpu", precision="int8", files=(file,))
    (settings.repository / RENDERED_FILE).write_text(rendered.model_dump_json())
    return file


def test_a_file_with_other_bytes_is_refused_with_its_name(cli: Cli) -> None:
    file = served_file(cli.settings, sha256=hashlib.sha256(b"weightz").hexdigest())
    output = cli.run(*cli.up("--detach"), expect=1)
    assert f"error: {file.path} is damaged" in output and file.remedy in output.splitlines()
    assert "Traceback" not in output
    served_file(cli.settings, sha256=hashlib.sha256(b"weights").hexdigest())
    cli.run(*cli.up("--detach"))


def test_a_damaged_file_explains_why_a_model_can_not_be_loaded(tmp_path: Path) -> None:
    settings = toy.settings(tmp_path, unloadable="protobuf parsing failed")
    file = served_file(settings, sha256="0" * 64)
    with pytest.raises(EngineBroken, match=f"{file.path} is damaged"), running(settings):
        pytest.fail("it counted as running")


def test_a_truncated_file_is_refused_before_the_start(tmp_path: Path) -> None:
    settings = toy.settings(tmp_path)
    file = served_file(settings, sha256="0" * 64)
    file.path.write_bytes(b"weigh")
    with pytest.raises(EngineBroken, match="has 5 bytes and needs 7: it is cut off"), running(settings):
        pytest.fail("it counted as running")
    assert not settings.log_path.exists()


def test_a_stop_asked_for_during_the_start_ends_it(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.set()
    with pytest.raises(ServerError, match="Stopped before"), running(toy.settings(tmp_path), stop=stop):
        pytest.fail("it counted as running")


def test_regions_of_other_servers_stay(tmp_path: Path) -> None:
    foreign = SHARED_MEMORY / f"bark-test-{os.getpid()}-foreign"
    foreign.write_bytes(b"not ours")
    try:
        with running(toy.settings(tmp_path)):
            pass
        assert foreign.exists()
    finally:
        foreign.unlink()


def test_a_client_with_an_open_stream_does_not_delay_the_stop(tmp_path: Path) -> None:
    settings = toy.settings(tmp_path)
    with running(settings) as server:
        client = grpc.InferenceServerClient(server.url)
        client.start_stream(lambda result, error: None)
        text = grpc.InferInput("text", [1], "BYTES")
        text.set_data_from_numpy(np.array([b"Hello."], dtype=np.object_))
        client.async_stream_infer("bark", [text])
        leaving = time.monotonic()
    assert time.monotonic() - leaving < settings.stop_timeout / 2
    client.stop_stream(cancel_requests=True)
    client.close()


def test_a_port_in_use_is_named_with_its_option_and_its_holder(tmp_path: Path) -> None:
    settings = toy.settings(tmp_path)
    with (
        socket.create_server(("127.0.0.1", settings.metrics_port)),
        pytest.raises(ServerError, match=rf"{settings.metrics_port}.*pid {os.getpid()}.*--metrics-port"),
        running(settings),
    ):
        pytest.fail("it counted as running")


def test_a_server_listens_where_a_name_leads(cli: Cli) -> None:
    assert "Up: gRPC 127.0.0.1:" in cli.run(*cli.up("--detach", "--address", "localhost"))
    url = cli.state().settings.metrics_url
    assert httpx2.get(url).status_code == 200
    assert httpx2.get(f"http://127.0.0.1:{cli.settings.http_port}/v2/health/ready").status_code == 200
    assert json.loads(cli.run("status", "toy", "--json"))["models"] == {"bark": True, "echo": True}


def test_an_ipv6_address_is_refused_before_anything_starts(cli: Cli) -> None:
    output = cli.run(*cli.up("--detach", "--address", "::1"), expect=2)
    assert output.splitlines() == [
        "error: --address: ::1: it is an IPv6 address, and a server listens on IPv4. "
        "Give 127.0.0.1 for this machine alone, 0.0.0.0 for all its addresses."
    ]
    assert not cli.settings.folder.exists()


def test_a_repository_without_bark_is_refused_before_the_start(tmp_path: Path) -> None:
    settings = ServerSettings(repository=tmp_path, folder=tmp_path / "server", **toy.free_ports())
    with pytest.raises(ServerError, match="no model 'bark'"), running(settings):
        pytest.fail("it counted as running")


def test_a_server_may_only_be_launched_by_the_main_thread(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="main thread"):
        pool.submit(launch, ["true"], environment={}, log=tmp_path / "log").result()


def test_numpy_2_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    triton = find_triton(toy.settings(tmp_path))
    check_interpreter(triton)
    if triton.wheel:
        with pytest.raises(ServerError, match=r"NumPy 2\.1\.0.*numpy==1\.26\.4"):
            check_interpreter(triton, numpy="2.1.0")


def test_detached_status_second_up_and_down(cli: Cli) -> None:
    assert "not running" not in cli.run(*cli.up("--detach"))
    description = cli.state()
    processes = processes_of(description)

    found = json.loads(cli.run("status", "toy", "--json"))
    assert found["models"] == {"bark": True, "echo": True}
    assert found["state"] == "ready"
    assert found["pid"] == description.pid
    table = cli.run("status", "--name", "toy")
    for text in (str(description.pid), str(cli.settings.grpc_port), "echo", str(cli.settings.log_path)):
        assert text in table

    assert "already running" in cli.run(*cli.up("--detach"), expect=1)
    other_name = cli.run(*cli.up("--detach", name="other"), expect=1)
    assert "--http-port" in other_name
    assert canary.speak(cli.settings, timeout=30) > 0  # the first one took no harm

    [listed] = json.loads(cli.run("status", "--json"))
    assert {**listed, "uptime": 0} == {**found, "uptime": 0}
    assert all(text in cli.run("status") for text in ("toy", "ready", str(cli.settings.log_path)))

    assert "Stopped toy" in cli.run("down")
    assert_no_trace(description, processes)
    assert "No server" in cli.run("status", "--name", "toy", expect=1)
    assert "No server" in cli.run("down", "--name", "toy")
    assert "No server" in cli.run("status", expect=1)
    assert "No server" in cli.run("down")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_foreground_server_before_its_deadline(cli: Cli, number: signal.Signals) -> None:
    child = cli.start(*cli.up())
    assert child.stdout is not None
    lines = iter(child.stdout.readline, "")
    assert any("Up:" in line for line in lines)
    description = cli.state()
    processes = processes_of(description)
    child.send_signal(number)
    child.wait(timeout=cli.settings.stop_timeout + 5)
    assert child.returncode == 0
    assert "Stopped." in "".join(lines)
    assert_no_trace(description, processes)


def test_a_failed_start_in_the_background_is_reported(tmp_path: Path) -> None:
    commands = Cli(tmp_path)
    commands.settings = toy.settings(tmp_path / "broken", error="[INTERNAL] the toy is broken")
    try:
        output = commands.run(*commands.up("--detach"), expect=1)
    finally:
        commands.close()
    assert "the toy is broken" in output
    assert str(commands.settings.log_path) in output
    assert "Traceback" not in output


def test_a_server_ends_with_its_supervisor_and_the_next_one_cleans_up(cli: Cli) -> None:
    cli.run(*cli.up("--detach"))
    description = cli.state()
    processes = processes_of(description)
    triton = psutil.Process(description.triton_pid)
    os.kill(description.pid, signal.SIGKILL)
    until(lambda: not is_running(triton))  # a stub may hang then
    left = SHARED_MEMORY / f"{description.shm_prefix}left"  # what a stub killed at the same time would leave
    left.write_bytes(b"")
    assert "No server" in cli.run("status", "--name", "toy", expect=1)
    cli.run(*cli.up("--detach"))
    assert not left.exists()
    assert not any(map(is_running, processes))


def test_the_server_forgets_requests_that_have_ended(triton: RealServer) -> None:
    """Its memory must not grow with the number of requests."""

    def size() -> int:
        info = triton.server.process.memory_info()
        return int(info.rss - info.shared)  # its own memory: what it shares depends on other servers that come and go

    with BarkClient(triton.url) as client:

        def refused(times: int) -> None:
            for _ in range(times):
                with pytest.raises(InvalidRequest):
                    client.speak("Hello.", voice="nobody")

        refused(50)  # pools fill
        before = size()
        refused(150)
        assert size() - before < 150 * 4_000


@pytest.mark.parametrize("fixture", ["triton", "triton_int8"])
def test_every_model_of_a_bundle_is_ready_and_speaks(fixture: str, request: pytest.FixtureRequest) -> None:
    server: RealServer = request.getfixturevalue(fixture)
    found = describe(server.settings.folder, name=server.settings.name)
    assert found is not None
    assert found.models == dict.fromkeys((*STAGES, *CLONING, "clone_voice", "bark", "voices"), True)
    assert canary.speak(server.settings, timeout=30) > 0


def test_a_gateway_starts_and_ends_with_its_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    port = toy.free_ports()["http_port"]
    monkeypatch.setenv("BARK_GATEWAY_PORT", str(port))
    output = cli.run(*cli.up("--gateway", "--detach", "--grace", "7"))
    assert f"Up: the gateway, http://localhost:{port}" in output
    answer = httpx2.get(f"http://127.0.0.1:{port}/health/ready")
    assert answer.status_code == 200
    (child,) = [one for one in psutil.Process(cli.state().pid).children() if "bark_gateway" in one.cmdline()]
    assert child.cmdline()[-2:] == ["--grace", "7"]
    child.kill()  # it comes back by itself
    until(lambda: "Starting it again" in cli.state().settings.log_path.read_text(), timeout=30)
    until(lambda: _answers(port), timeout=30)
    cli.run("down", "toy")
    assert not _answers(port)


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
    except httpx2.TransportError:
        return False


def test_a_gateway_that_can_not_start_keeps_its_server_from_starting(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARK_GATEWAY_PORT", "none")
    assert "BARK_GATEWAY_PORT=none: " in cli.run(*cli.up("--gateway", "--detach"), expect=1)
    assert state.read(cli.settings.folder, name="toy") is None
