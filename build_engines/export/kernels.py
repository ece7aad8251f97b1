"""An engine's packed weights for the kernels: written, and checked against the torch module they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

import bark_kernels
from bark_serving.networks import Fine, Gpt
from bark_serving.profiles import Precision, Stage
from bark_serving.runtimes.native import HEAD, NativeFine, NativeGpt, fine_heads, sizes_of
from bark_serving.spec import Spec
from build_engines.errors import ExportError
from build_engines.export.graphs import GRAPHS, Arrays
from build_engines.export.validate import check_samples, cosine, decode_step, min_cosine, random_embeddings, run_module

Floats = bark_kernels.packing.Floats


def can_run(module: nn.Module) -> bool:
    """Whether there are kernels for a network of this kind and these sizes."""
    if isinstance(module, Gpt):
        return sizes_of(module.spec, causal=True).unsupported() is None
    return isinstance(module, Fine) and sizes_of(module.spec.gpt, causal=False).unsupported() is None


def pack(module: nn.Module, *, bits: int, path: Path) -> None:
    """Write the packed weights of a network that `can_run`."""
    tensors: dict[str, Floats] = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    if isinstance(module, Fine):
        outputs, gpt = _fine_outputs(module, tensors), module.spec.gpt
    else:
        assert isinstance(module, Gpt)
        outputs, gpt = {HEAD: tensors["head.weight"]}, module.spec
    arrays = bark_kernels.pack_network(tensors, layers=gpt.layers, bits=bits, outputs=outputs)
    bark_kernels.save(path, arrays, metadata={f"columns.{name}": len(weight) for name, weight in outputs.items()})


def _fine_outputs(fine: Fine, tensors: dict[str, Floats]) -> dict[str, Floats]:
    names = fine_heads(fine.codebooks, spec=fine.spec)
    # tied: output layer i is embedding table i + 1
    tables = tensors["token_embedding.weight"][1:] if fine.spec.tied_heads else tensors["head.weight"]
    return {name: table[: fine.codebook_size] for name, table in zip(names, tables, strict=False)}


def validate(stage: Stage, *, module: nn.Module, spec: Spec, precision: Precision, path: Path) -> None:
    """Run the kernels on the file and `module` on the same inputs. Raises `ExportError` if logits differ too much."""
    limit = min_cosine(stage, spec=spec, precision=precision)
    rng = np.random.default_rng(0)
    for length in GRAPHS[stage].lengths:
        sample = GRAPHS[stage].sample(spec, 1, length, rng)
        case = f"{path.name} of {stage} at length {length}"
        if isinstance(module, Gpt):
            sample["embeddings"] = random_embeddings(module, 1, length, rng)
            table = module.token_embedding.weight.detach().numpy()
            gpt = NativeGpt(path, gpt=module.spec, embeddings=table, rows=1, threads=1)
            expected = run_module(stage, module, spec, sample)
            _compare(case, expected["logits"], gpt.prefill(0, sample["embeddings"][0])[None], precision, limit)
            step = decode_step(sample, expected, random_embeddings(module, 1, 1, rng))
            expected = run_module(stage, module, spec, step)
            found = gpt.decode(step["embeddings"][0], step["seqlens"])
            _compare(f"{case}, next step", expected["logits"], found, precision, limit)
        else:
            assert isinstance(module, Fine)
            tables = module.token_embedding.weight.detach().numpy()
            fine = NativeFine(path, spec=module.spec, tables=tables, threads=1)
            outputs: Arrays = fine(sample, ["logits", "predictions"])
            expected = run_module(stage, module, spec, sample)
            _compare(case, expected["logits"], outputs["logits"], precision, limit)
            check_samples(case, sample, outputs)


def _compare(case: str, expected: Floats, found: Floats, precision: Precision, limit: float) -> None:
    similarity = cosine(found, expected)
    if not similarity >= limit:
        raise ExportError(f"{case}: {precision} logits have cosine {similarity:.5f} to fp32, {limit} must be.")
