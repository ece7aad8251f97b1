"""Running requests end before a server stops. That Triton lets them: `tests/system/test_faults.py`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from bark_serving.server import drain as draining
from bark_serving.server.binary import GRPC_CONTROL_HEADER
from bark_serving.server.drain import drain
from bark_serving.server.settings import ServerSettings


class Triton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Notes what is unloaded, and with which key."""

    def __init__(self) -> None:
        self.unloaded: list[tuple[str, str]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        key = str(dict(context.invocation_metadata())[GRPC_CONTROL_HEADER])
        self.unloaded.append((request.model_name, key))
        return service_pb2.RepositoryModelUnloadResponse()

    def close(self) -> None:
        self._server.stop(0).wait()


@pytest.fixture
def triton() -> Iterator[Triton]:
    server = Triton()
    yield server
    server.close()


def drained(triton: Triton, folder: Path, *, grace: float, hurry: bool = False) -> bool:
    settings = ServerSettings(
        repository=folder, folder=folder, grpc_port=triton.port, metrics_port=1, grace=grace
    )  # nobody answers on port 1
    own = psutil.Process()
    return drain(settings, triton=own, control_key="key", hurry=lambda: hurry, report=lambda _message: None)


def test_a_server_waits_until_its_last_request_has_ended(
    triton: Triton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [1, 1, 0]
    monkeypatch.setattr(draining, "processes_of", lambda _triton, _model: [0] * left.pop(0))
    assert drained(triton, tmp_path, grace=60)
    assert triton.unloaded == [("bark", "key")] and not left


@pytest.mark.parametrize(("grace", "hurry"), [(0.1, False), (60.0, True)])
def test_the_wait_has_a_limit_and_can_be_cut_short(
    triton: Triton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grace: float, hurry: bool
) -> None:
    monkeypatch.setattr(draining, "processes_of", lambda _triton, _model: [1])
    begun = time.monotonic()
    assert not drained(triton, tmp_path, grace=grace, hurry=hurry)
    assert time.monotonic() - begun < 20
    assert triton.unloaded == [("bark", "key")]


def said(*, running: int, waiting: int) -> str:
    return (
        f'bark_requests_running{{check="false",model="bark",version="1"}} {running}\n'
        'bark_requests_running{check="true",model="bark",version="1"} 0\n'
        f'nv_inference_pending_request_count{{model="bark",version="1"}} {waiting}\n'
        'nv_inference_pending_request_count{model="echo",version="1"} 5\n'
    )


IDLE, BUSY, QUEUED = said(running=0, waiting=0), said(running=1, waiting=0), said(running=0, waiting=1)


@pytest.mark.parametrize(
    ("metrics", "ended"),
    [
        ([BUSY, QUEUED, IDLE, IDLE], True),
        ([IDLE, BUSY, IDLE, BUSY] * 100, False),  # between the two it was being handed over
        ([""] * 400, False),
        (["nv_inference_count 0\n"] * 400, False),  # a model that does not count
    ],
)
def test_streams_that_carry_no_request_are_not_waited_for(
    triton: Triton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: list[str], ended: bool
) -> None:
    monkeypatch.setattr(draining, "processes_of", lambda _triton, _model: [1])
    monkeypatch.setattr(draining, "metrics", lambda _settings: metrics.pop(0))
    assert drained(triton, tmp_path, grace=60.0 if ended else 0.5) == ended
    assert bool(metrics) != ended


def test_a_server_without_grace_or_that_has_gone_is_not_waited_for(triton: Triton, tmp_path: Path) -> None:
    assert not drained(triton, tmp_path, grace=0)
    assert triton.unloaded == []
    triton.close()
    assert not drained(triton, tmp_path, grace=60)
