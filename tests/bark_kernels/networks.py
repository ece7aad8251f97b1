"""A GPT in numpy, in double precision, and files of packed weights for it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

import bark_kernels
from bark_kernels.packing import Floats, unpack_linear

#: Examples of a property test. Sanitizers are slow.
EXAMPLES = int(os.environ.get("BARK_TEST_EXAMPLES", "30"))


def random_network(
    folder: Path,
    *,
    layers: int = 2,
    heads: int = 3,
    head_width: int = 16,
    positions: int = 40,
    columns: int = 37,
    bits: int = 8,
    causal: bool = True,
    outputs: tuple[str, ...] = ("head",),
    seed: int = 0,
) -> tuple[bark_kernels.Weights, bark_kernels.Sizes, dict[str, Floats]]:
    """Packed random weights, the sizes, and the weights that the packed ones stand for."""
    rng = np.random.default_rng(seed)
    width = heads * head_width

    def normal(*shape: int, scale: float = 1.0) -> Floats:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    tensors: dict[str, Floats] = {"position_embedding.weight": normal(positions, width, scale=0.5)}
    for name in ["norm"] + [f"layers.{i}.{n}" for i in range(layers) for n in ("attention_norm", "mlp_norm")]:
        tensors[f"{name}.weight"] = 1 + normal(width, scale=0.1)
        tensors[f"{name}.bias"] = normal(width, scale=0.1)
    shapes = {
        "attention.qkv": (3 * width, width),
        "attention.out": (width, width),
        "mlp.up": (4 * width, width),
        "mlp.down": (width, 4 * width),
    }
    for i in range(layers):
        for name, (n, k) in shapes.items():
            tensors[f"layers.{i}.{name}.weight"] = normal(n, k, scale=k**-0.5)
            tensors[f"layers.{i}.{name}.bias"] = normal(n, scale=0.1)
    heads_by_name = {name: normal(columns, width) for name in outputs}
    arrays = bark_kernels.pack_network(tensors, layers=layers, bits=bits, outputs=heads_by_name)
    path = folder / f"network-{seed}-{bits}.safetensors"
    bark_kernels.save(path, arrays, metadata={f"columns.{name}": columns for name in outputs})
    for name in shapes:  # what the file says, not what it was made from
        for i in range(layers):
            weight = tensors[f"layers.{i}.{name}.weight"]
            tensors[f"layers.{i}.{name}.weight"] = unpack_linear(bark_kernels.pack_linear(weight, bits=bits))
    for name, weight in heads_by_name.items():
        tensors[name] = unpack_linear(bark_kernels.pack_linear(weight, bits=bits))
    sizes = bark_kernels.Sizes(layers=layers, heads=heads, width=width, causal=causal, outputs=outputs)
    return bark_kernels.Weights(path), sizes, tensors


def reference(
    tensors: dict[str, Floats], sizes: bark_kernels.Sizes, embeddings: Floats, *, output: str = "head"
) -> np.ndarray:
    """Logits [n, vocabulary] of every position, with exact weights and activations."""
    x = embeddings.astype(np.float64) + tensors["position_embedding.weight"][: len(embeddings)]
    for i in range(sizes.layers):
        at = f"layers.{i}."
        qkv = _linear(tensors, at + "attention.qkv", _norm(tensors, at + "attention_norm", x))
        x = x + _linear(tensors, at + "attention.out", _attention(qkv, sizes))
        hidden = _linear(tensors, at + "mlp.up", _norm(tensors, at + "mlp_norm", x))
        x = x + _linear(tensors, at + "mlp.down", gelu(hidden))
    return _norm(tensors, "norm", x) @ tensors[output].T.astype(np.float64)


def gelu(x: np.ndarray) -> np.ndarray:
    """The exact GELU, by math.erf."""
    from math import erf

    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def softmax_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, *, causal: bool) -> np.ndarray:
    """[n, width] each → [n, width]."""
    scores = q.astype(np.float64) @ k.T.astype(np.float64) / np.sqrt(q.shape[1])
    if causal:
        scores = np.where(np.tri(len(q), dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v.astype(np.float64)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of all numbers of two arrays."""
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _attention(qkv: np.ndarray, sizes: bark_kernels.Sizes) -> np.ndarray:
    heads = [np.split(part, sizes.heads, axis=1) for part in np.split(qkv, 3, axis=1)]
    return np.concatenate([softmax_attention(q, k, v, causal=sizes.causal) for q, k, v in zip(*heads, strict=True)], 1)


def _linear(tensors: dict[str, Floats], name: str, x: np.ndarray) -> np.ndarray:
    return x @ tensors[f"{name}.weight"].T.astype(np.float64) + tensors[f"{name}.bias"]


def _norm(tensors: dict[str, Floats], name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * tensors[f"{name}.weight"]
        + tensors[f"{name}.bias"]
    )
