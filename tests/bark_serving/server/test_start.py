"""What is checked before a server starts, and before anything is written."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from bark_serving.bundle import MINIATURE
from bark_serving.server import ServerSettings, gateway, start
from bark_serving.server.gateway import GatewayFailed, check_settings
from bark_serving.server.render_settings import RenderSettings


@pytest.fixture(autouse=True)
def _without_settings_of_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ADDRESS", "PORT", "KEYS", "KEY_FILE", "INSECURE", "MAX_ACTIVE", "WYOMING"):
        monkeypatch.delenv(f"BARK_GATEWAY_{variable}", raising=False)


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1"])
def test_beside_a_gateway_triton_is_not_opened_to_a_network(tmp_path: Path, address: str) -> None:
    server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path, address=address, gateway=True)
    with pytest.raises(GatewayFailed, match=rf"--address {address} opens Triton .* BARK_GATEWAY_ADDRESS=0\.0\.0\.0"):
        start.prepare(server, RenderSettings(bundle=MINIATURE))
    assert not server.repository.exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MAX_ACTIVE": "foo"}, r"^The gateway can't start\. BARK_GATEWAY_MAX_ACTIVE=foo: .* integer.*\.$"),
        ({"PORT": "0"}, r"^The gateway can't start\. BARK_GATEWAY_PORT=0: .*1.*\.$"),
        ({"ADDRESS": "0.0.0.0"}, r"BARK_GATEWAY_KEY_FILE \(`bark-gateway --new-key NAME` .*, or .*_INSECURE=true\.$"),
    ],
)
def test_a_wrong_setting_of_the_gateway_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"BARK_GATEWAY_{name}", value)
    server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path, gateway=True)
    with pytest.raises(GatewayFailed, match=words):
        start.prepare(server, RenderSettings(bundle=MINIATURE))
    assert not server.repository.exists()


@pytest.mark.parametrize("option", ["port", "wyoming"])
def test_a_port_that_the_server_wants_too_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    says = [sys.executable, "-c", f"print('--{option} 9001 is free')"]  # as `bark-gateway --check` does
    monkeypatch.setattr(gateway, "command", lambda _: says)
    server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path, grpc_port=9001, gateway=True)
    words = rf"^BARK_GATEWAY_{option.upper()} 9001 is the server's --grpc-port\. Give one of them another port\.$"
    with pytest.raises(GatewayFailed, match=words):
        start.prepare(server, RenderSettings(bundle=MINIATURE))
    assert not server.repository.exists()


def test_a_port_of_the_gateway_that_is_taken_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("BARK_GATEWAY_PORT", str(port))
        server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path, gateway=True)
        words = f"BARK_GATEWAY_PORT {port}: another program listens on .* give another BARK_GATEWAY_PORT.$"
        with pytest.raises(GatewayFailed, match=words):
            check_settings(server)
    check_settings(server)


@pytest.mark.parametrize("access", [True, False])
def test_a_voice_store_that_cannot_be_written_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, access: bool
) -> None:
    monkeypatch.setattr(start, "render", lambda *_, **__: None)
    monkeypatch.setattr(os, "access", lambda path, _mode: access or path != tmp_path)
    told: list[str] = []
    server = ServerSettings(repository=tmp_path / "repository", folder=tmp_path / "state")
    rendering = RenderSettings(bundle=MINIATURE, voice_store=tmp_path / "voices/of/clients")
    start.prepare(server, rendering, warn=told.append)
    words = f"user {os.getuid()} may not write to {tmp_path}. The server speaks without"
    assert [words in one for one in told] == ([] if access else [True])
    (tmp_path / "voices").touch()
    start.prepare(server, rendering, warn=told.append)
    assert f"{tmp_path / 'voices'} is not a folder" in told[-1]
