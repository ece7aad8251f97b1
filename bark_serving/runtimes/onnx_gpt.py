"""A GPT engine in ONNX Runtime. Its KV cache is updated in place; inputs and outputs are bound to fixed memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bark_serving.arrays import Array, Floats, Ids, Ints
from bark_serving.engines.store import MODEL_FILE
from bark_serving.runtimes.onnx_session import open_session, wide_graph
from bark_serving.spec import GptSpec

_CACHE_TYPES = {"tensor(float)": np.float32, "tensor(int8)": np.int8}


class OnnxGpt:
    """Implements `bark_serving.decoding.sampler.Runtime` on an exported GPT graph.

    embeddings: [input_vocab, width] token embeddings, which are not part of the graph.
    rows: maximum number of sequences in flight. The memory of a row is allocated when it is first used.

    ``logits`` is the number of logits per row: the graph's head has only the rows that the stage's rule allows.
    """

    def __init__(
        self,
        engine: Path,
        *,
        gpt: GptSpec,
        embeddings: Floats,
        rows: int,
        threads: int,
    ) -> None:
        self.rows = rows
        self.capacity = gpt.block_size
        self._embeddings = embeddings
        self._gpt = gpt
        # spin: a step has about 70 parallel sections of 50 µs; to wake sleeping threads would cost a third of its time.
        # With more threads than heads, threads split a head in a way that depends on the number of sequences.
        self._narrow = open_session(engine / MODEL_FILE, threads=min(threads, gpt.heads), spin=True)
        self.logits: int = self._narrow.get_outputs()[0].shape[1]
        inputs = {tensor.name: tensor for tensor in self._narrow.get_inputs()}
        wide = wide_graph(engine)
        self._wide = None if wide.name == MODEL_FILE else open_session(wide, threads=threads)
        shape = (rows, gpt.heads, gpt.block_size, gpt.head_width)
        dtype = _CACHE_TYPES[inputs["past_key_0"].type]
        # np.zeros is lazy: the system allocates the memory of a row when the row is first used
        self._caches: dict[str, Array] = {
            f"{kind}_{i}": np.zeros(shape, dtype) for i in range(gpt.layers) for kind in ("key", "value")
        }
        takes_unused_rows = inputs["embeddings"].shape[0] != inputs["seqlens"].shape[0]
        self._pads_rows = takes_unused_rows and self._odd_rows_differ()
        self._steps: dict[int, _Step] = {}

    def embed(self, ids: Ints) -> Floats:
        rows: Floats = self._embeddings[ids]
        return rows

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        length = len(embeddings)
        caches = self._rows(row, row + 1)
        inputs = embeddings[None], np.arange(length)[None], np.array([length - 1])
        if self._wide is None:
            logits: Floats = self._bind(self._narrow, caches, batch=1, positions=length)(*inputs)[0]
            return logits
        # the wide graph takes no cache and returns that of its positions
        new = {name: np.empty_like(cache[:, :, :length], order="C") for name, cache in caches.items()}
        logits = self._bind(self._wide, new, batch=1, positions=length)(*inputs)[0]
        for name, cache in caches.items():
            cache[:, :, :length] = new[name]
        return logits

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        batch = len(lengths)
        if batch not in self._steps:
            self._steps[batch] = self._bind(self._narrow, self._rows(0, batch), batch=batch, positions=1)
        return self._steps[batch](embeddings[:, None], lengths[:, None], lengths)

    def move(self, source: int, target: int, length: int) -> None:
        for cache in self._caches.values():
            cache[target, :, :length] = cache[source, :, :length]

    def _rows(self, first: int, end: int) -> dict[str, Array]:
        return {name: cache[first:end] for name, cache in self._caches.items()}

    def _odd_rows_differ(self) -> bool:
        """Whether this processor's kernels sum an odd last row in another order than a row of a pair.

        This depends on instruction set, bits and block length, so it is measured. See `build_engines.export.row_pairs`.
        """
        for batch in (count for count in (1, 3) if count <= self.rows):
            caches = {name: np.zeros((batch, *cache.shape[1:]), cache.dtype) for name, cache in self._caches.items()}
            step = self._embeddings[:batch, None], np.zeros((batch, 1), np.int64), np.zeros(batch, np.int32)
            odd, even = (
                self._bind(self._narrow, caches, batch=batch, positions=1, rows=rows)(*step)
                for rows in (batch, batch + 1)
            )
            if not np.array_equal(odd, even):
                return True
        return False

    def _bind(
        self,
        session: ort.InferenceSession,
        caches: Mapping[str, Array],
        *,
        batch: int,
        positions: int,
        rows: int | None = None,
    ) -> _Step:
        """A step of ``positions`` new positions for ``batch`` sequences. The narrow graph extends its caches in place.

        rows: of the graph's linear layers, at least ``batch``; default ``batch``, or the next even number.
        """
        is_step = session is self._narrow and positions == 1  # the wide graph takes no unused rows
        rows = rows or (batch + batch % 2 if self._pads_rows and is_step else batch)
        inputs: dict[str, Array] = {
            "embeddings": np.zeros((rows, positions, self._gpt.width), np.float32),
            "positions": np.zeros((rows, positions), np.int64),
            "seqlens": np.empty(batch, np.int32),
            "total_length": np.empty(1, np.int32),
        }
        logits = np.empty((rows, self.logits), np.float32)
        binding = session.io_binding()
        past = {f"past_{name}": cache for name, cache in caches.items()} if session is self._narrow else {}
        for name, array in (inputs | past).items():
            binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for name, array in ({f"present_{name}": cache for name, cache in caches.items()} | {"logits": logits}).items():
            binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return _Step(session, binding, inputs, logits)


@dataclass(frozen=True)
class _Step:
    """A session bound to fixed memory: write the inputs, run, read the logits. Binding costs a tenth of a step."""

    session: ort.InferenceSession
    binding: ort.IOBinding
    inputs: dict[str, Array]
    logits: Floats

    def __call__(self, embeddings: Floats, positions: Ints, seqlens: Ints) -> Floats:
        """Embedding sums [batch, n, width] at positions [batch, n] → logits [batch, n], valid until the next call.

        seqlens: [batch] the last valid position of each row, new positions included.
        """
        self.inputs["embeddings"][: len(seqlens)] = embeddings
        self.inputs["positions"][: len(seqlens)] = positions
        self.inputs["seqlens"][:] = seqlens
        self.inputs["total_length"][:] = seqlens.max() + 1
        self.session.run_with_iobinding(self.binding)
        return self.logits[: len(seqlens)]
