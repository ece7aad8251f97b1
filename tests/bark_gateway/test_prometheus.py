"""A real Prometheus reads a gateway's metrics, and its rules see what happens."""

from __future__ import annotations

from pathlib import Path

import httpx2

from bark_gateway.keys import Key, hashed
from tests.bark_gateway.served import served
from tests.client.fake_triton import FakeTriton, say_error
from tests.prometheus import needs_prometheus, prometheus, queries

ABOUT_THE_SERVER = ("bark_stage", "bark_pieces", "bark_requests", "bark_first", "nv_")


@needs_prometheus
def test_the_board_and_the_alerts_get_what_they_ask_a_gateway_for(triton: FakeTriton, tmp_path: Path) -> None:
    keys = [Key(name="one", sha256=hashed("secret"))]
    with (
        served(triton.url, keys=keys) as gateway,
        prometheus(tmp_path, key="secret", bark_gateway=gateway.url.removeprefix("http://")) as watching,
        httpx2.Client(base_url=gateway.url, headers={"authorization": "Bearer secret"}) as http,
    ):
        watching.wait('up{job="bark-gateway"} == 1')  # before the speeches, so that its metrics grow
        triton.plan.append(say_error("semantic: broken"))
        answers = [http.post("/v1/audio/speech", json={"input": "Hello."}).status_code for _ in range(3)]
        assert answers == [500, 200, 200]
        for query in queries().values():
            if not any(part in query for part in ABOUT_THE_SERVER):
                watching.wait(query)
        assert watching.values('bark_gateway_speeches_total{outcome="failed"}') == [1]
        watching.wait('ALERTS{alertname="BarkSpeechesFail", alertstate="pending"}')
        groups = watching.get("rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}


@needs_prometheus
def test_a_gateway_whose_key_prometheus_lacks_is_down_to_it(triton: FakeTriton, tmp_path: Path) -> None:
    keys = [Key(name="one", sha256=hashed("secret"))]
    with (
        served(triton.url, keys=keys) as gateway,
        prometheus(tmp_path, bark_gateway=gateway.url.removeprefix("http://")) as watching,
    ):
        watching.wait('up{job="bark-gateway"} == 0')
        watching.wait('ALERTS{alertname="BarkGatewayDown", alertstate="pending"}')
