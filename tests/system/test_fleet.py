"""One gateway in front of three servers, of which one is killed and one is cut off.

The servers are stand-ins that only wait; a slow test has real Triton servers whose stages only wait.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from bark_client import BarkClient
from tests.bark_gateway.served import Served, served
from tests.system.fleet import Member, check_networks, fleet, wait_for

WAIT_S = 0.6  #: that a sentence takes
AT_ONCE = 2  #: sentences that a server makes at once
ROUNDS = 5  #: of so many sentences, that are measured
ATTEMPTS = 3  #: to measure, because another program may take the processor
SENTENCE = "This is one of the sentences that are spoken here."
LOST_S = 2.0
STREAMS = 12


@dataclass
class Heard:
    """What a client got."""

    status: int
    audio: bytes
    error: dict[str, Any] | None


def hear(http: httpx2.Client, *, seed: int, sentences: int = 1) -> Heard:
    body = {
        "input": " ".join([SENTENCE] * sentences), "seed": seed, "response_format": "pcm", "stream_format": "sse",
    }  # fmt: skip
    audio, error = b"", None
    with http.stream("POST", "/v1/audio/speech", json=body) as answer:
        if answer.status_code != 200:
            answer.read()
            return Heard(answer.status_code, b"", answer.json()["error"])
        for line in answer.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                audio += base64.b64decode(event.get("audio", ""))
                error = event.get("error", error)
    return Heard(200, audio, error)


def client(gateway: Served) -> httpx2.Client:
    limits = httpx2.Limits(max_connections=200)
    return httpx2.Client(base_url=gateway.url, timeout=60, limits=limits)


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["stand-ins", "triton"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    check_networks()
    folder = tmp_path_factory.mktemp("fleet")
    with fleet(3, folder, real=request.param, wait_s=WAIT_S, max_batch=AT_ONCE // 2) as members:
        for member in members:
            with BarkClient(member.url) as bark:
                wait_for(lambda bark=bark: bark.health().ok)
        yield members


@pytest.fixture(scope="module")
def gateway(servers: list[Member]) -> Iterator[Served]:
    with served(*(member.url for member in servers), lost_s=LOST_S) as running:
        yield running


def speeches_per_s(gateway: Served, *, count: int) -> float:
    """One sentence each, all at once."""
    with client(gateway) as http, ThreadPoolExecutor(count) as threads:
        began = time.monotonic()
        heard = list(threads.map(lambda seed: hear(http, seed=seed), range(count)))
        seconds = time.monotonic() - began
    assert all(one.status == 200 and one.error is None for one in heard)
    return count / seconds


def test_three_servers_speak_nearly_three_times_as_much(servers: list[Member], gateway: Served) -> None:
    with served(servers[0].url) as alone:
        for _ in range(ATTEMPTS):
            one = speeches_per_s(alone, count=ROUNDS * AT_ONCE)
            three = speeches_per_s(gateway, count=3 * ROUNDS * AT_ONCE)
            print(f"one server: {one:.2f} speeches per second; three: {three:.2f}; ratio {three / one:.2f}")
            if three >= 2.7 * one:
                break
    assert three >= 2.7 * one


def test_what_had_no_audio_is_spoken_by_another_server(servers: list[Member], gateway: Served) -> None:
    known = {server.url: server for server in gateway.gateway.servers.all}
    killed, cut, left = servers

    def begun(member: Member) -> list[bool]:
        return [work.made > 0 for work in list(known[member.url].work)]

    with client(gateway) as http, ThreadPoolExecutor(STREAMS) as threads:
        streams = [threads.submit(hear, http, seed=seed, sentences=2) for seed in range(STREAMS)]
        wait_for(lambda: all(any(begun(member)) for member in servers))
        before = [audio for member in (killed, cut) for audio in begun(member)]
        cut.cut()
        killed.kill()
        broke_at = time.monotonic()
        heard = [stream.result() for stream in streams]
        seconds = time.monotonic() - broke_at
        broken = [one for one in heard if one.error is not None]
        print(f"{len(heard) - len(broken)} spoken, {len(broken)} broken off; all within {seconds:.1f} s")
        assert any(before) and not all(before), "the lost servers had streams with audio, and others without"
        assert all(one.status == 200 for one in heard), "a request that had no audio was lost"
        assert broken, "a stream that had audio can't go on elsewhere"
        for one in broken:
            assert one.audio and one.error and one.error["code"] == "server_lost"
            assert "Send the same request again" in one.error["message"]
        for seed in range(3):
            again = hear(http, seed=seed, sentences=2)
            assert again.error is None and again.audio
            assert again.audio.startswith(heard[seed].audio), "the seed decides, and not the server"
        assert [server.url for server in gateway.gateway.servers.ready] == [left.url]
        assert http.get("/health/ready").status_code == 200
