"""The fine network's tied weights: its heads are its embeddings, each head the next codebook's table."""

from __future__ import annotations

import re

import torch

from build_engines.checkpoints.formats.tensors import Tensors, stack
from build_engines.errors import CheckpointError


def merge_tied_heads(tensors: Tensors, *, codebooks: int, given: int) -> Tensors:
    """From `embeddings.k` and `heads.i` make `token_embedding.weight` [codebooks, vocab, width].

    Head i is tied to embedding i + 1, in Suno's code as in transformers'. Files keep both, or either of them; where
    both are there they must be equal, since our network has only the embedding. Raises `CheckpointError`.
    """
    merged = {name: tensor for name, tensor in tensors.items() if not name.startswith("heads.")}
    for name, head in tensors.items():
        match = re.fullmatch(r"heads\.(\d+)", name)
        if not match:
            continue
        if int(match[1]) >= codebooks - given:
            raise CheckpointError(f"lm_heads.{match[1]} is one more than {codebooks} codebooks have.")
        table = f"embeddings.{int(match[1]) + 1}"
        if not torch.equal(merged.setdefault(table, head), head):
            raise CheckpointError(
                f"lm_heads.{match[1]} differs from the embedding of codebook {int(match[1]) + 1}, expected "
                "the same weights.",
                remedy="The file is not a Bark fine model, or was trained without tied weights.",
            )
    extra = [name for name in merged if re.fullmatch(r"embeddings\.\d+", name) and int(name[11:]) >= codebooks]
    if extra:
        raise CheckpointError(f"{min(extra)} is one more than the {codebooks} codebooks expected.")
    return stack(merged, "embeddings", into="token_embedding.weight", count=codebooks)
