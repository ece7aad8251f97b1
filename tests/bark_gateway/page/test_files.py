"""The files of the page, and the path that makes files of takes."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
from collections.abc import AsyncIterator

import httpx2
import numpy as np
import pytest

from bark_gateway.keys import Key, hashed
from bark_gateway.routes.page import FILES, _encoded
from tests.bark_gateway.decoded import RATE, decode, messages, pcm, tone
from tests.bark_gateway.served import served
from tests.client.fake_triton import FakeTriton

LOSSLESS = ["flac", "wav", "pcm"]
LOSSY = ["mp3", "opus", "aac"]


def test_the_page_needs_no_key_and_may_load_its_own_files_only(triton: FakeTriton) -> None:
    with served(triton.url, keys=[Key(name="one", sha256=hashed("secret"))]) as gateway:
        answer = httpx2.get(gateway.url)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy


def test_every_file_that_the_page_names_is_served(http: httpx2.Client) -> None:
    named = set(re.findall(r'(?:src|href)="(page/[^"]+)"', (FILES / "index.html").read_text()))
    for script in FILES.glob("*.js"):
        named |= {f"page/{name}" for name in re.findall(r'"(?:\./)?([\w-]+\.js)"', script.read_text())}
    assert {"page/page.css", "page/main.js", "page/queue.js", "page/player-worklet.js"} <= named
    for name in named:
        answer = http.get(f"/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["x-content-type-options"] == "nosniff"
        kind = {"js": "javascript", "css": "text/css", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
        assert kind in answer.headers["content-type"]


def test_files_beside_the_page_are_not_served(http: httpx2.Client) -> None:
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py"):
        assert http.get(path).status_code == 404


def test_a_file_that_has_not_changed_is_not_sent_again(http: httpx2.Client) -> None:
    first = http.get("/page/main.js")
    again = http.get("/page/main.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_file_of_a_take_holds_its_samples(http: httpx2.Client, kind: str) -> None:
    samples = tone(1.0)
    answer = http.post(f"/page/encode/{kind}", content=pcm(samples))
    np.testing.assert_array_equal(decode(answer.content, format=kind), decode(pcm(samples), format="pcm"))


@pytest.mark.parametrize("kind", LOSSY)
def test_a_lossy_file_of_a_take_sounds_alike(http: httpx2.Client, kind: str) -> None:
    samples = tone(1.0)
    with messages() as said:
        heard = decode(http.post(f"/page/encode/{kind}", content=pcm(samples)).content, format=kind)
    assert samples.size <= heard.size <= samples.size + 0.15 * RATE
    assert np.abs(np.fft.rfft(heard[:RATE])).argmax() == pytest.approx(220, abs=2)
    assert [one for one in said if "Estimating duration" not in one] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("mp3", b"", 400, "16-bit samples"),
        ("mp3", b"123", 400, "16-bit samples"),
        ("docx", b"1234", 400, "format"),
    ],
)
def test_what_is_no_take_is_refused(triton: FakeTriton, path: str, body: bytes, status: int, words: str) -> None:
    with served(triton.url) as gateway:
        answer = httpx2.post(f"{gateway.url}/page/encode/{path}", content=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_the_longest_text_of_the_page_can_be_saved(triton: FakeTriton) -> None:
    """With every pause that a text may have, at the slowest pace of the page."""
    text = "x" * 100
    samples = np.zeros(round((len(text) * 0.1 + 300) / slowest() * RATE), np.float32)
    with served(triton.url, max_characters=len(text), max_upload_bytes=1000) as gateway:
        answer = httpx2.post(f"{gateway.url}/page/encode/flac", content=pcm(samples), timeout=60)
        assert decode(answer.content, format="flac").size == samples.size
        answer = httpx2.post(f"{gateway.url}/page/encode/flac", content=pcm(samples) + b"12", timeout=60)
    assert answer.status_code == 413
    assert "Save it as WAV" in answer.json()["error"]["message"]


def slowest() -> float:
    found = re.search(r'<input id="speed" type="range" min="([\d.]+)"', (FILES / "index.html").read_text())
    assert found
    return float(found[1])


def test_a_take_may_arrive_in_fragments_of_any_size(http: httpx2.Client) -> None:
    samples = tone(1.0)
    data = pcm(samples)
    answer = http.post("/page/encode/pcm", content=(data[at : at + 777] for at in range(0, len(data), 777)))
    assert answer.content == data


def test_a_file_of_a_take_needs_the_key(triton: FakeTriton) -> None:
    with served(triton.url, keys=[Key(name="one", sha256=hashed("secret"))]) as gateway:
        assert httpx2.post(f"{gateway.url}/page/encode/mp3", content=b"1234").status_code == 401


@pytest.mark.parametrize("kind", ["wav", "pcm"])
def test_a_file_of_a_take_is_in_memory_once(kind: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield bytes(1 << 16)

    tracemalloc.start()
    try:
        file = asyncio.run(_encoded(body(), format=kind))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(file) >= 300 << 16 and peak < 1.4 * len(file)
