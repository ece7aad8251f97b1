"""What is checked before a server starts, and before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from bark_serving.bundle import MINIATURE
from bark_serving.server import ServerSettings, start
from bark_serving.server.gateway import GatewayFailed
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
