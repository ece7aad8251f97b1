"""ONNX Runtime sessions: one way to open an engine, one way to run a network without state."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from bark_serving.arrays import Array

MODEL_FILE = "model.onnx"


def open_session(engine: Path, *, threads: int) -> ort.InferenceSession:
    """Open an engine folder's graph on the CPU with ``threads`` threads.

    Idle threads don't spin: several sessions share the cores.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(engine / MODEL_FILE), options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Array]:
    """Run a network by names."""
    return dict(zip(outputs, session.run(outputs, inputs), strict=True))
