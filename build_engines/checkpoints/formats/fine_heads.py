"""The fine network's heads, which are its embeddings in the released checkpoints, each head the next codebook's table.

A checkpoint that was trained further without that tie has heads of its own.
"""

from __future__ import annotations

import re

import torch

from build_engines.checkpoints.formats.tensors import Tensors, stack
from build_engines.errors import CheckpointError


def merge_heads(tensors: Tensors, *, codebooks: int, given: int) -> tuple[Tensors, bool]:
    """Stack the tables and heads of a file. Returns its tensors, and whether the heads are tied to the embeddings.

    `embeddings.k` become `token_embedding.weight` [codebooks, vocab, width]. Head i is tied to embedding i + 1, in
    Suno's code as in transformers'. Files keep both, or either of them. If both are there and differ, the heads are
    not tied, and `heads.i` become `head.weight` [codebooks - given, vocab, width]. Raises `CheckpointError`.
    """
    heads = {name: tensor for name, tensor in tensors.items() if re.fullmatch(r"heads\.\d+", name)}
    merged = {name: tensor for name, tensor in tensors.items() if name not in heads}
    for name, limit, theirs in (
        *((name, codebooks - given, "lm_heads") for name in heads),
        *((name, codebooks, "embeddings") for name in merged if re.fullmatch(r"embeddings\.\d+", name)),
    ):
        if _index(name) >= limit:
            raise CheckpointError(f"{theirs}.{_index(name)} is one more than {codebooks} codebooks have.")
    tied_to = {f"embeddings.{_index(name) + 1}": head for name, head in heads.items()}
    differing = [table for table, head in tied_to.items() if table in merged and not torch.equal(merged[table], head)]
    if not differing:
        return stack({**tied_to, **merged}, "embeddings", into="token_embedding.weight", count=codebooks), True
    missing = [index for index in range(codebooks - given) if f"heads.{index}" not in heads]
    if missing:
        codebook = _index(differing[0])
        raise CheckpointError(
            f"lm_heads.{codebook - 1} differs from the embedding of codebook {codebook}, so the heads are not tied, "
            f"but lm_heads.{missing[0]} is missing.",
            remedy="Save the model with all of its heads.",
        )
    merged = stack(merged, "embeddings", into="token_embedding.weight", count=codebooks)
    return stack({**merged, **heads}, "heads", into="head.weight", count=codebooks - given), False


def _index(name: str) -> int:
    return int(name.rpartition(".")[2])
