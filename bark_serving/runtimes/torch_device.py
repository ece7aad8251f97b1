"""Devices, number types and CUDA graphs: what every torch stage needs to know about where it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from bark_serving.profiles import Precision

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_device(name: str, *, threads: int) -> torch.device:
    """``cpu`` or ``cuda:<number>``, and this process's arithmetic set so that fp32 is fp32: no TF32 in its place."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


@contextmanager
def computing(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Around every run: no gradients, the right GPU current, attention that is as exact as the type.

    Gradient mode and current device belong to a thread, and networks are opened and run on different ones.
    """
    attention: Any = nullcontext()
    if device.type == "cuda":
        fast = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        attention = sdpa_kernel([SDPBackend.MATH] if dtype == torch.float32 else fast)
    with torch.inference_mode(), torch.cuda.device(device) if device.type == "cuda" else nullcontext(), attention:
        yield


class Recorder(NamedTuple):
    """Where graphs of one device are recorded that never run at the same time: they share memory."""

    stream: torch.cuda.Stream
    pool: Any  #: as of `torch.cuda.graph_pool_handle`


def recorder(device: torch.device) -> Recorder | None:
    """For a GPU, with a stream of that very GPU: torch's own is of whichever recorded first. None elsewhere."""
    if device.type != "cuda":
        return None
    return Recorder(torch.cuda.Stream(device), torch.cuda.graph_pool_handle())  # type: ignore[no-untyped-call]


def captured(function: Callable[[], None], recorder: Recorder | None) -> Callable[[], None]:
    """A function that works on fixed tensors in place, as one CUDA graph; without a recorder the function itself.

    It runs a few times for this, so running it again on the same tensors must change nothing.
    """
    if recorder is None:
        return function
    aside, pool = recorder
    aside.wait_stream(torch.cuda.current_stream(aside.device))
    with torch.cuda.stream(aside):  # libraries allocate and choose their kernels before the recording
        for _ in range(2):
            function()
    torch.cuda.current_stream(aside.device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # thread_local: another thread of this process may be at work on another GPU meanwhile
    with torch.cuda.graph(graph, pool=pool, stream=aside, capture_error_mode="thread_local"):
        function()
    replay: Callable[[], None] = graph.replay
    return replay
