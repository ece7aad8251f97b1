"""A GPT of the semantic or coarse stage as a TensorRT plan, whose steps end in tokens.

The plan is the graph of `build_engines.tensorrt.gpt`, with two optimization profiles: one decodes a token for several
rows, the other one fills one row's cache. The caches of all rows lie side by side for each layer, and the plan updates
them in place. A decode step for n rows runs in the next larger *bucket*; the rows that it has too many write to cache
rows that nobody uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.decoding.buckets import padded_rows
from bark_serving.decoding.rules import Rule, head_rows
from bark_serving.decoding.sampler import NumpySampler, Sampled, SampleRequest
from bark_serving.decoding.sampling import Sampling
from bark_serving.runtimes.device import Device, Place, StagingBuffer
from bark_serving.spec import GptSpec

DECODE, PREFILL = 0, 1  #: the plan's optimization profiles
CACHE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}  #: of an element, by the plan's type
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))  #: a uniform number in float32 must not round up to 1
_PLAIN = SampleRequest(0, Sampling(), 0.0)  #: of steps whose logits are asked for


class PlanGpt:
    """Implements `bark_serving.decoding.sampler.Runtime` and `Sampler` on a plan.

    embeddings: [input_vocab, width] token embeddings, which are not part of the plan. cache_type: numpy's name of the
    plan's type of cache. rows: maximum number of sequences in flight.
    """

    def __init__(
        self, device: Device, plan: Path, *, gpt: GptSpec, rule: Rule, embeddings: Floats, cache_type: str, rows: int
    ) -> None:
        self.rows = rows
        self.capacity = gpt.block_size
        self.rule = rule
        self._gpt = gpt
        self._device = device
        self._embeddings = embeddings
        self._numpy = NumpySampler(self, rule)
        self._plan = device.load(plan)
        self._row_bytes = gpt.heads * gpt.block_size * gpt.head_width * CACHE_BYTES[cache_type]
        self._caches = device.allocate(2 * gpt.layers * rows * self._row_bytes)
        head = head_rows(rule)
        self._logits = np.zeros((rows, head.stop - head.start), np.float32)
        self._logits_address = device.allocate(self._logits.nbytes)
        self._prompt = StagingBuffer(
            device,
            {"embeddings": (np.float32, (self.capacity, gpt.width)), "positions": (np.int64, (self.capacity,))},
        )
        self._prompt.arrays["positions"][:] = np.arange(self.capacity)
        self._prompt.upload()
        self._inputs = StagingBuffer(
            device,
            {
                "embeddings": (np.float32, (rows, gpt.width)),
                "positions": (np.int64, (rows,)),
                "id_sets": (np.int64, (rows,)),
                "temperatures": (np.float32, (rows,)),
                "uniforms": (np.float32, (rows,)),
            },
        )
        self._outputs = StagingBuffer(
            device, {"tokens": (np.int64, (rows,)), "end_probabilities": (np.float32, (rows,))}
        )
        buckets = sorted({padded_rows(count + 1, rows) for count in range(rows)})
        self._steps = {batch: self._bind_decode(batch) for batch in buckets}

    @property
    def runtime(self) -> PlanGpt:
        return self

    def embed(self, ids: Ints) -> Floats:
        rows: Floats = self._embeddings[ids]
        return rows

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        self._run_prefill(row, embeddings, _PLAIN)
        logits: Floats = self._download_logits(1)[0]
        return logits

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        self._run_decode(embeddings, lengths, [_PLAIN] * len(lengths))
        return self._download_logits(len(lengths))

    def prefill_and_sample(self, row: int, embeddings: Floats, request: SampleRequest) -> Sampled:
        self._run_prefill(row, embeddings, request)
        return self._download_samples([request])

    def decode_and_sample(self, tokens: Ids, lengths: Ids, requests: Sequence[SampleRequest]) -> Sampled:
        self._run_decode(self.embed(tokens), lengths, requests)
        return self._download_samples(requests)

    def move(self, source: int, target: int, length: int) -> None:
        stride = self.rows * self._row_bytes
        first, last = (self._caches + row * self._row_bytes for row in (source, target))
        self._device.copy(last, first, size=self._row_bytes, stride=stride, count=2 * self._gpt.layers)

    def _run_prefill(self, row: int, embeddings: Floats, request: SampleRequest) -> None:
        length = len(embeddings)
        place = self._prompt.place("embeddings", 1, length, self._gpt.width)
        self._device.upload(place.address, np.ascontiguousarray(embeddings, np.float32))
        self._upload([], [], [request])
        tensors = {
            "embeddings": place,
            "positions": self._prompt.place("positions", 1, length),
            **self._row_tensors(1),
            **self._cache_tensors(row, 1),
        }
        self._plan.bind(tensors, profile=PREFILL, repeated=False)()

    def _run_decode(self, embeddings: Floats, lengths: Ids, requests: Sequence[SampleRequest]) -> None:
        self._upload(embeddings, lengths, requests)
        self._steps[padded_rows(len(lengths), self.rows)]()

    def _bind_decode(self, batch: int) -> Callable[[], None]:
        tensors = {
            "embeddings": self._inputs.place("embeddings", batch, 1, self._gpt.width),
            "positions": self._inputs.place("positions", batch, 1),
            **self._row_tensors(batch),
            **self._cache_tensors(0, batch),
        }
        return self._plan.bind(tensors, profile=DECODE, repeated=True)

    def _row_tensors(self, batch: int) -> dict[str, Place]:
        """What has one entry per row, and the logits."""
        return {
            **{name: self._inputs.place(name, batch) for name in ("id_sets", "temperatures", "uniforms")},
            **{name: self._outputs.place(name, batch) for name in ("tokens", "end_probabilities")},
            "logits": Place(self._logits_address, (batch, self._logits.shape[1])),
        }

    def _cache_tensors(self, row: int, batch: int) -> dict[str, Place]:
        """The caches of some rows: the plan's output is at the address of its input."""
        gpt = self._gpt
        tensors: dict[str, Place] = {}
        for number in range(2 * gpt.layers):
            address = self._caches + (number * self.rows + row) * self._row_bytes
            place = Place(address, (batch, gpt.heads, gpt.block_size, gpt.head_width))
            kind = ("key", "value")[number % 2]
            tensors |= {f"{time}_{kind}_{number // 2}": place for time in ("past", "present")}
        return tensors

    def _upload(
        self, embeddings: Floats | Sequence[float], lengths: Ids | Sequence[int], requests: Sequence[SampleRequest]
    ) -> None:
        """Copy a step's inputs to the device. The rows that a bucket has too many are at position 0."""
        arrays = self._inputs.arrays
        arrays["positions"][:] = 0
        arrays["positions"][: len(lengths)] = lengths
        if len(lengths):
            arrays["embeddings"][: len(lengths)] = embeddings
        for row, request in enumerate(requests):
            arrays["id_sets"][row] = request.id_set
            arrays["temperatures"][row] = request.sampling.temperature
            arrays["uniforms"][row] = min(np.float32(request.uniform), _BELOW_ONE)
        self._inputs.upload()

    def _download_logits(self, count: int) -> Floats:
        logits = self._logits[:count]
        self._device.download(self._logits_address, logits)
        return logits

    def _download_samples(self, requests: Sequence[SampleRequest]) -> Sampled:
        """The plan's samples; for rows with top-k or top-p, samples of numpy from the plan's logits."""
        self._outputs.download()
        count = len(requests)
        tokens = self._outputs.arrays["tokens"][:count].astype(np.int32)
        end_probabilities = self._outputs.arrays["end_probabilities"][:count].copy()
        filtered = [row for row, request in enumerate(requests) if _is_filtered(request.sampling)]
        if filtered:
            logits = self._download_logits(count)[filtered]
            sampled = self._numpy.sample(logits, [requests[row] for row in filtered])
            tokens[filtered], end_probabilities[filtered] = sampled.tokens, sampled.end_probabilities
        return Sampled(tokens, end_probabilities)


def _is_filtered(sampling: Sampling) -> bool:
    return sampling.top_k > 0 or 0 < sampling.top_p < 1
