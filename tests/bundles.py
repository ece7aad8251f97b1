"""Bundles of random weights for tests: any spec, seeded, without a tokenizer or voices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from bark_serving.bundle import Bundle
from bark_serving.networks import build
from bark_serving.spec import (
    NETWORKS,
    CoarseSpec,
    EncodecSpec,
    FineSpec,
    GptSpec,
    Network,
    SemanticSpec,
    Spec,
    TokenHeadSpec,
)
from build_engines.bundles.random_weights import random_spec, tiny_hubert


def small_spec(*, bias: bool = False, head_version: int = 0) -> Spec:
    """The real vocabularies of codes and the real windows; everything else as small as possible."""
    sizes = {"layers": 2, "heads": 2, "width": 32, "bias": bias}
    head = TokenHeadSpec(version=head_version, input_width=32, hidden=32, layers=2, intermediate=48, output_vocab=500)
    return Spec(
        name="random",
        semantic=SemanticSpec(
            gpt=GptSpec(input_vocab=10_304, output_vocab=10_048, **sizes), text_pad=10_300, infer_token=10_303
        ),
        coarse=CoarseSpec(gpt=GptSpec(input_vocab=12_096, output_vocab=12_096, **sizes)),
        fine=FineSpec(gpt=GptSpec(input_vocab=1_056, output_vocab=1_056, **sizes)),
        encodec=EncodecSpec(filters=4, dimension=16),
        hubert=tiny_hubert().model_copy(update={"layers": 3, "feature_layer": 2, "head": head}),
    )


def coarse_of_width(width: int) -> Spec:
    """`small_spec` with a coarse network of another width and 64 dimensions per head."""
    spec = small_spec()
    gpt = spec.coarse.gpt.model_copy(update={"width": width, "heads": width // 64})
    return spec.model_copy(update={"coarse": spec.coarse.model_copy(update={"gpt": gpt})})


def true_size_spec() -> Spec:
    """Bark small: real sizes that fit into the memory of a test machine."""
    return random_spec("small", name="true-size", tokens=0)


def random_weights(network: Network, spec: Spec, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights, large enough that outputs differ between inputs, positions and codebooks."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, torch.Tensor] = {}
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build(network, spec).state_dict().items()}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            weights[name] = 0.1 * noise + ("norm" in name and name.endswith("weight"))
        elif "embedding" in name or "codebooks" in name or name == "head.weight":
            weights[name] = 0.5 * noise
        else:
            weights[name] = noise / (shape[1:].numel() if network != "hubert" else shape[-1]) ** 0.5
    return weights


def random_bundle(folder: Path, spec: Spec, *, networks: Iterable[Network] = NETWORKS, seed: int = 0) -> Bundle:
    """Write a bundle of random weights into `folder` and open it."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    for network in networks:
        path = folder / f"{network}.safetensors"
        save_file(random_weights(network, spec, seed=seed), path)
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "spec.json").write_text(spec.model_copy(update={"files": files}).model_dump_json(indent=2))
    return Bundle(folder)
