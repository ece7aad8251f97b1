"""Which process is which, and what a server's files may be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from bark_serving.server import binary, detach, state
from bark_serving.server.binary import Triton
from bark_serving.server.errors import AlreadyRunning, PortInUse, ServerError
from bark_serving.server.process import birth, check_ports, find
from bark_serving.server.settings import ServerSettings


def test_a_process_is_identified_even_if_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    born = birth(os.getpid())
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 0.0)
    assert birth(os.getpid()) == born
    assert find(os.getpid(), born=born) is not None
    assert find(os.getpid(), born=birth(1)) is None


def test_a_process_that_has_ended_is_not_found() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        born = birth(process.pid)
        process.kill()
        process.wait()
    assert find(process.pid, born=born) is None
    with pytest.raises(psutil.NoSuchProcess):
        birth(process.pid)


def test_a_name_is_free_once_its_supervisor_has_ended(tmp_path: Path) -> None:
    settings = ServerSettings(repository=tmp_path, folder=tmp_path / "server")
    state.check_free(settings)
    with state.exclusive(settings), pytest.raises(AlreadyRunning, match="already running"):
        state.check_free(settings)
    state.check_free(settings)


def test_a_server_with_an_unreadable_state_still_counts_as_running(tmp_path: Path) -> None:
    settings = ServerSettings(repository=tmp_path, folder=tmp_path / "server")
    assert detach.end(settings.folder, name=settings.name) is False
    with state.exclusive(settings):
        path = state.path(settings.folder, name=settings.name)
        path.write_text('{"of": "another version"}')
        with pytest.raises(ServerError, match="just starting"):
            detach.end(settings.folder, name=settings.name)
        assert path.exists()


@pytest.mark.parametrize("log", ["/dev/null", "/tmp"])
def test_a_log_must_be_an_ordinary_file(tmp_path: Path, log: str) -> None:
    with pytest.raises(ValidationError, match="not an ordinary file"):
        ServerSettings(repository=tmp_path, log=Path(log))


def test_an_address_that_this_machine_lacks_is_told_from_a_port_that_is_taken(tmp_path: Path) -> None:
    settings = ServerSettings(repository=tmp_path, folder=tmp_path, address="192.0.2.1")
    with pytest.raises(PortInUse, match=r"This machine has no address 192\.0\.2\.1\. Give another --address"):
        check_ports(settings)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = ServerSettings(repository=tmp_path, folder=tmp_path, metrics_port=port)
        with pytest.raises(PortInUse, match=f"Port {port} on 127.0.0.1 .* Give another port with --metrics-port"):
            check_ports(settings)


@pytest.mark.parametrize(
    ("given", "address"),
    [("localhost", "127.0.0.1"), ("127.1", "127.0.0.1"), ("::ffff:127.0.0.1", "127.0.0.1"), ("0", "0.0.0.0")],
)
def test_a_name_stands_for_its_ipv4_address_in_all_that_a_server_is_told(
    tmp_path: Path, given: str, address: str
) -> None:
    settings = ServerSettings(repository=tmp_path, folder=tmp_path, address=given)
    assert settings.address == address
    assert settings.metrics_url == "http://127.0.0.1:8002/metrics"
    found = Triton(tmp_path / "bin/tritonserver", wheel=False)
    command = binary.command(found, settings, backends=tmp_path, shm_prefix="", control_key="")
    assert [one.partition("=")[2] for one in command if "-address=" in one] == [address] * 3


def test_a_supervisor_and_the_state_get_the_address_not_the_name(tmp_path: Path) -> None:
    settings = ServerSettings(repository=tmp_path, folder=tmp_path, address="localhost")
    assert json.loads(settings.model_dump_json())["address"] == "127.0.0.1"


@pytest.mark.parametrize("address", ["::1", "::", "[::1]", "fe80::1%lo"])
def test_an_ipv6_address_is_refused_as_one(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValidationError, match=r": it is an IPv6 address, and .* IPv4\. Give 127\.0\.0\.1 for this"):
        ServerSettings(repository=tmp_path, address=address)


@pytest.mark.parametrize(
    "address", ["no.such.name.invalid", "", "a..b", "127.0.0.1:8000", "http://localhost", "x" * 64]
)
def test_an_address_that_is_none_is_refused_in_words(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValidationError, match=r"it is no IPv4 address, and no name that has one .*Give 127\.0\.0\.1"):
        ServerSettings(repository=tmp_path, address=address)
