"""A GPT engine in ONNX Runtime: KV cache rows in place, inputs and outputs bound to fixed memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bark_serving.arrays import Array, Floats, Ids, Ints
from bark_serving.decoding.rules import Rule, head_rows
from bark_serving.engines.store import MODEL_FILE
from bark_serving.runtimes.onnx_session import open_session, wide_graph
from bark_serving.spec import GptSpec

_CACHE_TYPES = {"tensor(float)": np.float32, "tensor(int8)": np.int8}


class OnnxGpt:
    """Implements `bark_serving.decoding.sampler.Runtime` on an exported GPT graph.

    rule: the stage's; the graph's head has the rows that it may draw from, other ids have logits of −inf here.
    embeddings: [input_vocab, width] token embeddings, which stay outside the graph.
    rows: sequences in flight at most; memory for a row is taken when it is first used.
    opened: what opens a graph.
    """

    def __init__(
        self,
        engine: Path,
        *,
        gpt: GptSpec,
        rule: Rule,
        embeddings: Floats,
        rows: int,
        threads: int,
        opened: Callable[..., ort.InferenceSession] = open_session,
    ) -> None:
        self.rows = rows
        self.capacity = gpt.block_size
        self._embeddings = embeddings
        self._gpt = gpt
        self._drawable = head_rows(rule)
        # Spinning: a step is some 70 parallel sections of 50 µs; waking a sleeping thread for each costs a third of it.
        # More threads than heads would share one, in a way that depends on how many sequences decode together.
        self._narrow = opened(engine / MODEL_FILE, threads=min(threads, gpt.heads), spin=True)
        made, wanted = self._narrow.get_outputs()[0].shape[1], self._drawable.stop - self._drawable.start
        if made != wanted:
            raise ValueError(f"{engine} gives {made} logits where {wanted} are drawn from: build it again.")
        inputs = {tensor.name: tensor for tensor in self._narrow.get_inputs()}
        #: the graph has an axis for rows that no sequence is in: see `build_engines.export.row_pairs`
        self._in_pairs = inputs["embeddings"].shape[0] != inputs["seqlens"].shape[0]
        wide = wide_graph(engine)
        self._wide = None if wide.name == MODEL_FILE else opened(wide, threads=threads)
        shape = (rows, gpt.heads, gpt.block_size, gpt.head_width)
        dtype = _CACHE_TYPES[inputs["past_key_0"].type]
        # calloc'ed: the pages of a row that is never used are never touched
        self._caches: dict[str, Array] = {
            f"{kind}_{i}": np.zeros(shape, dtype) for i in range(gpt.layers) for kind in ("key", "value")
        }
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
        # the wide graph begins with no cache, and gives that of its positions
        made = {name: np.empty_like(cache[:, :, :length], order="C") for name, cache in caches.items()}
        logits = self._bind(self._wide, made, batch=1, positions=length)(*inputs)[0]
        for name, cache in caches.items():
            cache[:, :, :length] = made[name]
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

    def _bind(self, session: ort.InferenceSession, caches: Mapping[str, Array], *, batch: int, positions: int) -> _Step:
        """A step of ``positions`` new positions for ``batch`` rows. A graph that takes a cache grows it in place."""
        rows = batch + batch % 2 if self._in_pairs and positions == 1 else batch
        inputs: dict[str, Array] = {
            "embeddings": np.zeros((rows, positions, self._gpt.width), np.float32),
            "positions": np.zeros((rows, positions), np.int64),
            "seqlens": np.empty(batch, np.int32),
            "total_length": np.empty(1, np.int32),
        }
        logits = np.full((batch, self._gpt.output_vocab), -np.inf, np.float32)
        drawn = np.empty((rows, self._drawable.stop - self._drawable.start), np.float32)
        binding = session.io_binding()
        past = {f"past_{name}": cache for name, cache in caches.items()} if session is self._narrow else {}
        for name, array in (inputs | past).items():
            binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for name, array in ({f"present_{name}": cache for name, cache in caches.items()} | {"logits": drawn}).items():
            binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return _Step(session, binding, inputs, drawn, logits, self._drawable)


@dataclass(frozen=True)
class _Step:
    """A session bound to fixed memory: write the inputs, run, read the logits. Binding anew costs a tenth of a step."""

    session: ort.InferenceSession
    binding: ort.IOBinding
    inputs: dict[str, Array]
    drawn: Floats
    logits: Floats
    drawable: slice

    def __call__(self, embeddings: Floats, positions: Ints, seqlens: Ints) -> Floats:
        """Embedding sums [batch, n, width] at positions [batch, n] → logits [batch, vocab], valid until the next call.

        seqlens: [batch] the last valid position of each row, these included.
        """
        self.inputs["embeddings"][: len(seqlens)] = embeddings
        self.inputs["positions"][: len(seqlens)] = positions
        self.inputs["seqlens"][:] = seqlens
        self.inputs["total_length"][:] = seqlens.max() + 1
        self.session.run_with_iobinding(self.binding)
        self.logits[:, self.drawable] = self.drawn[: len(seqlens)]
        return self.logits
