"""CUDA graphs, recorded with stand-ins for what takes a GPU: on whose stream, in which memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from bark_serving.runtimes.torch_device import captured, recorder

CUDA = [torch.device("cuda:0"), torch.device("cuda:1")]


class Stream:
    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait_stream(self, other: Stream) -> None:
        assert other.device == self.device


class Graph:
    def replay(self) -> None:
        self.replayed = True


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every graph made, in order."""
    made: list[Any] = []

    def new() -> Graph:
        graph = Graph()
        made.append(graph)
        return graph

    @contextmanager
    def record(graph: Any, *, pool: object, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        graph.recorded_on, graph.pool, graph.mode = stream, pool, capture_error_mode
        yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", new)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    return made


def test_each_gpu_records_its_graphs_on_a_stream_and_in_memory_of_its_own(graphs: list[Any]) -> None:
    """Torch's default stream for recording is of the GPU that recorded first, whichever records next."""
    recorders = [recorder(device) for device in CUDA]
    for one in (*recorders, *recorders):
        captured(lambda: None, one)
    assert [graph.recorded_on.device for graph in graphs] == CUDA + CUDA
    for first, second in ((0, 2), (1, 3)):  # graphs that share memory share their stream
        assert graphs[first].recorded_on is graphs[second].recorded_on
        assert graphs[first].pool is graphs[second].pool
    assert graphs[0].pool is not graphs[1].pool


def test_what_is_captured_ran_before_and_replays_its_graph(graphs: list[Any]) -> None:
    runs: list[None] = []
    replay = captured(lambda: runs.append(None), recorder(CUDA[0]))
    assert len(runs) == 3  # twice to warm up, once recorded
    replay()
    assert len(runs) == 3 and graphs[0].replayed


def test_on_the_cpu_a_captured_function_is_itself() -> None:
    function = lambda: None  # noqa: E731
    assert captured(function, recorder(torch.device("cpu"))) is function
