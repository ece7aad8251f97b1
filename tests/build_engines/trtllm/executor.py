"""Does what TensorRT-LLM's executor does with an engine: packs sequences, passes prompt tables, samples.

It runs on the stand-in and is greedy. As with in-flight batching, the prompts of some sequences and the single new
tokens of others share a forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from tests.build_engines.trtllm import stand_in
from tests.build_engines.trtllm.stand_in import Cache, Tensor


@dataclass
class Request:
    """One sequence: prompt ids [n], and the prompt table [rows, width] that its virtual ids point into."""

    prompt: np.ndarray
    table: np.ndarray | None = None
    end_id: int | None = None
    max_tokens: int = 1
    tokens: list[int] = field(default_factory=list)
    cache: Cache = field(default_factory=dict)
    seen: int = 0  #: positions in the cache

    @property
    def ids(self) -> np.ndarray:
        return np.concatenate([self.prompt, np.array(self.tokens, np.int32)]).astype(np.int32)

    @property
    def done(self) -> bool:
        return len(self.tokens) >= self.max_tokens or bool(self.tokens and self.tokens[-1] == self.end_id)


class Executor:
    """Runs requests on one engine: a model class and a checkpoint."""

    def __init__(self, model_class: Any, folder: Path) -> None:
        self.model = model_class.from_checkpoint(folder)
        self.kind = stand_in.TYPES[self.model.config.dtype]

    @torch.inference_mode()
    def logits(self, requests: Sequence[Request]) -> np.ndarray:
        """[batch, vocab] logits of each sequence's last position. The caches grow up to it."""
        new = [request.ids[request.seen :] for request in requests]
        lengths = [len(ids) for ids in new]
        table: dict[str, Tensor] = {}
        if requests[0].table is not None:  # one slot per sequence, all of the same size
            rows = max(len(request.table) for request in requests if request.table is not None)
            slots = [np.pad(one.table, ((0, rows - len(one.table)), (0, 0))) for one in requests]  # type: ignore[arg-type]
            table = {
                "prompt_embedding_table": Tensor(torch.from_numpy(np.concatenate(slots)).to(self.kind)),
                "prompt_tasks": _int32(np.repeat(np.arange(len(requests)), lengths)),
                "prompt_vocab_size": _int32(np.array([rows])),
            }
        self.model(
            input_ids=_int32(np.concatenate(new)),
            position_ids=_int32(np.concatenate([np.arange(one.seen, len(one.ids)) for one in requests])),
            use_cache=True,
            kv_cache_params=[request.cache for request in requests],
            last_token_ids=_int32(np.cumsum(lengths)),
            attention_params=SimpleNamespace(host_context_lengths=lengths),
            **table,
        )
        for request in requests:
            request.seen = len(request.ids)
        return stand_in.OUTPUTS.pop("logits").numpy()

    def generate(self, requests: Sequence[Request]) -> None:
        """Decode all requests together until each ends. Top-k is 1 over the whole vocabulary."""
        while waiting := [request for request in requests if not request.done]:
            for request, row in zip(waiting, self.logits(waiting), strict=True):
                request.tokens.append(int(row.argmax()))


def _int32(array: np.ndarray) -> Tensor:
    return Tensor(torch.from_numpy(array.astype(np.int32)))
