"""Decode steps, prefills and a fine pass, in the kernels and in ONNX Runtime on the same engines, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

import bark_kernels
from bark_kernels import parts
from bark_serving.arrays import Floats
from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.sampler import Runtime
from bark_serving.engines.store import EngineStore
from bark_serving.runtimes.factory import Network, open_network
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.spec import GptSpec
from benchmarks.bundles import open_sampler
from benchmarks.results import ONNX_RUNTIME, Measurement
from benchmarks.roofline import bytes_per_token, cut_head, read_weights
from benchmarks.turns import Subject, in_turns
from benchmarks.variants import Variant

KERNELS, ONNX = "kernels", ONNX_RUNTIME
LIMITS, BANDWIDTH, ARITHMETIC = "limits", "reading memory", "product in the cache"
_RUNS = {"decode": 20, "prefill": 1, "fine": 1}  #: of an operation, in each turn
_SUBJECTS = ((KERNELS, Variant("cpu", "int8")), (ONNX, Variant("cpu", "int8", kernels=False)))


@dataclass(frozen=True)
class Operation:
    """What is measured: its name, what it reads and computes, and how to run it on each subject."""

    case: str
    kind: str
    operations: float  #: multiplications and additions
    bytes_read: float
    run: Mapping[str, Callable[[], object]]


def measure(
    bundle: Bundle, *, store: EngineStore, threads: int, repeats: int, on_step: Callable[[str], None]
) -> list[Measurement]:
    """The limits, then every operation on both subjects. Raises `BenchmarkError`."""
    on_step(LIMITS)
    found = limits(threads)
    for operation in _operations(bundle, store=store, threads=threads):
        on_step(operation.case)
        runs = _RUNS[operation.kind]
        subjects = [Subject(name, partial(_timed, run, runs), warm=run) for name, run in operation.run.items()]
        facts = {"operations": operation.operations, "bytes": operation.bytes_read}
        for name, metrics in in_turns(subjects, repeats=repeats).items():
            found += [
                Measurement(case=operation.case, subject=name, metric=metric, samples=tuple(values), facts=dict(facts))
                for metric, values in metrics.items()
            ]
    return found


def limits(threads: int) -> list[Measurement]:
    """Bytes per second that so many threads read, and operations per second of their int8 products in the cache.

    Both are medians of short runs. Cores share the memory, so reading is measured with all threads. Each core
    multiplies by itself.
    """
    memory = np.ones(128 << 20, np.uint8)
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype(np.float32) for shape in ((240, 3072), (768, 3072)))
    packed, name = bark_kernels.pack_linear(weight), bark_kernels.instruction_sets()[0]
    read = partial(parts.read_speed, memory, threads=threads, repeats=1)
    multiply = partial(parts.linear, packed, x, instruction_set=name)
    rates = {
        BANDWIDTH: memory.nbytes / _median(read),
        ARITHMETIC: threads * 2 * x.shape[0] * weight.size / _median(multiply),
    }
    return [
        Measurement(case=LIMITS, subject=subject, metric="rate", unit="/s", better="higher", samples=(rate,))
        for subject, rate in rates.items()
    ]


def _median(run: Callable[[], object]) -> float:
    return median(_timed(run, 1)["seconds"] for _ in range(40))


def _timed(run: Callable[[], object], runs: int) -> Mapping[str, float]:
    start = time.perf_counter()
    for _ in range(runs):
        run()
    return {"seconds": (time.perf_counter() - start) / runs}


def _operations(bundle: Bundle, *, store: EngineStore, threads: int) -> list[Operation]:
    spec, gpt, rng = bundle.spec, bundle.spec.coarse.gpt, np.random.default_rng(0)
    head = cut_head("coarse", spec)
    runtimes: dict[str, Runtime] = {
        name: open_sampler(bundle, variant, "coarse", store=store, threads=threads, max_batch=4).runtime
        for name, variant in _SUBJECTS
    }
    most = gpt.block_size - 10
    x: Floats = mapped(bundle.weights("coarse"), "token_embedding.weight")[rng.integers(0, gpt.input_vocab, most)]
    for runtime in runtimes.values():
        runtime.prefill(0, x)
        for row in range(1, 4):
            runtime.move(0, row, most)
    found = []
    for batch, position in ((1, 300), (1, 887), (4, 300), (4, 887)):
        at = np.full(batch, min(position, most), np.int32)
        weights = read_weights(gpt, head_rows=head)
        cache = 2 * gpt.layers * gpt.width * int(at[0])
        found.append(
            Operation(
                f"decode, batch {batch}, at {at[0]}",
                "decode",
                operations=2.0 * batch * (weights + cache),
                bytes_read=bytes_per_token(gpt, precision="int8", context=0, head_rows=head) + batch * cache,
                run={name: partial(one.decode, x[:batch], at) for name, one in runtimes.items()},
            )
        )
    for count in (257, 887):
        count = min(count, most)
        found.append(
            Operation(
                f"prefill of {count}",
                "prefill",
                operations=_pass_operations(gpt, count) - _half_attention(gpt, count),
                bytes_read=bytes_per_token(gpt, precision="int8", context=count, head_rows=head),
                run={name: partial(one.prefill, 0, x[:count]) for name, one in runtimes.items()},
            )
        )
    return [*found, _fine_pass(bundle, store=store, threads=threads)]


def _fine_pass(bundle: Bundle, *, store: EngineStore, threads: int) -> Operation:
    spec, rng = bundle.spec, np.random.default_rng(0)
    gpt, frames = spec.fine.gpt, spec.fine.window
    engine = store.find(bundle, stage="fine", precision="int8").folder
    networks: dict[str, Network] = {
        name: open_network(
            "fine", RuntimeSettings("cpu", "int8", bundle, engine, ["cpu"], threads, variant.kernels), device="cpu"
        )
        for name, variant in _SUBJECTS
    }
    inputs = {
        "codes": rng.integers(0, spec.encodec.codebook_size, (1, spec.encodec.codebooks, frames)).astype(np.int32),
        "codebook": np.array([[4]], np.int32),
        "temperature": np.array([[0.5]], np.float32),
        "uniforms": rng.random((1, frames)).astype(np.float32),
    }
    head = 2.0 * frames * spec.encodec.codebook_size * gpt.width
    return Operation(
        f"fine pass of {frames}",
        "fine",
        operations=_pass_operations(gpt, frames) + head,
        bytes_read=bytes_per_token(gpt, precision="int8", context=0, head_rows=spec.encodec.codebook_size),
        run={name: partial(network, inputs, ["predictions"]) for name, network in networks.items()},
    )


def _pass_operations(gpt: GptSpec, count: int) -> float:
    """Operations of all layers for ``count`` positions that see one another."""
    return 2.0 * gpt.layers * (12 * gpt.width**2 * count + 2 * gpt.width * count**2)


def _half_attention(gpt: GptSpec, count: int) -> float:
    """What causal attention leaves out."""
    return 2.0 * gpt.layers * gpt.width * count**2
