"""One GPT (the coarse network) generates the same number of greedy tokens in each runtime.

The runtimes are plain torch, RWKV, OpenVINO, ours and TensorRT-LLM. All run at batch 1; ours run at larger ones too.
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
from bark_serving.spec import GptSpec
from benchmarks import roofline
from benchmarks.bundles import open_sampler
from benchmarks.errors import BenchmarkError
from benchmarks.peers import openvino, rwkv4
from benchmarks.results import Fact, Measurement
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.variants import Variant
from reference import suno as oracle

TOKENS = 1_000
TORCH, RWKV, TENSORRT_LLM = "torch fp32", f"{rwkv4.NAME} fp32", "TensorRT-LLM"
#: The runtimes beside ours, by name: the Python module that each one needs.
PEERS = {TORCH: "torch", RWKV: "rwkv", openvino.NAME: "openvino"}
_WARM_UP_TOKENS = 4
_FIRST_TOKEN = 1  #: every runtime starts from it


@dataclass(frozen=True, eq=False)
class Race:
    """Which runtimes run, and how many tokens each of them generates."""

    bundle: Bundle
    variants: Sequence[Variant]
    store: EngineStore
    threads: int
    repeats: int
    tokens: int
    folder: Path
    peers: Sequence[str] = tuple(PEERS)
    tensorrt_llm: Path | None = None  #: folder of a built engine
    batches: Sequence[int] = (1,)  #: batch sizes of our runtimes
    bandwidth: float | None = None  #: GB/s of the CPU's memory
    gpu_bandwidth: float | None = None  #: GB/s of the GPU's memory
    device: str = "cpu"  #: of plain torch and RWKV; OpenVINO runs on the CPU

    @property
    def gpt(self) -> GptSpec:
        return self.bundle.spec.coarse.gpt

    def runtime_count(self) -> int:
        ours = len(self.variants) * len(self.batches)
        return len(self.peers) + ours + (self.tensorrt_llm is not None)

    def settings(self) -> dict[str, Any]:
        """The settings that the result records."""
        return {
            "bundle": self.bundle.spec.name,
            "model": f"a GPT of {self.gpt.layers} layers, {self.gpt.width} wide, {self.gpt.output_vocab} tokens",
            "threads": self.threads,
            "repeats": self.repeats,
            "tokens": self.tokens,
            "peer_device": self.device,
        }


def measure(race: Race, *, on_step: Callable[[str], None]) -> list[Measurement]:
    """The seconds that each runtime takes for all tokens."""
    if race.tokens >= race.gpt.block_size:
        raise BenchmarkError(
            f"{race.tokens} tokens do not fit the context of {race.gpt.block_size}.", remedy="Lower --tokens-scale."
        )
    torch.set_num_threads(race.threads)
    runs, facts = _runtimes(race)
    subjects = [
        Subject(name, _timed(run, race.tokens), warm=lambda run=run: run(_WARM_UP_TOKENS))  # type: ignore[misc]
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


def _runtimes(race: Race) -> tuple[dict[str, Callable[[int], Any]], dict[str, dict[str, Fact]]]:
    """By name: a function that generates n tokens, and the facts of the runtime."""
    on_gpu = race.device != "cpu"
    runs: dict[str, Callable[[int], Any]] = {}
    facts: dict[str, dict[str, Fact]] = {}
    if TORCH in race.peers:
        runs[TORCH] = _plain_torch(race.bundle, race.device)
        facts[TORCH] = _facts(race, precision="fp32", on_gpu=on_gpu)
    if RWKV in race.peers:
        checkpoint = rwkv4.weights(layers=race.gpt.layers, width=race.gpt.width, vocab=race.gpt.output_vocab)
        size = sum(tensor.numel() for tensor in checkpoint.values())
        read_bytes = 4 * (size - checkpoint["emb.weight"].numel())
        runs[RWKV] = rwkv4.load(checkpoint, race.folder, device=race.device)
        facts[RWKV] = {**_facts(race, bytes_per_token=read_bytes, on_gpu=on_gpu), "parameters": size}
    if openvino.NAME in race.peers:
        runs[openvino.NAME] = openvino.load(race.bundle, threads=race.threads)
        facts[openvino.NAME] = _facts(race, precision="int8", on_gpu=False)
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
    bytes_per_token: float | None = None,
    on_gpu: bool,
    batch: int = 1,
) -> dict[str, Fact]:
    """Sizes, and the seconds that memory bandwidth allows at best.

    Give the ``precision`` of our network, or the ``bytes_per_token`` that another network reads.
    """
    facts: dict[str, Fact] = {"parameters": roofline.parameters(race.bundle, "coarse"), "tokens": batch * race.tokens}
    if precision is not None:
        context = batch * race.tokens // 2  # a step reads the weights once, and the cache of every row
        bytes_per_token = roofline.bytes_per_token(race.gpt, precision=precision, context=context, head_rows=head_rows)
    bandwidth = race.gpu_bandwidth if on_gpu and race.gpu_bandwidth else race.bandwidth
    if bytes_per_token and bandwidth:
        facts["roofline_seconds"] = round(race.tokens * bytes_per_token / (bandwidth * 1e9), 5)
    return facts


def _plain_torch(bundle: Bundle, device: str) -> Callable[[int], int]:
    """Suno's GPT as its own package runs it: fp32, and a KV cache that grows by concatenation."""
    network = oracle.gpt(load_file(bundle.weights("coarse")), bundle.spec.coarse.gpt).to(device)

    def generate(count: int) -> int:
        token, cache = _FIRST_TOKEN, None
        with torch.inference_mode():
            for _ in range(count):
                # with a cache, the network reads only the last id
                logits, cache = network(torch.tensor([[token]], device=device), use_cache=True, past_kv=cache)
                token = int(logits[0, -1].argmax())
        return token

    return generate


def _ours(race: Race, variant: Variant, batch: int) -> Callable[[int], None]:
    """The decode loop that serves the coarse stage, with greedy sampling."""
    sampler = open_sampler(race.bundle, variant, "coarse", store=race.store, threads=race.threads, max_batch=batch)
    ids = np.array([_FIRST_TOKEN], np.int32)
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
    """A TensorRT-LLM engine in the library's own C++ session. Raises `BenchmarkError` without the library."""
    if importlib.util.find_spec("tensorrt_llm") is None:
        raise BenchmarkError("TensorRT-LLM is not installed.", remedy="Leave --tensorrt-llm out, or install it.")
    from tensorrt_llm.runtime import ModelRunnerCpp

    runner = ModelRunnerCpp.from_dir(str(engine), max_batch_size=1)

    def generate(count: int) -> Any:
        ids = torch.tensor([_FIRST_TOKEN], dtype=torch.int32)
        tokens = runner.generate([ids], max_new_tokens=count, end_id=-1, pad_id=0, top_k=1)
        torch.cuda.synchronize()
        return tokens

    return generate
