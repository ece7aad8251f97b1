"""ONNX Runtime sessions: how to open an engine, and how to run a stateless network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from bark_serving.arrays import Array
from bark_serving.engines.store import MODEL_FILE

WIDE_FILE = "wide.onnx"
CHUNK_FILE = "chunk.onnx"  #: the codec's decoder with its state as input and output
#: Instructions that add int8 products in 32 bits. Older x86 CPUs add pairs of them in 16 bits, which overflow.
_EXACT_INT8 = {"avx512_vnni", "avx_vnni", "asimddp"}


def multiplies_int8_exactly() -> bool:
    """Whether this CPU computes int8 matrix products exactly."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return not _EXACT_INT8.isdisjoint(flags)


def wide_graph(engine: Path) -> Path:
    """An engine's graph for many positions at once: ``wide.onnx`` if it exists and the CPU computes it exactly."""
    wide = engine / WIDE_FILE
    return wide if wide.exists() and multiplies_int8_exactly() else engine / MODEL_FILE


def open_session(graph: Path, *, threads: int, spin: bool = False, prepack: bool = True) -> ort.InferenceSession:
    """Open a graph on the CPU with ``threads`` threads.

    spin: threads busy-wait during a call and sleep between calls. This suits many short operators.
    prepack: copy the weights into memory in the fastest layout. Otherwise they stay in the memory-mapped file.

    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1

    options.enable_mem_pattern = False  # patterns cost an eighth more memory and save no time
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    options.add_session_config_entry("session.force_spinning_stop", "1")  # other sessions use the same cores
    options.add_session_config_entry("session.disable_prepacking", str(int(not prepack)))
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
    """Run a network, one row of the batch after the other.

    One row keeps all cores busy. Four rows at once take as long, and four times the memory.
    """
    rows = len(next(iter(inputs.values())))
    answers = [
        session.run(outputs, {name: array[row : row + 1] for name, array in inputs.items()}) for row in range(rows)
    ]
    return {name: np.concatenate(parts) for name, parts in zip(outputs, zip(*answers, strict=True), strict=True)}


def run_with_state(
    whole: ort.InferenceSession, chunk: ort.InferenceSession, inputs: dict[str, Array], outputs: list[str]
) -> dict[str, Array]:
    """`run` on ``chunk`` where the inputs have a ``state`` to go on from, else on ``whole``."""
    return run(chunk if "state" in inputs else whole, inputs, outputs)
