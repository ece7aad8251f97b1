"""Compare an exported graph with the torch module it was made from, at two lengths × two batch sizes.

The tolerances are defined beside the comparisons that use them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
from torch import nn

from bark_serving.networks import Gpt, Hubert
from bark_serving.profiles import Precision, Stage
from bark_serving.spec import Spec
from build_engines.errors import ExportError
from build_engines.export.graphs import GRAPHS, Arrays

Floats = npt.NDArray[np.float32]

BATCHES = (1, 3)
MAX_FP32_ERROR = 1e-4  #: of floats, relative to the largest value of the reference
#: Minimum cosine of a row of quantized logits to fp32's. Networks of Bark's widths reach 0.9995 in int8. In a narrower
#: network fewer rounding errors cancel: a coarse network of width 192 has 0.9977 in int8 and 0.892 in int4 (on random
#: inputs), and is understood as well as in fp32.
MIN_COSINE: dict[Precision, float] = {"int8": 0.998, "int4": 0.9}
NARROW_WIDTH = 512
MIN_NARROW_COSINE: dict[Precision, float] = {"int8": 0.995, "int4": 0.85}
#: Maximum share of codes or predictions that differ. Rounding moves one that lies on a boundary, so one may always.
MAX_DIFFERENT = 0.01
#: A chosen token's score may lie this far below the best one, as a share of the range of scores. A choice between
#: nearly equal scores is no error.
MAX_SHORTFALL = 0.001


def validate(stage: Stage, *, module: nn.Module, spec: Spec, precision: Precision, path: Path) -> None:
    """Run the graph at `path` and `module` on the same inputs. Raises `ExportError` if an output differs too much."""
    graph = GRAPHS[stage]
    session = open_session(path)
    has_cache = "past_key_0" in [tensor.name for tensor in session.get_inputs()]
    rng = np.random.default_rng(0)
    limit = min_cosine(stage, spec=spec, precision=precision)
    for length in graph.lengths:
        for batch in BATCHES:
            case = f"{path.name} of {stage} at batch {batch} and length {length}"
            sample = graph.sample(spec, batch, length, rng)
            if isinstance(module, Gpt):
                sample["embeddings"] = random_embeddings(module, batch, length, rng)
            actual = run_graph(session, sample)
            if isinstance(module, Hubert):
                with torch.inference_mode():
                    scores = module.scores(torch.from_numpy(sample["audio"])).numpy()
                check_choice(case, scores, actual["tokens"], at_most=MAX_SHORTFALL)
                continue
            expected = run_module(stage, module, spec, sample)
            _compare(case, _valid(sample, expected), _valid(sample, actual), precision, limit)
            if isinstance(module, Gpt) and has_cache:
                step = decode_step(sample, expected, random_embeddings(module, batch, 1, rng))
                expected = run_module(stage, module, spec, step)
                # the graph continues from its own cache, as it does when it serves
                own = {name.replace("present", "past"): actual[name] for name in actual if name != "logits"}
                found = run_graph(session, step | own)
                _compare(f"{case}, next step", _valid(step, expected), _valid(step, found), precision, limit)
            if stage == "fine":
                check_samples(case, sample, actual)


def random_embeddings(gpt: Gpt, batch: int, length: int, rng: np.random.Generator) -> Floats:
    """[batch, length, width] embeddings of random tokens."""
    table = gpt.token_embedding.weight.detach().numpy()
    rows: Floats = table[rng.integers(0, len(table), (batch, length))]
    return rows


def open_session(path: Path) -> ort.InferenceSession:
    """A session on the CPU that logs errors only."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_graph(session: ort.InferenceSession, inputs: Arrays) -> Arrays:
    """Outputs by name. Ignores inputs that the graph does not have, and casts an empty cache to the graph's type."""
    types = {tensor.name: tensor.type for tensor in session.get_inputs()}
    fed = {
        name: array.astype(np.int8) if types[name] == "tensor(int8)" else array
        for name, array in inputs.items()
        if name in types
    }
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, fed), strict=True))


def run_module(stage: Stage, module: nn.Module, spec: Spec, inputs: Arrays) -> Arrays:
    """Outputs of the torch module for the same inputs, under the graph's names."""
    with torch.inference_mode():
        outputs = module(*(torch.from_numpy(inputs[name]) for name in GRAPHS[stage].inputs(spec)))
    tensors = outputs if isinstance(outputs, tuple) else (outputs,)
    return {name: tensor.numpy() for name, tensor in zip(GRAPHS[stage].outputs(spec), tensors, strict=True)}


def decode_step(prefill: Arrays, present: Arrays, embeddings: Floats) -> Arrays:
    """The inputs of a step after a prefill. Each row is at another position: row r is r positions back."""
    batch, length, _ = prefill["embeddings"].shape
    positions = (length - np.arange(batch)).astype(np.int32)
    return {
        "embeddings": embeddings,
        "positions": positions[:, None].astype(np.int64),
        "seqlens": positions,
        "total_length": np.array([length + 1], np.int32),
        **{name.replace("present", "past"): array for name, array in present.items() if name != "logits"},
    }


def cosine(a: Floats, b: Floats) -> float:
    """The smallest cosine between corresponding rows (last axis)."""
    return float(((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)).min())


def _valid(inputs: Arrays, outputs: Arrays) -> Arrays:
    """`outputs` with cache positions beyond each row's length zeroed, because those are never read."""
    if "seqlens" not in inputs:
        return outputs

    def masked(cache: npt.NDArray[Any]) -> npt.NDArray[Any]:
        valid = np.arange(cache.shape[2]) <= inputs["seqlens"][:, None]  # [B, C]
        return np.where(valid[:, None, :, None], cache, 0)

    return {name: array if name == "logits" else masked(array) for name, array in outputs.items()}


def min_cosine(stage: Stage, *, spec: Spec, precision: Precision) -> float:
    """Minimum cosine of a quantized stage's logits to fp32's."""
    narrow = stage in ("semantic", "coarse", "fine") and getattr(spec, stage).gpt.width < NARROW_WIDTH
    return (MIN_NARROW_COSINE if narrow else MIN_COSINE).get(precision, 1.0)


def _compare(case: str, expected: Arrays, actual: Arrays, precision: Precision, limit: float) -> None:
    for name, reference in expected.items():
        found = actual[name]
        if precision != "fp32" and name.startswith("present_"):
            continue  # a quantized cache is judged by the next step's logits
        if found.shape != reference.shape:
            raise ExportError(f"{case}: {name} has shape {found.shape}, the network gives {reference.shape}.")
        if reference.dtype != np.float32:
            # what is sampled from quantized logits may differ; `check_samples` compares it
            if precision == "fp32":
                check_equal(f"{case}: {name}", reference, found)
        elif precision == "fp32":
            error = float(np.abs(found - reference).max() / max(1.0, float(np.abs(reference).max())))
            if not error <= MAX_FP32_ERROR:
                raise ExportError(
                    f"{case}: {name} is off by {error:.1e} of its largest value, {MAX_FP32_ERROR} may be."
                )
        elif name == "logits" and not (similarity := cosine(found, reference)) >= limit:
            raise ExportError(f"{case}: {precision} {name} have cosine {similarity:.5f} to fp32, {limit} must be.")


def check_equal(
    what: str, reference: npt.NDArray[Any], found: npt.NDArray[Any], *, otherwise: str = "differ from the network's"
) -> None:
    """Raise `ExportError` if too many codes differ. Codes [batch, codebooks, frames] are compared frame by frame.

    otherwise: what the codes that differ do, for the message.

    A code of the first codebooks decides those after it, so one that rounding moves may change all of its frame.
    """
    different = found != reference
    if different.ndim == 3:
        different = different.any(axis=1)
    count = int(different.sum())
    if count > max(1, MAX_DIFFERENT * different.size):
        raise ExportError(f"{what}: {count} of {different.size} {otherwise}, {MAX_DIFFERENT:.0%} may.")


def check_choice(case: str, scores: Floats, tokens: npt.NDArray[Any], *, at_most: float) -> None:
    """Raise `ExportError` unless each token [batch, frames] nearly has its best score [batch, frames, tokens]."""
    chosen = np.take_along_axis(scores, tokens[..., None].astype(np.int64), axis=-1)[..., 0]
    shortfall = float(((scores.max(-1) - chosen) / np.ptp(scores, axis=-1)).max())
    if not shortfall <= at_most:
        raise ExportError(f"{case}: a token scores {shortfall:.1%} of the range below the best, {at_most:.1%} may be.")


def check_samples(case: str, sample: Arrays, outputs: Arrays) -> None:
    """Compare the graph's samples with numpy's from the graph's own logits."""
    logits: Any = outputs["logits"].astype(np.float64)
    temperature = sample["temperature"][:, :, None]
    scaled = logits / np.where(temperature > 0, temperature, 1)
    weights = np.exp(scaled - scaled.max(-1, keepdims=True)).cumsum(-1)
    sampled = (weights <= sample["uniforms"][..., None] * weights[..., -1:]).sum(-1)
    expected = np.where(sample["temperature"] > 0, sampled, logits.argmax(-1))
    otherwise = "do not follow from the graph's own logits"
    check_equal(f"{case}: predictions", expected, outputs["predictions"], otherwise=otherwise)
