from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bark_client import AsyncBarkClient, BarkClient, Chunk
from bark_client.cli.main import app
from tests.client.fake_triton import FakeTriton, started

triton = pytest.fixture(started)


class AsyncDriver:
    """AsyncBarkClient with the methods of BarkClient, so that one test covers both."""

    def __init__(self, url: str, **arguments: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncBarkClient(url, **arguments)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._loop.run_until_complete(method(*arguments, **options))

    def stream(self, text: str, **options: Any) -> AsyncStreamDriver:
        return AsyncStreamDriver(self._client.stream(text, **options), self._loop)

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.run_until_complete(asyncio.sleep(0))  # let gRPC's callbacks of the closed channel run
        self._loop.close()


class AsyncStreamDriver:
    def __init__(self, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._stream, self._loop = stream, loop

    def __enter__(self) -> AsyncStreamDriver:
        self._loop.run_until_complete(self._stream.__aenter__())
        return self

    def __exit__(self, *exc: Any) -> None:
        self._loop.run_until_complete(self._stream.__aexit__(*exc))

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        try:
            return self._loop.run_until_complete(anext(self._stream))
        except StopAsyncIteration:
            raise StopIteration from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@pytest.fixture(params=[BarkClient, AsyncDriver], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make a client of either kind, closed after the test."""
    with contextlib.ExitStack() as closing:

        def make(url: str, **arguments: Any) -> Any:
            client = request.param(url, **arguments)
            closing.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(connect: Callable[..., Any], triton: FakeTriton) -> Any:
    return connect(triton.url)


@pytest.fixture
def bark(triton: FakeTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `bark …` in an empty folder with BARK_URL set to the fake server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BARK_URL", triton.url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, input: str | bytes | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(app, list(arguments), input=input)

    return run
