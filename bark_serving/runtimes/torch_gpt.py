"""A GPT of the semantic or coarse stage on torch.

The network is two functions over one static KV cache: `prefill` fills a row, `decode_one_token` advances some rows by
one step. A decode step is recorded once as a CUDA graph per *bucket* (number of rows, number of cache positions) and
then replayed. One copy brings a step's inputs to the GPU and one brings the tokens back; logits stay on the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.decoding.buckets import padded_rows
from bark_serving.decoding.rules import Rule, head_rows
from bark_serving.decoding.sampler import Sampled, SampleRequest
from bark_serving.decoding.sampling import Sampling
from bark_serving.networks.gpt import Gpt
from bark_serving.profiles import Precision
from bark_serving.runtimes.torch_device import DTYPES, captured, computing, recorder
from bark_serving.runtimes.torch_sampling import sample

#: A step reads a multiple of this many cache positions, so that short sequences don't pay for the whole cache.
LENGTH_MULTIPLE = 256
#: Per-row step inputs, one matrix row per field; float64 represents all of them exactly.
TOKEN, LENGTH, ID_SET, TEMPERATURE, TOP_K, TOP_P, UNIFORM = range(7)

Bucket = tuple[int, int, int]  #: first row, number of rows, cache positions of one decode step


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
    """Implements `Runtime` and `Sampler` of `bark_serving.decoding.sampler` for one rule.

    embeddings: [input_vocab, width] token embeddings. Only those of the output vocabulary go to the device, since
    prompts are summed outside.
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
    ) -> None:
        spec = network.spec
        self.rows = rows
        self.capacity = spec.block_size
        self.rule = rule
        self._head = head_rows(rule)
        self._device = device
        self._dtype = DTYPES[precision]
        self._buckets = BUCKETS[device.type]
        self._embeddings = embeddings
        with computing(device, self._dtype):
            self._table = network.token_embedding.weight[: spec.output_vocab].to(device, self._dtype)
            del network.token_embedding
            self._network = network.to(device, self._dtype)
            columns = np.stack(rule.id_sets).astype(np.int64) - self._head.start  # of an id's logit
            self._columns = torch.from_numpy(columns).to(device)
            shape = (spec.layers, 2, rows, spec.heads, spec.block_size, spec.head_width)
            self._cache = torch.zeros(shape, device=device, dtype=self._dtype)
            # A step's inputs and outputs, at addresses that do not change: a graph is bound to them.
            self._host_inputs = torch.zeros(UNIFORM + 1, rows, dtype=torch.float64, pin_memory=device.type == "cuda")
            self._inputs = torch.zeros_like(self._host_inputs, device=device)
            self._logits = torch.zeros(rows, self._head.stop - self._head.start, device=device)
            self._sampled = torch.zeros(2, rows, device=device, dtype=torch.float64)
        self._steps: dict[Bucket, Callable[[], None]] = {}
        self._samples: dict[int, Callable[[], None]] = {}
        self._recorder = recorder(device)
        if self._recorder:
            self._record()

    @property
    def runtime(self) -> TorchGpt:
        return self

    def embed(self, ids: Ints) -> Floats:
        rows: Floats = self._embeddings[ids]
        return rows

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        with computing(self._device, self._dtype):
            logits: Floats = self._prefill(row, embeddings).cpu().numpy()
        return logits

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        """The step without graphs, which takes embeddings from the host."""
        with computing(self._device, self._dtype):
            x = self._to_device(embeddings)
            at = torch.from_numpy(lengths.astype(np.int64)).to(self._device)
            for first, batch, positions in self._buckets(lengths, self.rows, self.capacity):
                rows = slice(first, min(first + batch, len(x)))
                cache = self._cache[:, :, rows, :, :positions]
                self._logits[rows] = decode_one_token(self._network, x[rows], at[rows], cache)[:, self._head]
            logits: Floats = self._logits[: len(x)].cpu().numpy()
        return logits

    def prefill_and_sample(self, row: int, embeddings: Floats, request: SampleRequest) -> Sampled:
        with computing(self._device, self._dtype):
            self._upload([0], [0], [request])
            self._logits[0] = self._prefill(row, embeddings)
            return self._sample([request])

    def decode_and_sample(self, tokens: Ids, lengths: Ids, requests: Sequence[SampleRequest]) -> Sampled:
        with computing(self._device, self._dtype):
            self._upload(tokens, lengths, requests)
            for bucket in self._buckets(lengths, self.rows, self.capacity):
                self._step(bucket)()
            return self._sample(requests)

    def move(self, source: int, target: int, length: int) -> None:
        with computing(self._device, self._dtype):
            self._cache[:, :, target, :, :length] = self._cache[:, :, source, :, :length]

    def _to_device(self, embeddings: Floats) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(embeddings, np.float32)).to(self._device, self._dtype)

    def _prefill(self, row: int, embeddings: Floats) -> Tensor:
        x = self._to_device(embeddings)
        return prefill(self._network, x, self._cache[:, :, row, :, : len(embeddings)])[self._head]

    def _upload(
        self, tokens: Sequence[int] | Ids, lengths: Sequence[int] | Ids, requests: Sequence[SampleRequest]
    ) -> None:
        """Copy a step's inputs to the device. Unused rows of the bucket get zeros; they write to free cache rows."""
        inputs = self._host_inputs.numpy()
        inputs[:] = 0
        inputs[TOKEN, : len(requests)] = tokens
        inputs[LENGTH, : len(requests)] = lengths
        for row, request in enumerate(requests):
            how = request.sampling
            inputs[ID_SET:, row] = (request.id_set, how.temperature, how.top_k, how.top_p, request.uniform)
        self._inputs.copy_(self._host_inputs, non_blocking=True)

    def _step(self, bucket: Bucket) -> Callable[[], None]:
        """The decode step of one bucket, ready to run: inputs → logits."""
        if bucket not in self._steps:
            first, batch, positions = bucket
            rows = slice(first, first + batch)
            cache, inputs = self._cache[:, :, rows, :, :positions], self._inputs[:, rows]

            def step() -> None:
                x = self._table[inputs[TOKEN].long()]
                logits = decode_one_token(self._network, x, inputs[LENGTH].long(), cache)
                self._logits[rows] = logits[:, self._head]

            self._steps[bucket] = captured(step, self._recorder)
        return self._steps[bucket]

    def _sample(self, requests: Sequence[SampleRequest]) -> Sampled:
        """Sample from the logits. Only here does the host wait for the device."""
        batch = padded_rows(len(requests), self.rows)
        if any(request.sampling.top_k > 0 or 0 < request.sampling.top_p < 1 for request in requests):
            self._sample_bucket(batch, filtered=True)
        else:
            if batch not in self._samples:
                run = lambda: self._sample_bucket(batch, filtered=False)  # noqa: E731 - a name would say no more
                self._samples[batch] = captured(run, self._recorder)
            self._samples[batch]()
        tokens, end_probabilities = self._sampled[:, : len(requests)].cpu().numpy()
        return Sampled(tokens.astype(np.int32), end_probabilities.astype(np.float32))

    def _sample_bucket(self, batch: int, *, filtered: bool) -> None:
        inputs = self._inputs[:, :batch]
        columns, end_probabilities = sample(
            self._logits[:batch],
            self._columns[inputs[ID_SET].long()],
            temperature=inputs[TEMPERATURE].float(),
            top_k=inputs[TOP_K].long(),
            top_p=inputs[TOP_P].float(),
            uniforms=inputs[UNIFORM],
            filtered=filtered,
        )
        self._sampled[0, :batch] = columns + self._head.start
        self._sampled[1, :batch] = end_probabilities

    def _record(self) -> None:
        """Record every bucket's graph now, so that no request waits for a recording."""
        plain = SampleRequest(0, Sampling(), 0.0)
        with computing(self._device, self._dtype):
            for batch in sorted({padded_rows(n + 1, self.rows) for n in range(self.rows)}):
                for positions in {padded_length(n + 1, self.capacity) for n in range(self.capacity)}:
                    self._step((0, batch, positions))
                self._sample([plain] * batch)


def padded_length(length: int, limit: int) -> int:
    """The smallest multiple of `LENGTH_MULTIPLE` that is at least ``length``, but at most ``limit``."""
    return min(-(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, limit)


def all_rows_at_once(lengths: Ids, rows: int, capacity: int) -> list[Bucket]:
    """One step for all rows, padded to a bucket."""
    return [(0, padded_rows(len(lengths), rows), padded_length(int(lengths.max()) + 1, capacity))]


def row_by_row(lengths: Ids, rows: int, capacity: int) -> list[Bucket]:
    """One step per row, so that a sequence's logits are equal bit by bit whatever runs beside it."""
    return [(row, 1, padded_length(int(length) + 1, capacity)) for row, length in enumerate(lengths)]


#: How each type of device advances its rows. The torch profile runs on a CPU for tests and comparisons only, so there
#: equal results count more than speed.
BUCKETS: dict[str, Callable[[Ids, int, int], list[Bucket]]] = {"cuda": all_rows_at_once, "cpu": row_by_row}
