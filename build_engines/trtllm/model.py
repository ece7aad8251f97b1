"""Bark's GPTs for ``trtllm-build --model_cls_file``: GPT-2 with exact GELU and Bark's logit rules in the engine.

This file is loaded by itself, inside a container that has TensorRT-LLM but nothing of this project: it imports nothing
of ours. What the rules need to know stands in the checkpoint's ``config.json`` as ``bark_…`` keys. The same arithmetic
in numpy, with which this is compared, is `tests/build_engines/trtllm/numpy_rules.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorrt as trt
from tensorrt_llm.functional import (
    ACT2FN,
    Tensor,
    activation,
    cast,
    constant,
    index_select,
    lt,
    softmax,
    where,
)
from tensorrt_llm.layers import ColumnLinear
from tensorrt_llm.models import GPTForCausalLM

MASKED, LIFTED = -1e9, 1e9  # finite: the engine's softmax must not see infinity minus infinity

# The stock names all mean the tanh approximation; Bark's is the error function's.
ACT2FN["gelu_erf"] = partial(activation, act_type=trt.ActivationType.GELU_ERF)


class SemanticRule:
    """Semantic tokens and the end token; the end token alone where its probability reaches ``bark_min_eos_p``."""

    def __init__(self, config: Any) -> None:
        end = config.bark_end_token
        self.end = np.array([end], np.int32)
        self.mask = np.full((1, config.vocab_size), MASKED, np.float32)
        self.mask[0, : config.bark_tokens] = 0
        self.mask[0, end] = 0
        self.lift = np.zeros((1, config.vocab_size), np.float32)
        self.lift[0, end] = LIFTED
        self.temperature = float(config.bark_temperature)
        self.min_eos_p = float(config.bark_min_eos_p)

    def __call__(self, logits: Tensor, last_ids: Tensor) -> Tensor:
        """[batch, vocab] float32 logits."""
        logits = logits + constant(self.mask)
        chances = softmax(logits * (1.0 / self.temperature), dim=-1)
        end_chance = index_select(chances, 1, constant(self.end))  # [batch, 1]
        return where(lt(end_chance, self.min_eos_p), logits, logits + constant(self.lift))


class CoarseRule:
    """Codebooks take turns: after an id of codebook k comes one of k + 1; after anything else, codebook 0."""

    def __init__(self, config: Any) -> None:
        books, size, offset = config.bark_codebooks, config.bark_codebook_size, config.bark_offset
        self.turns = np.zeros(config.vocab_size, np.int32)  # by last id: whose turn it is
        self.masks = np.full((books, config.vocab_size), MASKED, np.float32)
        for book in range(books):
            ids = slice(offset + book * size, offset + (book + 1) * size)
            self.turns[ids] = (book + 1) % books
            self.masks[book, ids] = 0

    def __call__(self, logits: Tensor, last_ids: Tensor) -> Tensor:
        """[batch, vocab] float32 logits; [batch] last ids."""
        turns = index_select(constant(self.turns), 0, last_ids)
        return logits + index_select(constant(self.masks), 0, turns)


RULES: dict[str, type[SemanticRule | CoarseRule]] = {"semantic": SemanticRule, "coarse": CoarseRule}


class RuledHead(ColumnLinear):  # type: ignore[misc]
    """The head, and the stage's rule on its logits."""

    def __init__(self, config: Any) -> None:
        super().__init__(config.hidden_size, config.vocab_size, bias=False, dtype=config.dtype)
        self.rule = RULES[config.bark_stage](config)
        self.last_ids = None

    def forward(self, hidden: Tensor, **kwargs: Any) -> Tensor:
        """[batch, hidden] → [batch, vocab], float32 whatever the network's own type is."""
        return self.rule(cast(super().forward(hidden, **kwargs), "float32"), self.last_ids)


class BarkForCausalLM(GPTForCausalLM):  # type: ignore[misc]
    """GPT-2 whose head knows each sequence's last id. One GPU, packed inputs, one beam."""

    def __init__(self, config: Any) -> None:
        if config.mapping.world_size != 1:
            raise ValueError(f"mapping.world_size is {config.mapping.world_size}; this network is built for one GPU.")
        super().__init__(config)
        self.lm_head = RuledHead(config)

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor = None,
        use_cache: bool = False,
        last_token_ids: Tensor = None,
        **kwargs: Any,
    ) -> Any:
        """As the base class: [tokens] ids of all sequences, end to end, and [batch] the count up to each one's end."""
        if len(input_ids.shape) != 1:
            raise ValueError("input_ids are padded; build with --remove_input_padding enable.")
        self.lm_head.last_ids = index_select(input_ids, 0, last_token_ids - 1)
        return super().forward(input_ids, position_ids, use_cache=use_cache, last_token_ids=last_token_ids, **kwargs)
