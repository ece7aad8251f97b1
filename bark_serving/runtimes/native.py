"""The transformers in the kernels of `bark_kernels`: int8 and int4 on a CPU, one native function per step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bark_kernels import Gpt, Sizes, Weights
from bark_serving.arrays import Array, Floats, Ids, Ints
from bark_serving.spec import FineSpec, GptSpec

HEAD = "head"


def fine_heads(codebooks: int, *, spec: FineSpec) -> Sequence[str]:
    """The names of the fine network's output layers: one for each codebook that it predicts."""
    return [f"{HEAD}.{codebook}" for codebook in range(spec.codebooks_given, codebooks)]


def sizes_of(gpt: GptSpec, *, causal: bool, outputs: Sequence[str] = (HEAD,)) -> Sizes:
    """A network's sizes as the kernels take them."""
    return Sizes(layers=gpt.layers, heads=gpt.heads, width=gpt.width, causal=causal, outputs=tuple(outputs))


class NativeGpt:
    """Implements `bark_serving.decoding.sampler.Runtime` on packed weights.

    embeddings: [input_vocab, width] token embeddings. rows: maximum number of sequences in flight. The memory of a row
    is allocated when it is first used. ``logits`` is the number of logits per row.
    """

    def __init__(self, weights: Path, *, gpt: GptSpec, embeddings: Floats, rows: int, threads: int) -> None:
        self._gpt = Gpt(Weights(weights), sizes_of(gpt, causal=True), rows=rows, threads=threads)
        self._embeddings = embeddings
        self.rows = rows
        self.capacity = self._gpt.positions
        self.logits = self._gpt.logits[0]

    def embed(self, ids: Ints) -> Floats:
        rows: Floats = self._embeddings[ids]
        return rows

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        return self._gpt.prefill(row, _floats(embeddings))

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        return self._gpt.decode(_floats(embeddings), lengths)

    def move(self, source: int, target: int, length: int) -> None:
        self._gpt.move(source, target, length)


class NativeFine:
    """The fine network on packed weights, as a `bark_serving.runtimes.factory.Network`.

    tables: [codebooks, vocabulary, width] token embeddings.
    """

    def __init__(self, weights: Path, *, spec: FineSpec, tables: Floats, threads: int) -> None:
        heads = fine_heads(len(tables), spec=spec)
        self._gpt = Gpt(Weights(weights), sizes_of(spec.gpt, causal=False, outputs=heads), threads=threads)
        self._first = spec.codebooks_given
        self._tables = tables

    def __call__(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Any]:
        """As `bark_serving.networks.fine.Fine.forward`, one row of the batch after the other."""
        names = ("codes", "codebook", "temperature", "uniforms")
        rows = [self._row(*row, outputs=outputs) for row in zip(*(inputs[name] for name in names), strict=True)]
        return {name: np.stack([row[name] for row in rows]) for name in outputs}

    def _row(
        self, codes: Ints, codebook: Ints, temperature: Floats, uniforms: Floats, *, outputs: Sequence[str]
    ) -> Mapping[str, Array]:
        number = int(codebook[0])
        x = np.zeros((codes.shape[1], self._tables.shape[2]), np.float32)
        for table, row in zip(self._tables[: number + 1], codes, strict=False):
            x += table[row]
        logits = self._gpt.encode(x, output=number - self._first)
        found: dict[str, Array] = {"logits": logits}
        if "predictions" in outputs:
            found["predictions"] = sample(logits, float(temperature[0]), uniforms)
        return found


def sample(logits: Floats, temperature: float, uniforms: Floats) -> Ids:
    """`bark_serving.networks.fine.sample` in numpy: [T, size] and [T] → [T]."""
    drawn: Ids
    if temperature <= 0:
        drawn = logits.argmax(-1).astype(np.int32)
        return drawn
    scaled = logits / np.float32(temperature)
    cumulative = np.exp(scaled - scaled.max(-1, keepdims=True)).cumsum(-1)
    below = (cumulative <= uniforms[:, None] * cumulative[:, -1:]).sum(-1)
    drawn = np.minimum(below, logits.shape[-1] - 1).astype(np.int32)
    return drawn


def _floats(embeddings: Floats) -> Floats:
    return np.ascontiguousarray(embeddings, np.float32)
