"""A GPT engine in ONNX Runtime: KV cache rows in place, inputs and outputs bound to fixed memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from bark_serving.arrays import Array, Floats, Ids, Ints
from bark_serving.engines import MODEL_FILE
from bark_serving.runtime_onnx import open_session, wide_graph
from bark_serving.spec import GptSpec


class OnnxGpt:
    """Implements `bark_serving.decoding.loop.Runtime` on an exported GPT graph.

    embeddings: [input_vocab, width] token embeddings, which stay outside the graph.
    rows: sequences in flight at most; memory for a row is taken when it is first used.
    """

    def __init__(self, engine: Path, *, gpt: GptSpec, embeddings: Floats, rows: int, threads: int) -> None:
        self.rows = rows
        self.capacity = gpt.block_size
        self._embeddings = embeddings
        self._width = gpt.width
        self._vocab = gpt.output_vocab
        self._decode = open_session(engine / MODEL_FILE, threads=threads)
        wide = wide_graph(engine)
        self._prefill = self._decode if wide.name == MODEL_FILE else open_session(wide, threads=threads)
        shape = (rows, gpt.heads, gpt.block_size, gpt.head_width)
        # calloc'ed: the pages of a row that is never used are never touched
        self._caches = {
            f"{kind}_{i}": np.zeros(shape, np.float32) for i in range(gpt.layers) for kind in ("key", "value")
        }

    def embed(self, ids: Ints) -> Floats:
        rows: Floats = self._embeddings[ids]
        return rows

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        length = len(embeddings)
        positions = np.arange(length, dtype=np.int64)[None]
        logits: Floats = self._run(self._prefill, row, embeddings[None], positions, np.array([length - 1], np.int32))[0]
        return logits

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        return self._run(self._decode, 0, embeddings[:, None], lengths.astype(np.int64)[:, None], lengths)

    def move(self, source: int, target: int, length: int) -> None:
        for cache in self._caches.values():
            cache[target, :, :length] = cache[source, :, :length]

    def _run(
        self, session: ort.InferenceSession, row: int, embeddings: Floats, positions: Ints, seqlens: Ids
    ) -> Floats:
        """Rows from ``row`` on: embeddings [batch, n, width] → logits [batch, vocab]; caches grow in place."""
        batch = len(embeddings)
        logits = np.empty((batch, self._vocab), np.float32)
        binding = session.io_binding()
        inputs: dict[str, Array] = {
            "embeddings": np.ascontiguousarray(embeddings, np.float32),
            "positions": positions,
            "seqlens": seqlens,
            "total_length": np.array([int(seqlens.max()) + 1], np.int32),
        }
        for name, array in inputs.items():
            _bind(binding.bind_input, name, array)
        for name, cache in self._caches.items():
            view = cache[row : row + batch]
            _bind(binding.bind_input, f"past_{name}", view)
            _bind(binding.bind_output, f"present_{name}", view)
        _bind(binding.bind_output, "logits", logits)
        session.run_with_iobinding(binding)
        return logits


def _bind(bind: ort.IOBinding, name: str, array: Array) -> None:
    bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
