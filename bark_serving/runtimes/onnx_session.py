"""ONNX Runtime sessions: one way to open an engine, one way to run a network without state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from bark_serving.arrays import Array
from bark_serving.engines.store import MODEL_FILE

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


def open_session(
    graph: Path, *, threads: int, spin: bool = False, resident: bool = True, profile: Path | None = None
) -> ort.InferenceSession:
    """Open a graph on the CPU with ``threads`` threads.

    spin: threads wait for each other awake while a call runs, and sleep between calls: for many short operators.
    resident: weights are laid out in memory for speed; else they stay in their file, which is mapped, until used.
    profile: the beginning of a file's name, where the session's ``end_profiling`` leaves what every operator took.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    options.enable_mem_pattern = False  # it plans for the shapes of one call: an eighth more memory, no time gained
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    options.add_session_config_entry("session.force_spinning_stop", "1")  # other sessions share the cores
    options.add_session_config_entry("session.disable_prepacking", str(int(not resident)))
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
    """Run a network by names, one row of the batch after the other.

    One row keeps all cores busy: four together take as long, and four times the memory.
    """
    rows = len(next(iter(inputs.values())))
    answers = [
        session.run(outputs, {name: array[row : row + 1] for name, array in inputs.items()}) for row in range(rows)
    ]
    return {name: np.concatenate(parts) for name, parts in zip(outputs, zip(*answers, strict=True), strict=True)}
