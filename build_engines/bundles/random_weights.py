"""Bundles of random weights: a tiny one for tests and first tries, and Bark's true sizes for measuring speed.

The tiny one has Bark's vocabularies, codebooks, contexts and windows but smaller networks. So real voices and texts run
through it. Its speech is noise.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Literal

import torch

from bark_serving.bundle import Bundle
from bark_serving.spec import (
    NETWORKS,
    CoarseSpec,
    EncodecSpec,
    FineSpec,
    GptSpec,
    HubertSpec,
    Network,
    SemanticSpec,
    Spec,
    TokenHeadSpec,
)
from build_engines.bundles.check import Shape, expected
from build_engines.bundles.tokenizers import check_tokenizer, read_tokenizer
from build_engines.bundles.wordpiece import small_tokenizer
from build_engines.bundles.writer import new_bundle
from build_engines.errors import naming
from build_engines.steps import OnStep, ignore_steps, report_steps

Size = Literal["tiny", "small", "large"]
STEPS = ("tokenizer", *NETWORKS)

#: Size → layers, heads and width of the three transformers.
_GPT_SIZES: dict[Size, tuple[int, int, int]] = {"tiny": (2, 2, 32), "small": (12, 12, 768), "large": (24, 16, 1024)}

#: Standard deviation of random logits. Real ones differ by a few units, too.
_LOGIT_STD = 1.5
#: The end token's logit varies this many times as much as the others, so that speech ends after seconds.
_END_FACTOR = 1.7


def random_spec(size: Size, *, name: str, tokens: int) -> Spec:
    """Spec of a random bundle. `tokens`: the tokenizer's size. The tiny bundle's vocabulary is cut to it."""
    layers, heads, width = _GPT_SIZES[size]
    spec = Spec(name=name)

    def sized(gpt: GptSpec, **numbers: int) -> GptSpec:
        return gpt.model_copy(update={"layers": layers, "heads": heads, "width": width, **numbers})

    semantic: dict[str, object] = {"gpt": sized(spec.semantic.gpt)}
    if size == "tiny":
        vocab = math.ceil((spec.semantic.text_offset + tokens + 8) / 128) * 128
        semantic = {"gpt": sized(spec.semantic.gpt, input_vocab=vocab), "text_pad": vocab - 5, "infer_token": vocab - 1}
    return Spec(
        name=name,
        semantic=SemanticSpec.model_validate(semantic),
        coarse=CoarseSpec(gpt=sized(spec.coarse.gpt)),
        fine=FineSpec(gpt=sized(spec.fine.gpt)),
        encodec=EncodecSpec(filters=4, dimension=16) if size == "tiny" else EncodecSpec(),
        hubert=tiny_hubert() if size == "tiny" else HubertSpec(),
        guard=None,
    )


def tiny_hubert() -> HubertSpec:
    """The HuBERT of the tiny bundle."""
    return HubertSpec(
        layers=8,
        heads=2,
        width=32,
        intermediate=64,
        conv_width=(16,) * 7,
        position_conv_kernel=16,
        position_conv_groups=4,
        feature_layer=7,
        head=TokenHeadSpec(input_width=32, hidden=32),
    )


def random_tensors(network: Network, spec: Spec, *, seed: int) -> dict[str, torch.Tensor]:
    """Random weights of one network. Each tensor depends only on the seed and on its name."""
    tensors = {name: _random(network, name, shape, seed) for name, shape in expected(network, spec).items()}
    if network == "semantic":
        tensors["head.weight"][spec.semantic.end_token] *= _END_FACTOR
    return tensors


def _random(network: Network, name: str, shape: Shape, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{network}/{name}".encode()))
    normal = torch.randn(shape, generator=generator)
    if "norm" in name:
        return normal * 0.1 + (1.0 if name.endswith("weight") else 0.0)
    if name.endswith("codebooks"):
        return normal * 0.25  # as wide as the encoder's output, so that audio is spread over the codes
    if "bias" in name.rsplit(".", 1)[-1]:
        return normal * 0.02
    if name in ("head.weight", "token_embedding.weight"):  # the fine network's head is its embedding
        return normal * (_LOGIT_STD / math.sqrt(shape[-1]))
    if name == "position_embedding.weight":
        return normal * (1.0 / math.sqrt(shape[-1]))
    if name.startswith("head.lstm.weight_ih"):
        # With smaller weights every frame of any audio gets the same token. The recurrent weights stay small: a random
        # LSTM with large ones is chaotic, so that rounding would change its tokens after a few seconds.
        normal *= 16
    return normal / math.sqrt(math.prod(shape[1:]))


def make_random_bundle(
    out: Path,
    *,
    size: Size = "tiny",
    seed: int = 0,
    name: str | None = None,
    tokenizer: Path | None = None,
    force: bool = False,
    on_step: OnStep = ignore_steps,
) -> Bundle:
    """Make a bundle of random weights at `out`, one network in memory at a time.

    The same arguments give the same bytes. `tokenizer` (a vocab.txt or tokenizer.json) replaces our own small one.
    `on_step` is told each of `STEPS` before it starts.
    Raises `OutputError`, and `CheckpointError` for a tokenizer that cannot be read or does not fit.
    """
    report = report_steps(on_step, STEPS)
    report("tokenizer")
    pieces = read_tokenizer(tokenizer) if tokenizer else small_tokenizer()
    default = "bark-tiny" if size == "tiny" else f"bark-{size}-random"
    spec = random_spec(size, name=name or default, tokens=pieces.get_vocab_size())
    with naming(tokenizer or "the small tokenizer"):
        check_tokenizer(pieces, spec=spec)
    with new_bundle(out, force=force) as bundle:
        bundle.tokenizer(pieces.to_str())
        for network in NETWORKS:
            report(network)
            tensors = random_tensors(network, spec, seed=seed)
            bundle.network(network, tensors, spec=spec)
        bundle.finish(spec)
    return Bundle(out)
