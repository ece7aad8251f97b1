"""An int8 KV cache: scales measured on the checkpoint itself, and the graphs that fill and read such a cache.

At a thousand positions the cache of one sequence is as large as the weights, and each sequence of a batch reads its
own. In int8 it takes a quarter of the memory and of the time. Each channel of each layer's keys and values has one
scale. It comes from the largest value that occurs while the network reads prompts like those of a server.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from bark_serving.arrays import Array, Floats, Ints
from bark_serving.bundle import Bundle
from bark_serving.layouts import coarse, semantic
from bark_serving.networks import Gpt
from bark_serving.profiles import Stage
from bark_serving.spec import Spec
from bark_serving.voices import files
from build_engines.export.graph import replace
from build_engines.export.operators import attentions

Scales = dict[str, Floats]  #: ``key_0``, ``value_0``, …: [heads, head_width], the size of one int8 step

#: Headroom over the measured range. Clipping a value costs far more than coarser steps: on random weights the cosine of
#: logits is 0.9977 with a margin of 1.0, 0.9990 with 1.2, and best from 1.5 on.
MARGIN = 1.5
MAX_STEP = 127  #: largest int8 value
MAX_VOICES = 4  #: voices that scales are measured on
_TEXT_TOKENS = 40  #: tokens of the random text in a prompt


def measure_scales(network: Gpt, bundle: Bundle, stage: Stage) -> Scales:
    """Scales of every layer's keys and values, measured on the bundle's voices, or on random tokens if it has none."""
    largest: dict[str, Floats] = {}
    prompts = _semantic_prompts(network, bundle) if stage == "semantic" else _coarse_prompts(network, bundle)
    for prompt in prompts:
        length = min(len(prompt), network.spec.block_size)
        with torch.inference_mode():
            _, *present = network(
                torch.from_numpy(np.asarray(prompt[None, :length], np.float32)),
                torch.arange(length)[None],
                torch.tensor([length - 1]),
                torch.tensor([length]),
                *network.empty_cache(batch=1, capacity=length),
            )
        for name, cached in zip(_names(network.spec.layers), present, strict=True):
            values = cached[0].abs().amax(dim=1).numpy()
            largest[name] = np.maximum(largest.get(name, np.float32(1e-6)), values)
    return {name: (MARGIN * values / MAX_STEP).astype(np.float32) for name, values in largest.items()}


def use_int8_cache(model: ModelProto, scales: Scales) -> None:
    """Change a graph so that it reads and updates an int8 cache in place."""
    for node, layer in _attentions(model):
        node.attribute.extend(
            helper.make_attribute(name, value)
            for name, value in (
                ("kv_cache_bit_width", 8),
                ("k_quant_type", "PER_CHANNEL"),
                ("v_quant_type", "PER_CHANNEL"),
            )
        )
        node.input.extend([""] * (12 - len(node.input)))
        for kind in ("key", "value"):
            name = f"{kind}_{layer}"
            node.input.append(f"{name}_scale")
            _constant(model, f"{name}_scale", scales[name].reshape(-1))
    for tensor in (*model.graph.input, *model.graph.output):
        if tensor.name.startswith(("past_", "present_")):
            tensor.type.tensor_type.elem_type = TensorProto.INT8


def make_prefill_graph(model: ModelProto, scales: Scales | None) -> None:
    """Change a graph so that it takes no cache, and returns the cache of its positions: in int8 if there are scales."""
    nodes: list[NodeProto] = []
    layers = {node.output[0]: layer for node, layer in _attentions(model)}
    if scales is not None:
        _constant(model, "cache_step", np.array(1, np.float32))
        _constant(model, "cache_zero", np.array(0, np.int8))
    for node in model.graph.node:
        nodes.append(node)
        if node.output[0] not in layers:
            continue
        node.input[3] = node.input[4] = ""
        if scales is None:
            continue
        for index, kind in ((1, "key"), (2, "value")):
            name = f"{kind}_{layers[node.output[0]]}"
            node.output[index] = f"{name}_exact"
            _constant(model, f"{name}_inverse", 1 / scales[name][None, :, None])
            nodes += [
                helper.make_node("Mul", [f"{name}_exact", f"{name}_inverse"], [f"{name}_steps"]),
                helper.make_node("QuantizeLinear", [f"{name}_steps", "cache_step", "cache_zero"], [f"present_{name}"]),
            ]
    replace(model.graph.node, nodes)
    replace(model.graph.input, [tensor for tensor in model.graph.input if not tensor.name.startswith("past_")])
    for tensor in model.graph.output:
        if tensor.name.startswith("present_"):
            tensor.type.tensor_type.shape.dim[2].dim_param = "sequence"
            if scales is not None:
                tensor.type.tensor_type.elem_type = TensorProto.INT8


def _semantic_prompts(network: Gpt, bundle: Bundle) -> Iterator[Floats]:
    """[n, width]: a prompt, with and without a voice, followed by that voice's own tokens as if they were generated."""
    spec = bundle.spec.semantic
    table = network.token_embedding.weight.detach().numpy()
    text = np.random.default_rng(0).integers(0, spec.text_pad - spec.text_offset, _TEXT_TOKENS)
    for tokens, _ in _token_samples(bundle):
        for history in (tokens, None):
            ids, past = semantic.prompt_ids(text, spec=spec, history=history)
            prompt = semantic.prompt_table(ids, past, embeddings=table, spec=spec)
            yield np.concatenate([prompt, table[tokens]])


def _coarse_prompts(network: Gpt, bundle: Bundle) -> Iterator[Floats]:
    """[n, width]: the inputs of the first and the last window of a voice's own speech."""
    table = network.token_embedding.weight.detach().numpy()
    for tokens, codes in _token_samples(bundle):
        ids = coarse.flatten(codes, spec=bundle.spec)
        windows = coarse.schedule(tokens, spec=bundle.spec)
        for start in {0, min(windows.starts[-1], len(ids))}:
            yield table[windows.prompt(start, ids)]


def _token_samples(bundle: Bundle) -> Iterator[tuple[Ints, Ints]]:
    """Semantic tokens [n] and coarse codes [codebooks, frames] of some of the bundle's voices, or random ones."""
    paths = sorted(bundle.voices.rglob("*.npz"))
    for path in paths[:: max(1, len(paths) // MAX_VOICES)][:MAX_VOICES]:
        with path.open("rb") as file:
            voice = files.read(file, name=path.stem, spec=bundle.spec)
        yield voice.semantic, voice.coarse
    if not paths:
        yield from (_random(bundle.spec, seed) for seed in range(MAX_VOICES))


def _random(spec: Spec, seed: int) -> tuple[Ints, Ints]:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, spec.semantic.vocab, spec.semantic.gpt.block_size - spec.semantic.prefill)
    frames = coarse.step_count(len(tokens), spec=spec) // spec.coarse.codebooks
    return tokens, rng.integers(0, spec.encodec.codebook_size, (spec.coarse.codebooks, frames))


def _names(layers: int) -> Iterator[str]:
    return (f"{kind}_{layer}" for layer in range(layers) for kind in ("key", "value"))


def _attentions(model: ModelProto) -> list[tuple[NodeProto, int]]:
    """The attention node of each layer, and the layer's number."""
    return [(node, int(node.output[1].rsplit("_", 1)[1])) for node in attentions(model)]


def _constant(model: ModelProto, name: str, value: Array) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
