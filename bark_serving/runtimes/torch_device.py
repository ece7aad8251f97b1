"""Devices, number types and CUDA graphs, for all torch stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from bark_serving.profiles import Precision

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_device(name: str, *, threads: int) -> torch.device:
    """``cpu`` or ``cuda:<number>``, with exact fp32 in this process: TF32 is turned off."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


@contextmanager
def computing(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Context of every run: no gradients, the device as the current one, attention as exact as the type.

    Gradient mode and current device belong to a thread. A network may be opened on one thread and run on another.
    """
    attention: Any = nullcontext()
    if device.type == "cuda":
        fast = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        attention = sdpa_kernel([SDPBackend.MATH] if dtype == torch.float32 else fast)
    with torch.inference_mode(), torch.cuda.device(device) if device.type == "cuda" else nullcontext(), attention:
        yield


class Recorder(NamedTuple):
    """A stream and a memory pool for recording one device's graphs. The graphs share memory: run one at a time."""

    stream: torch.cuda.Stream
    pool: Any  #: from `torch.cuda.graph_pool_handle`


def recorder(device: torch.device) -> Recorder | None:
    """A recorder with a stream of this GPU (torch's default one is of the GPU that recorded first); None for a CPU."""
    if device.type != "cuda":
        return None
    return Recorder(torch.cuda.Stream(device), torch.cuda.graph_pool_handle())  # type: ignore[no-untyped-call]


def captured(function: Callable[[], None], recorder: Recorder | None) -> Callable[[], None]:
    """``function``, which works on fixed tensors in place, as one CUDA graph. Without a recorder: the function itself.

    The recording runs it three times, so a repeated run on the same tensors must change nothing.
    """
    if recorder is None:
        return function
    aside, pool = recorder
    aside.wait_stream(torch.cuda.current_stream(aside.device))
    with torch.cuda.stream(aside):  # warm-up: libraries allocate memory and choose kernels
        for _ in range(2):
            function()
    torch.cuda.current_stream(aside.device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # thread_local: another thread of this process may use another GPU during the recording
    with torch.cuda.graph(graph, pool=pool, stream=aside, capture_error_mode="thread_local"):
        function()
    replay: Callable[[], None] = graph.replay
    return replay
