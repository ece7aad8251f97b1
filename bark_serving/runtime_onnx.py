"""ONNX Runtime sessions: one way to open an engine, one way to run a network without state."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from bark_serving.arrays import Array
from bark_serving.engines import MODEL_FILE

WIDE_FILE = "wide.onnx"
#: Instructions that add products of bytes in 32 bits. Older x86 adds pairs in 16 bits, which overflow.
_EXACT_INT8 = {"avx512_vnni", "avx_vnni", "asimddp"}


def multiplies_int8_exactly() -> bool:
    """Whether this CPU's integer products of bytes are exact."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return not _EXACT_INT8.isdisjoint(flags)


def wide_graph(engine: Path) -> Path:
    """An engine's graph for many positions at once: ``wide.onnx``, where there is one and the CPU computes it right."""
    wide = engine / WIDE_FILE
    return wide if wide.exists() and multiplies_int8_exactly() else engine / MODEL_FILE


def open_session(graph: Path, *, threads: int) -> ort.InferenceSession:
    """Open a graph on the CPU with ``threads`` threads.

    Idle threads don't spin: several sessions share the cores.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
    """Run a network by names."""
    return dict(zip(outputs, session.run(outputs, inputs), strict=True))
