"""The command `bark-gateway`, in a process of its own where it serves."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from bark_client import BarkClient, __version__
from bark_gateway.cli import app
from bark_gateway.keys import new_key
from tests.bark_gateway.test_servers import wait_until
from tests.client.fake_triton import CHUNK, Answers, FakeTriton, chunk, final, free_port, last_chunk

START_S = 20


@contextmanager
def running(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its first line, which says where it listens."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BARK_")}
    child = subprocess.Popen(
        [sys.executable, "-m", "bark_gateway", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, **variables},
    )
    assert child.stderr is not None
    try:
        yield child, child.stderr.readline()
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


def refusal(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"BARK_GATEWAY_KEYS": ""})
    assert result.exit_code == 2
    return result.stderr


def test_it_says_where_it_listens_serves_and_ends_on_ctrl_c(triton: FakeTriton) -> None:
    port = free_port()
    with running("--server", triton.url, "--port", str(port)) as (child, line):
        assert line == f"The gateway listens on http://localhost:{port}\n"
        assert httpx2.post(f"http://127.0.0.1:{port}/v1/audio/speech", json={"input": "Hello."}).status_code == 200
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=START_S) == 0
        assert child.stderr is not None and "Traceback" not in child.stderr.read()


def speak_halfway(server: FakeTriton, inputs: dict[str, Any], context: Any) -> Answers:
    """Two sentences; the second one is spoken once `release` is set."""
    yield chunk(0, 2)
    server.release.wait(START_S)
    yield last_chunk(inputs, 1, 2)
    yield final()


@pytest.mark.parametrize("grace", ["60", "0.2"])
def test_when_it_is_told_to_stop_running_requests_get_the_grace_time(triton: FakeTriton, grace: str) -> None:
    triton.plan.append(speak_halfway)
    url = f"http://127.0.0.1:{(port := free_port())}"
    asked = {"input": "Hello. Goodbye.", "response_format": "pcm"}
    with running("--server", triton.url, "--port", str(port), "--grace", grace) as (child, _):
        with httpx2.stream("POST", f"{url}/v1/audio/speech", json=asked, timeout=START_S) as answer:
            pieces, heard = answer.iter_raw(), b""
            heard += next(pieces)
            child.terminate()
            if grace == "60":
                wait_until(lambda: stops(url))
                triton.release.set()
            begun = time.monotonic()
            with suppress(httpx2.TransportError):
                heard += b"".join(pieces)
        assert (len(heard) == 2 * 2 * CHUNK) == (grace == "60")
        child.wait(timeout=START_S)
        assert time.monotonic() - begun < 8
    triton.release.set()


def stops(url: str) -> bool:
    """Whether a gateway refuses a new request because it stops."""
    answer = httpx2.post(f"{url}/v1/audio/speech", json={"input": "Too late."})
    return answer.status_code == 503 and answer.json()["error"]["code"] == "stopping"


def test_the_client_of_triton_is_told_that_the_gateways_port_is_none_of_triton(triton: FakeTriton) -> None:
    port = free_port()
    with (
        running("--server", triton.url, "--port", str(port)),
        BarkClient(f"localhost:{port}") as client,
    ):
        assert client.health().problem.startswith(f"an HTTP server answers at localhost:{port}")


def test_the_environment_can_give_every_option(triton: FakeTriton) -> None:
    variables = {
        "BARK_GATEWAY_SERVER": triton.url, "BARK_GATEWAY_PORT": str(free_port()), "BARK_GATEWAY_KEYS": "secret",
        "BARK_GATEWAY_ADDRESS": "0.0.0.0",
    }  # fmt: skip
    with running(**variables) as (_, line):
        url = line.split()[-1]
        assert httpx2.get(f"{url}/v1/models").status_code == 401
        assert httpx2.get(f"{url}/v1/models", headers={"authorization": "Bearer secret"}).status_code == 200


def test_a_network_without_keys_is_refused() -> None:
    assert "say --insecure" in refusal("--address", "0.0.0.0")
    assert "say --insecure" in refusal("--address", "0.0.0.0", "--published", "10.0.0.5")


def test_insecure_is_said_aloud(triton: FakeTriton) -> None:
    port = str(free_port())
    with running("--server", triton.url, "--port", port, "--address", "0.0.0.0", "--insecure") as (_, line):
        assert line.startswith("Insecure: anybody who reaches 0.0.0.0 may speak")


def test_a_container_published_on_loopback_needs_no_keys(triton: FakeTriton) -> None:
    port = str(free_port())
    with running(
        "--server", triton.url, "--port", port, "--address", "0.0.0.0", "--published", "127.0.0.1"
    ) as (_, line):  # fmt: skip
        assert line.startswith("The gateway listens on")


def test_tls_is_read_from_files(triton: FakeTriton, tmp_path: Path) -> None:
    options = make_certificate(tmp_path)
    with running("--server", triton.url, "--port", str(free_port()), *options) as (_, line):
        url = line.split()[-1]
        assert url.startswith("https://")
        trusted = ssl.create_default_context(cafile=options[1])
        assert httpx2.get(f"{url}/health/live", verify=trusted).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--voice", "alloy"], "OTHER=NAME"),
        (["--tls-key", "x"], "need each other"),
        (
            ["--tls-key", "/no", "--tls-certificate", "/no/such"],
            "--tls-certificate /no/such: it can't be read (No such",
        ),
        (["--tls-key", __file__, "--tls-certificate", __file__], "it is no PEM file of this kind"),
        (["--address", "192.0.2.1", "--insecure"], "--address 192.0.2.1: this machine has no such address. 127.0.0.1"),
        (["--address", "no.such.name.invalid", "--insecure"], "no name that is known here"),
        (["--wyoming", "10200", "--wyoming-address", "192.0.2.1", "--insecure"], "--wyoming-address 192.0.2.1: this"),
        (["--keys", "/no/such/file"], "can't be read"),
        (["--server", "no-port"], "host:port"),
    ],
)
def test_a_wrong_option_is_refused_in_words(arguments: list[str], words: str) -> None:
    assert words in refusal(*arguments)


def test_a_new_key_is_printed_with_its_entry() -> None:
    printed = CliRunner().invoke(app, ["--new-key", "kitchen"]).stdout
    assert printed.startswith("# The key is sk-bark-") and '[[key]]\nname = "kitchen"\nsha256 = "' in printed


def test_the_version_is_that_of_the_client() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"bark-gateway {__version__}\n"


def test_it_listens_for_home_assistant_where_it_is_told_to(triton: FakeTriton) -> None:
    http, port = free_port(), free_port()
    with running("--server", triton.url, "--port", str(http), BARK_GATEWAY_WYOMING=str(port)) as (child, line):
        assert line == f"Wyoming listens on tcp://127.0.0.1:{port}\n"
        assert child.stderr is not None and child.stderr.readline().startswith("The gateway listens")
        with socket.create_connection(("127.0.0.1", port), timeout=START_S) as connection:
            connection.sendall(b'{"type": "describe"}\n')
            assert b"info" in connection.recv(100)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=START_S) in (0, -signal.SIGTERM)
        assert "Traceback" not in child.stderr.read()


def test_home_assistants_port_is_not_open_to_a_network_unless_wanted(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(new_key("kitchen")[1])
    told = refusal("--wyoming", "10200", "--wyoming-address", "0.0.0.0", "--keys", str(keys))
    assert "Wyoming has no keys" in told and "--insecure" in told
    assert "no key of this name" in refusal("--wyoming", "10200", "--wyoming-key", "hall", "--keys", str(keys))


@pytest.mark.parametrize("option", ["--port", "--wyoming"])
def test_a_port_that_is_taken_is_named_with_its_option(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = f"{option} {port}: another program listens on 127.0.0.1:{port}. End it, or give another {option}."
        assert words in refusal("--port", str(free_port()), option, str(port))


def test_settings_and_ports_are_checked_without_serving() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "another program listens" in refusal("--check", "--port", port)
    other = str(free_port())
    result = CliRunner().invoke(app, ["--check", "--port", port, "--wyoming", other], env={"BARK_GATEWAY_KEYS": ""})
    assert (result.exit_code, result.output) == (0, f"--port {port} is free\n--wyoming {other} is free\n")


def make_certificate(folder: Path, *options: str) -> list[str]:
    """A certificate for this machine and its key; the options that name them."""
    certificate, private = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=localhost", "-days", "2",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", private, "-out", certificate, *(options or ["-nodes"])],
        check=True, capture_output=True,
    )  # fmt: skip
    return ["--tls-certificate", str(certificate), "--tls-key", str(private)]


def test_a_key_of_another_certificate_is_refused_in_words(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = make_certificate(tmp_path / "one"), make_certificate(tmp_path / "two")
    assert "does not belong to the first certificate of" in refusal(*one[:2], *two[2:])


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    told = refusal(*make_certificate(tmp_path, "-passout", "pass:secret"))
    assert "key.pem: it has a password. Write it without one: openssl pkey -in" in told


def test_a_gateway_without_a_server_says_so_and_says_when_one_answers() -> None:
    port, server = str(free_port()), free_port()
    not_ready = f"server.* at 127.0.0.1:{server}.*; requests get status 503 until a server is ready\n"
    with running("--server", f"127.0.0.1:{server}", "--port", port) as (child, first):
        assert child.stderr is not None
        assert re.search(not_ready, first) or wait_for_line(child, not_ready)
        triton = FakeTriton(server)
        try:
            assert wait_for_line(child, f"the server at 127.0.0.1:{server} is ready now\n")
        finally:
            triton.close()
        assert wait_for_line(child, not_ready)


def wait_for_line(child: subprocess.Popen[str], pattern: str) -> bool:
    """Whether the process says a line like this before it ends."""
    assert child.stderr is not None
    return any(re.search(pattern, line) for line in child.stderr)
