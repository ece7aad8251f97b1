"""Gateways in front of a stand-in for Triton, which speaks known samples."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from openai import OpenAI

from tests.bark_gateway.served import Served, served
from tests.client.fake_triton import FakeTriton, started
from tests.client.fake_voices import FakeVoices

shared_triton = pytest.fixture(started, scope="module")
other = pytest.fixture(started)


@pytest.fixture(scope="module")
def shared_gateway(shared_triton: FakeTriton) -> Iterator[Served]:
    with served(shared_triton.url) as gateway:
        yield gateway


@pytest.fixture
def triton(shared_triton: FakeTriton) -> FakeTriton:
    """The stand-in, as if it had just been started. One serves all tests of a module, because starts take time."""
    shared_triton.plan.clear()
    shared_triton.requests.clear()
    shared_triton.request_ids.clear()
    shared_triton.traceparents.clear()
    shared_triton.voices = FakeVoices()
    shared_triton.unary_plan.clear()
    shared_triton.cancelled = threading.Semaphore(0)
    shared_triton.ready = True
    shared_triton.release.clear()
    return shared_triton


@pytest.fixture
def serve(triton: FakeTriton) -> Iterator[Callable[..., Served]]:
    """Start a gateway with given settings; it ends with the test."""
    with ExitStack() as stack:

        def start(*servers: str, **settings: object) -> Served:
            return stack.enter_context(served(*(servers or (triton.url,)), **settings))

        yield start


@pytest.fixture
def gateway(shared_gateway: Served, triton: FakeTriton) -> Served:
    return shared_gateway


@pytest.fixture
def http(gateway: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=gateway.url, timeout=20) as client:
        yield client


@pytest.fixture
def openai(gateway: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        yield client
