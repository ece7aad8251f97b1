"""A GPT of the semantic or coarse stage on torch, with all its sequences in flight.

The network is two functions over one static KV cache: `prefill` fills a row, `decode_one_token` takes a block of rows
one step further. A decode step is recorded once as a CUDA graph for each *bucket* (number of rows, cache positions
looked at) and replayed; its numbers go to the GPU in one copy, drawn tokens come back in one, logits stay there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.decoding.rules import Rule
from bark_serving.decoding.sampler import Drawn, Wish
from bark_serving.decoding.sampling import Sampling
from bark_serving.networks.gpt import Gpt
from bark_serving.profiles import Precision
from bark_serving.runtimes.torch_device import DTYPES, captured, computing, recorder
from bark_serving.runtimes.torch_sampling import draw

#: Cache positions are looked at in multiples of this, so that short sequences don't pay for the whole cache.
SPAN = 256
#: What a step is told about each row, one line a number; float64 holds each of them exactly.
TOKEN, LENGTH, TURN, TEMPERATURE, TOP_K, TOP_P, UNIFORM = range(7)


def prefill(network: Gpt, x: Tensor, cache: Tensor) -> Tensor:
    """[n, width] embedding sums → f32 logits [vocab] of the last; cache [layers, 2, heads, n, head_width] is filled."""

    def attend(layer: int, qkv: Tensor) -> Tensor:
        q, k, v = heads_first(qkv, network.spec.heads)  # [heads, n, head_width]
        cache[layer, 0].copy_(k)
        cache[layer, 1].copy_(v)
        attended = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        return attended.transpose(0, 1).flatten(1)

    x = network.transform(x + network.position_embedding.weight[: len(x)], attend)
    return logits_of(network, x[-1])


def decode_one_token(network: Gpt, x: Tensor, lengths: Tensor, cache: Tensor) -> Tensor:
    """[b, width] embeddings at positions ``lengths`` [b] → f32 logits [b, vocab].

    cache: [layers, 2, b, heads, positions, head_width]. Each row has ``lengths`` valid positions and gets one more.
    """
    rows = torch.arange(len(x), device=x.device)
    visible = (torch.arange(cache.shape[4], device=x.device) <= lengths[:, None])[:, None, None]

    def attend(layer: int, qkv: Tensor) -> Tensor:
        q, k, v = heads_first(qkv, network.spec.heads)  # [heads, b, head_width]
        keys, values = cache[layer]
        keys[rows, :, lengths] = k.transpose(0, 1)
        values[rows, :, lengths] = v.transpose(0, 1)
        q = q.transpose(0, 1)[:, :, None]  # [b, heads, 1, head_width]
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=visible).flatten(1)

    x = network.transform(x + network.position_embedding(lengths), attend)
    return logits_of(network, x)


def heads_first(qkv: Tensor, heads: int) -> tuple[Tensor, ...]:
    """[n, 3 × width] → query, key and value, each [heads, n, head_width]."""
    return qkv.view(len(qkv), 3, heads, -1).permute(1, 2, 0, 3).unbind()


def logits_of(network: Gpt, x: Tensor) -> Tensor:
    """[…, width] → f32 logits […, vocab]."""
    logits: Tensor = network.head(network.norm(x))
    return logits.float()


class TorchGpt:
    """Implements `bark_serving.decoding.sampler.DrawingRuntime` for one rule.

    embeddings: [input_vocab, width] token embeddings. Only the rows that can be drawn go to the device; prompts are
    summed outside.
    batch_invariant: one row at a time, so that a sequence's logits are the same bit by bit whatever runs beside it.
    On the CPU, where speed is not the point, it is on unless told otherwise.
    """

    def __init__(
        self,
        network: Gpt,
        *,
        rule: Rule,
        embeddings: Floats,
        rows: int,
        device: torch.device,
        precision: Precision,
        batch_invariant: bool | None = None,
    ) -> None:
        spec = network.spec
        self.rows = rows
        self.capacity = spec.block_size
        self._device = device
        self._dtype = DTYPES[precision]
        self._one_by_one = device.type == "cpu" if batch_invariant is None else batch_invariant
        self._embeddings = embeddings
        with computing(device, self._dtype):
            self._table = network.token_embedding.weight[: spec.output_vocab].to(device, self._dtype)
            del network.token_embedding
            self._network = network.to(device, self._dtype)
            self._sets = torch.from_numpy(np.stack(rule.id_sets).astype(np.int64)).to(device)
            shape = (spec.layers, 2, rows, spec.heads, spec.block_size, spec.head_width)
            self._cache = torch.zeros(shape, device=device, dtype=self._dtype)
            # What a step reads and writes, at addresses that a graph can hold on to.
            self._told = torch.zeros(UNIFORM + 1, rows, dtype=torch.float64, pin_memory=device.type == "cuda")
            self._numbers = torch.zeros_like(self._told, device=device)
            self._logits = torch.zeros(rows, spec.output_vocab, device=device)
            self._drawn = torch.zeros(2, rows, device=device, dtype=torch.float64)
        self._steps: dict[tuple[int, int, int], Callable[[], None]] = {}
        self._draws: dict[int, Callable[[], None]] = {}
        self._recorder = recorder(device)
        if self._recorder:
            self._record()

    def embed(self, ids: Ints) -> Floats:
        rows: Floats = self._embeddings[ids]
        return rows

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        with computing(self._device, self._dtype):
            logits: Floats = self._prefill(row, embeddings).cpu().numpy()
        return logits

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        """The step without graphs, for embeddings from outside."""
        with computing(self._device, self._dtype):
            x = self._to_device(embeddings)
            at = torch.from_numpy(lengths.astype(np.int64)).to(self._device)
            for first, batch, span in self._blocks(lengths):
                block = slice(first, min(first + batch, len(x)))
                cache = self._cache[:, :, block, :, :span]
                self._logits[block] = decode_one_token(self._network, x[block], at[block], cache)
            logits: Floats = self._logits[: len(x)].cpu().numpy()
        return logits

    def prefill_and_draw(self, row: int, embeddings: Floats, wish: Wish) -> Drawn:
        with computing(self._device, self._dtype):
            self._tell([0], [0], [wish])
            self._logits[0] = self._prefill(row, embeddings)
            return self._draw([wish])

    def decode_and_draw(self, tokens: Ids, lengths: Ids, wishes: Sequence[Wish]) -> Drawn:
        with computing(self._device, self._dtype):
            self._tell(tokens, lengths, wishes)
            for block in self._blocks(lengths):
                self._step(*block)()
            return self._draw(wishes)

    def move(self, source: int, target: int, length: int) -> None:
        with computing(self._device, self._dtype):
            self._cache[:, :, target, :, :length] = self._cache[:, :, source, :, :length]

    def _to_device(self, embeddings: Floats) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(embeddings, np.float32)).to(self._device, self._dtype)

    def _prefill(self, row: int, embeddings: Floats) -> Tensor:
        return prefill(self._network, self._to_device(embeddings), self._cache[:, :, row, :, : len(embeddings)])

    def _tell(self, tokens: Sequence[int] | Ids, lengths: Sequence[int] | Ids, wishes: Sequence[Wish]) -> None:
        """Send a step's numbers to the device. Rows beyond them get zeros: what they compute goes to free cache."""
        told = self._told.numpy()
        told[:] = 0
        told[TOKEN, : len(wishes)] = tokens
        told[LENGTH, : len(wishes)] = lengths
        for row, wish in enumerate(wishes):
            how = wish.sampling
            told[TURN:, row] = (wish.turn, how.temperature, how.top_k, how.top_p, wish.uniform)
        self._numbers.copy_(self._told, non_blocking=True)

    def _blocks(self, lengths: Ids) -> Sequence[tuple[int, int, int]]:
        """(first row, rows, span) of the steps that take rows 0…n−1 one further: one step, or one a row."""
        if self._one_by_one:
            return [(row, 1, span_of(int(length) + 1, self.capacity)) for row, length in enumerate(lengths)]
        return [(0, bucket_of(len(lengths), self.rows), span_of(int(lengths.max()) + 1, self.capacity))]

    def _step(self, first: int, batch: int, span: int) -> Callable[[], None]:
        """The decode step of one bucket, ready to run: numbers → logits."""
        if (first, batch, span) not in self._steps:
            block = slice(first, first + batch)
            cache, numbers = self._cache[:, :, block, :, :span], self._numbers[:, block]

            def step() -> None:
                x = self._table[numbers[TOKEN].long()]
                self._logits[block] = decode_one_token(self._network, x, numbers[LENGTH].long(), cache)

            self._steps[first, batch, span] = captured(step, self._recorder)
        return self._steps[first, batch, span]

    def _draw(self, wishes: Sequence[Wish]) -> Drawn:
        """Draw from the logits; the one moment at which the host waits for the device."""
        batch = bucket_of(len(wishes), self.rows)
        if any(wish.sampling.top_k > 0 or 0 < wish.sampling.top_p < 1 for wish in wishes):
            self._draw_bucket(batch, filtered=True)
        else:
            if batch not in self._draws:
                run = lambda: self._draw_bucket(batch, filtered=False)  # noqa: E731 - a name would say no more
                self._draws[batch] = captured(run, self._recorder)
            self._draws[batch]()
        tokens, last_chances = self._drawn[:, : len(wishes)].cpu().numpy()
        return Drawn(tokens.astype(np.int32), last_chances.astype(np.float32))

    def _draw_bucket(self, batch: int, *, filtered: bool) -> None:
        numbers = self._numbers[:, :batch]
        tokens, last_chances = draw(
            self._logits[:batch],
            self._sets[numbers[TURN].long()],
            temperature=numbers[TEMPERATURE].float(),
            top_k=numbers[TOP_K].long(),
            top_p=numbers[TOP_P].float(),
            uniforms=numbers[UNIFORM],
            filtered=filtered,
        )
        self._drawn[0, :batch] = tokens
        self._drawn[1, :batch] = last_chances

    def _record(self) -> None:
        """Record every bucket's graph now, so that no request waits for it."""
        plain = Wish(0, Sampling(), 0.0)
        batches = sorted({bucket_of(n + 1, self.rows) for n in range(self.rows)})
        with computing(self._device, self._dtype):
            for batch in batches:
                for span in {span_of(n + 1, self.capacity) for n in range(self.capacity)}:
                    if not self._one_by_one:
                        self._step(0, batch, span)
                self._draw([plain] * batch)


def bucket_of(rows: int, most: int) -> int:
    """The least power of two that holds ``rows``, at most ``most``."""
    return min(1 << (rows - 1).bit_length(), most)


def span_of(length: int, most: int) -> int:
    """The least multiple of `SPAN` that holds ``length`` positions, at most ``most``."""
    return min(-(-length // SPAN) * SPAN, most)
