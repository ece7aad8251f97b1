"""The semantic stage's prompt: text and history added position by position, then the infer token."""

from __future__ import annotations

import numpy as np

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.spec import SemanticSpec


def prompt_ids(text_tokens: Ints, *, spec: SemanticSpec, history: Ints | None = None) -> tuple[Ints, Ints]:
    """Lay out a prompt.

    text_tokens: [n] tokenizer ids without the text offset. Ids after the first ``spec.text_context`` are dropped.
    history: [m] semantic tokens of a voice. The last ``spec.text_context`` are used.
    Returns (text [text_context], history [text_context]): ids of the semantic network's input vocabulary.
    """
    size = spec.text_context
    text = np.full(size, spec.text_pad, np.int64)
    kept = np.asarray(text_tokens, np.int64)[:size] + spec.text_offset
    text[: len(kept)] = kept
    past = np.full(size, spec.end_token, np.int64)
    if history is not None:
        tail = np.asarray(history, np.int64)[-size:]
        past[: len(tail)] = tail
    return text, past


def prompt_table(text: Ints, history: Ints, *, embeddings: Floats, spec: SemanticSpec) -> Floats:
    """Token-embedding sums of a prompt, [prefill, width]: what a server gets as ``prompt_embedding_table``.

    embeddings: [input_vocab, width], the network's token embedding. It may be memory-mapped: only the rows in use are
    read. The network adds the position embeddings itself.
    """
    table = np.empty((spec.prefill, embeddings.shape[1]), np.float32)
    table[:-1] = embeddings[text] + embeddings[history]
    table[-1] = embeddings[spec.infer_token]
    return table


def virtual_ids(spec: SemanticSpec) -> Ids:
    """Ids beyond the vocabulary that index the prompt table, one per prompt position: [prefill]."""
    return np.arange(spec.gpt.output_vocab, spec.gpt.output_vocab + spec.prefill, dtype=np.int32)
