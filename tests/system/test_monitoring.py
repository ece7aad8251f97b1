"""A real Prometheus reads a real Triton: every query of the board about servers is answered."""

from __future__ import annotations

from pathlib import Path

from bark_client import BarkClient
from tests.prometheus import needs_prometheus, prometheus, queries
from tests.system.conftest import RealServer

NO_GPU = "nv_gpu_utilization"
GATEWAY = ("bark_gateway_", "process_")


@needs_prometheus
def test_the_board_gets_what_it_asks_a_server_for(miniature_server: RealServer, tmp_path: Path) -> None:
    address = miniature_server.metrics_url.removeprefix("http://").partition("/")[0]
    with prometheus(tmp_path, bark_server=address) as watching:
        watching.wait('up{job="bark-server"} == 1')
        with BarkClient(miniature_server.url) as bark:
            bark.speak("Hello there. How are you?", voice="joe", seed=3)
        for query in queries().values():
            if NO_GPU not in query and not any(part in query for part in GATEWAY):
                watching.wait(query)
