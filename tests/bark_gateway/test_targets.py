"""Servers whose addresses the DNS gives: they come and go while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from bark_client import InvalidRequest
from bark_gateway import servers as servers_module
from bark_gateway import targets
from bark_gateway.targets import DnsTarget, parse
from tests.bark_gateway.served import Served
from tests.bark_gateway.test_metrics import metrics
from tests.bark_gateway.test_servers import ready, wait_until
from tests.bark_gateway.test_tries import post
from tests.client.fake_triton import FakeTriton, free_port, hang

NAME = "dns:///bark-headless:8001"


class Dns:
    """Addresses that a test changes."""

    def __init__(self, *urls: str) -> None:
        self.urls: list[str] = list(urls)

    async def __call__(self, target: DnsTarget) -> list[str]:
        if not self.urls:
            raise OSError(-2, "Name or service not known")
        return self.urls


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers_module, "RESOLVE_INTERVAL_S", 0.05)


def test_a_name_stands_for_all_its_addresses() -> None:
    assert parse(NAME) == DnsTarget("bark-headless", 8001) and str(parse(NAME)) == NAME
    assert parse("bark:8001") == "bark:8001"
    found = asyncio.run(targets.resolve(DnsTarget("localhost", 8001)))
    assert found == ["127.0.0.1:8001"]


@pytest.mark.parametrize("text", ["dns:bark:8001", "dns://8.8.8.8/bark:8001", "dns:///bark", "dns:///bark:0", "bark"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(text)


def test_a_server_that_joins_speaks(serve: Callable[..., Served], triton: FakeTriton) -> None:
    dns = Dns()
    url = serve(NAME, resolve=dns).url
    answer = httpx2.get(f"{url}/health/ready")
    assert answer.status_code == 503 and post(url).status_code == 503
    dns.urls = [triton.url]
    wait_until(lambda: ready(url))
    assert post(url).status_code == 200
    assert metrics(url)["bark_gateway_server_up", triton.url] == 1


def test_servers_are_known_before_the_first_request(serve: Callable[..., Served], triton: FakeTriton) -> None:
    assert post(serve(NAME, resolve=Dns(triton.url)).url).status_code == 200


def test_a_server_that_leaves_finishes_and_gets_nothing_new(
    serve: Callable[..., Served], triton: FakeTriton, other: FakeTriton
) -> None:
    dns = Dns(triton.url, other.url)
    triton.plan.append(hang(after_chunks=1))
    other.plan.append(hang(after_chunks=1))
    gateway = serve(NAME, resolve=dns)
    body = {"input": "Hello.", "response_format": "pcm"}
    with httpx2.stream("POST", gateway.url + "/v1/audio/speech", json=body) as one:
        audio = one.iter_raw()
        assert next(audio)
        slow, quick = (triton, other) if triton.requests else (other, triton)
        quick.plan.clear()
        dns.urls = [quick.url]
        wait_until(lambda: [server.url for server in gateway.gateway.servers.ready] == [quick.url])
        assert [post(gateway.url).status_code for _ in range(3)] == [200] * 3
        assert len(slow.requests) == 1
        assert metrics(gateway.url)["bark_gateway_server_active", slow.url] == 1
        slow.release.set()  # it finishes what it has
    wait_until(lambda: [server.url for server in gateway.gateway.servers.all] == [quick.url])
    wait_until(lambda: not any(slow.url in name for name in metrics(gateway.url)))


def test_a_dns_that_is_silent_changes_nothing(serve: Callable[..., Served], triton: FakeTriton) -> None:
    dns = Dns(triton.url)
    gateway = serve(NAME, resolve=dns)
    dns.urls = []
    wait_until(lambda: any(gateway.gateway.servers._unresolved.values()))
    assert post(gateway.url).status_code == 200


def test_an_address_where_nobody_answers_gets_no_request(serve: Callable[..., Served], triton: FakeTriton) -> None:
    dns = Dns(triton.url)
    gateway = serve(NAME, resolve=dns)
    dns.urls = [triton.url, f"127.0.0.1:{free_port()}"]
    wait_until(lambda: len(gateway.gateway.servers.all) == 2)
    assert [post(gateway.url).status_code for _ in range(4)] == [200] * 4
    assert len(gateway.gateway.servers.ready) == 1
