"""Bark's GPTs for ``trtllm-build --model_cls_file``: GPT-2 with exact GELU and Bark's logit rules in the engine.

This file is loaded alone, in a container that has TensorRT-LLM but not this project. So it imports nothing of this
project. The numbers of the rules are the ``bark_…`` keys of the checkpoint's ``config.json``. The tests compare this
file with the same rules in numpy, `tests/build_engines/trtllm/numpy_rules.py`.
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

MASKED, LIFTED = -1e9, 1e9  # finite, because infinity minus infinity in the engine's softmax is not a number

# All names that TensorRT-LLM has for GELU mean the tanh approximation. Bark's GELU uses the error function.
ACT2FN["gelu_erf"] = partial(activation, act_type=trt.ActivationType.GELU_ERF)


class SemanticRule:
    """Allows semantic tokens and the end token, or only the end token if its probability reaches ``bark_min_eos_p``."""

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
        probabilities = softmax(logits * (1.0 / self.temperature), dim=-1)
        end_probability = index_select(probabilities, 1, constant(self.end))  # [batch, 1]
        return where(lt(end_probability, self.min_eos_p), logits, logits + constant(self.lift))


class CoarseRule:
    """Allows one codebook: after an id of codebook k the next one, after any other id the first one."""

    def __init__(self, config: Any) -> None:
        books, size, offset = config.bark_codebooks, config.bark_codebook_size, config.bark_offset
        self.next_books = np.zeros(config.vocab_size, np.int32)  # for each last id: the codebook that comes next
        self.masks = np.full((books, config.vocab_size), MASKED, np.float32)
        for book in range(books):
            ids = slice(offset + book * size, offset + (book + 1) * size)
            self.next_books[ids] = (book + 1) % books
            self.masks[book, ids] = 0

    def __call__(self, logits: Tensor, last_ids: Tensor) -> Tensor:
        """[batch, vocab] float32 logits; [batch] last ids."""
        next_books = index_select(constant(self.next_books), 0, last_ids)
        return logits + index_select(constant(self.masks), 0, next_books)


RULES: dict[str, type[SemanticRule | CoarseRule]] = {"semantic": SemanticRule, "coarse": CoarseRule}


class RuledHead(ColumnLinear):  # type: ignore[misc]
    """The head, followed by the stage's rule."""

    def __init__(self, config: Any) -> None:
        super().__init__(config.hidden_size, config.vocab_size, bias=False, dtype=config.dtype)
        self.rule = RULES[config.bark_stage](config)
        self.last_ids = None

    def forward(self, hidden: Tensor, **kwargs: Any) -> Tensor:
        """[batch, hidden] → float32 [batch, vocab], also for a network of another type."""
        return self.rule(cast(super().forward(hidden, **kwargs), "float32"), self.last_ids)


class BarkForCausalLM(GPTForCausalLM):  # type: ignore[misc]
    """GPT-2 with a head that gets each sequence's last id. For one GPU, packed inputs and one beam."""

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
        """As the base class. input_ids: [tokens], all sequences end to end. last_token_ids: [batch], end of each."""
        if len(input_ids.shape) != 1:
            raise ValueError("input_ids are padded; build with --remove_input_padding enable.")
        self.lm_head.last_ids = index_select(input_ids, 0, last_token_ids - 1)
        return super().forward(input_ids, position_ids, use_cache=use_cache, last_token_ids=last_token_ids, **kwargs)
