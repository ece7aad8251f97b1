"""One GPT of the coarse network, so many greedy tokens: plain torch, RWKV, our runtimes, TensorRT-LLM.

All run at batch 1. Our runtimes may run larger batches besides.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from bark_serving.bundle import Bundle
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import TABLE
from bark_serving.runtimes.factory import open_gpts
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.spec import GptSpec
from benchmarks import roofline
from benchmarks.bundles import ensure_engines
from benchmarks.errors import BenchmarkError
from benchmarks.peers import rwkv4
from benchmarks.results import Fact, Measurement
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.variants import Variant
from reference import suno as oracle

TOKENS = 1_000
TORCH, TENSORRT_LLM = "torch fp32", "TensorRT-LLM"
_WARM = 4
_FIRST = 1  #: the token that everyone starts from


@dataclass(frozen=True, eq=False)
class Race:
    """Who runs, and how far."""

    bundle: Bundle
    variants: Sequence[Variant]
    store: EngineStore
    threads: int
    repeats: int
    tokens: int
    folder: Path
    plain_torch: bool = True
    rwkv: bool = True
    tensorrt_llm: Path | None = None  #: folder of a built engine
    batches: Sequence[int] = (1,)  #: rows that our runtimes decode together
    bandwidth: float | None = None  #: GB/s of the CPU's memory
    gpu_bandwidth: float | None = None
    device: str = "cpu"  #: of plain torch and RWKV

    @property
    def gpt(self) -> GptSpec:
        return self.bundle.spec.coarse.gpt


def measure(race: Race, *, on_step: Callable[[str], None]) -> list[Measurement]:
    """Seconds of everyone for all tokens."""
    if race.tokens >= race.gpt.block_size:
        raise BenchmarkError(
            f"{race.tokens} tokens do not fit the context of {race.gpt.block_size}.", remedy="Lower --tokens-scale."
        )
    torch.set_num_threads(race.threads)
    runs, facts = _competitors(race)
    subjects = [
        Subject(name, _timed(run, race.tokens), warm=lambda run=run: run(_WARM))  # type: ignore[misc]
        for name, run in runs.items()
    ]
    samples = in_turns(subjects, repeats=race.repeats, on_run=on_step)
    return [
        Measurement(case=f"{race.tokens} tokens", subject=name, samples=tuple(metrics[SECONDS]), facts=facts[name])
        for name, metrics in samples.items()
    ]


def _timed(run: Callable[[int], Any], tokens: int) -> Callable[[], None]:
    def timed() -> None:
        run(tokens)

    return timed


def _competitors(race: Race) -> tuple[dict[str, Callable[[int], Any]], dict[str, dict[str, Fact]]]:
    on_gpu = race.device != "cpu"
    runs: dict[str, Callable[[int], Any]] = {}
    facts: dict[str, dict[str, Fact]] = {}
    if race.plain_torch:
        runs[TORCH] = _plain_torch(race.bundle, race.device)
        facts[TORCH] = _facts(race, precision="fp32", on_gpu=on_gpu)
    if race.rwkv:
        checkpoint = rwkv4.weights(layers=race.gpt.layers, width=race.gpt.width, vocab=race.gpt.output_vocab)
        size = sum(tensor.numel() for tensor in checkpoint.values())
        name, read = f"{rwkv4.NAME} fp32", 4 * (size - checkpoint["emb.weight"].numel())
        runs[name] = rwkv4.opened(checkpoint, race.folder, device=race.device)
        facts[name] = {**_facts(race, size_a_token=read, on_gpu=on_gpu), "parameters": size}
    for variant in race.variants:
        on_cpu = variant.profile == "cpu"
        rows = roofline.cut_head("coarse", race.bundle.spec) if on_cpu else None
        for batch in race.batches:
            name = f"{variant.name}, our runtime" if variant.name == TORCH else variant.name
            name += f", batch {batch}" if batch > 1 else ""
            runs[name] = _ours(race, variant, batch)
            facts[name] = _facts(race, precision=variant.precision, head_rows=rows, on_gpu=not on_cpu, batch=batch)
    if race.tensorrt_llm is not None:
        runs[TENSORRT_LLM] = _tensorrt_llm(race.tensorrt_llm)
        facts[TENSORRT_LLM] = _facts(race, precision="fp16", on_gpu=True)
    return runs, facts


def _facts(
    race: Race,
    *,
    precision: str | None = None,
    head_rows: int | None = None,
    size_a_token: float | None = None,
    on_gpu: bool,
    batch: int = 1,
) -> dict[str, Fact]:
    """Sizes, and what memory allows: by the precision of our network, or by the bytes per token of another one."""
    facts: dict[str, Fact] = {"parameters": roofline.parameters(race.bundle, "coarse"), "tokens": batch * race.tokens}
    if precision is not None:
        context = batch * race.tokens // 2  # a step reads the weights once, and the cache of every row
        size_a_token = roofline.bytes_a_token(race.gpt, precision=precision, context=context, head_rows=head_rows)
    bandwidth = race.gpu_bandwidth if on_gpu and race.gpu_bandwidth else race.bandwidth
    if size_a_token and bandwidth:
        facts["roofline_seconds"] = round(race.tokens * size_a_token / (bandwidth * 1e9), 5)
    return facts


def _plain_torch(bundle: Bundle, device: str) -> Callable[[int], int]:
    """Suno's GPT, as its package runs it: fp32, a KV cache that grows by concatenation."""
    network = oracle.gpt(load_file(bundle.weights("coarse")), bundle.spec.coarse.gpt).to(device)

    def generate(count: int) -> int:
        token, cache = _FIRST, None
        with torch.inference_mode():
            for _ in range(count):
                # with a cache, the network reads the last id only
                logits, cache = network(torch.tensor([[token]], device=device), use_cache=True, past_kv=cache)
                token = int(logits[0, -1].argmax())
        return token

    return generate


def _ours(race: Race, variant: Variant, batch: int) -> Callable[[int], None]:
    """The decode loop that serves the coarse stage, with greedy rows."""
    ensure_engines(race.bundle, variant, store=race.store)
    profile, precision = variant.server
    row = TABLE[profile].stages["coarse"]
    engine = race.store.find(race.bundle, stage="coarse", profile=profile, precision=precision) if row.engine else None
    device = "cuda:0" if profile == "torch" and torch.cuda.is_available() else "cpu"
    settings = RuntimeSettings(
        profile=profile,
        precision=precision,
        bundle=race.bundle,
        engine=engine.folder if engine else None,
        devices=[device],
        threads=race.threads,
    )
    [sampler] = open_gpts("coarse", settings, max_batch=batch)
    ids = np.array([_FIRST], np.int32)
    prompt = sampler.runtime.embed(ids)

    def generate(count: int) -> None:
        loop = DecodeLoop(sampler)
        answers = [loop.submit(Generation(prompt, ids, count, Sampling(temperature=0.0))) for _ in range(batch)]
        try:
            for answer in answers:
                answer.result()
        finally:
            loop.close()

    return generate


def _tensorrt_llm(engine: Path) -> Callable[[int], Any]:
    """A TensorRT-LLM engine in its own C++ session, where the library is installed."""
    if importlib.util.find_spec("tensorrt_llm") is None:
        raise BenchmarkError("TensorRT-LLM is not installed.", remedy="Leave --tensorrt-llm out, or install it.")
    from tensorrt_llm.runtime import ModelRunnerCpp

    runner = ModelRunnerCpp.from_dir(str(engine), max_batch_size=1)

    def generate(count: int) -> Any:
        ids = torch.tensor([_FIRST], dtype=torch.int32)
        made = runner.generate([ids], max_new_tokens=count, end_id=-1, pad_id=0, top_k=1)
        torch.cuda.synchronize()
        return made

    return generate
