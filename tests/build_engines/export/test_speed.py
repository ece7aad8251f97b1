"""The speed of int8: milliseconds per token beside Suno's own code, measured alternately in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bark_serving.bundle import mapped
from bark_serving.engines.store import EngineStore
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.spec import Spec
from build_engines.export.build import make
from reference import suno as oracle
from tests.bundles import random_bundle, true_size_spec

CONTEXT, TURNS, STEPS, THREADS = 300, 8, 16, 2


@pytest.mark.slow
@pytest.mark.parametrize("size", ["small", "large"])
def test_an_int8_decode_step_takes_at_most_a_fifth_of_sunos_time(size: str, tmp_path: Path) -> None:
    spec = true_size_spec() if size == "small" else Spec(name="large")
    bundle = random_bundle(tmp_path / "bundle", spec, networks=["coarse"])
    gpt = spec.coarse.gpt
    embeddings = mapped(bundle.weights("coarse"), "token_embedding.weight")
    engine = make(bundle, stage="coarse", precision="int8", store=EngineStore(tmp_path / "engines"))
    ours = OnnxGpt(engine.folder, gpt=gpt, embeddings=embeddings, rows=1, threads=THREADS)
    ours.prefill(0, np.asarray(embeddings[:CONTEXT]))

    torch.set_num_threads(THREADS)
    theirs = oracle.gpt(load_file(bundle.weights("coarse")), gpt)
    with torch.inference_mode():
        _, cache = theirs(torch.arange(CONTEXT)[None], use_cache=True)
        one = torch.tensor([[1]])
        times: dict[str, list[float]] = {"ours": [], "suno": []}
        for _ in range(TURNS):  # several steps per turn, because the other's threads still spin at its beginning
            for step in range(STEPS):
                times["ours"].append(seconds(lambda step=step: ours.decode(ours.embed(np.array([1])), lengths(step))))
            for _ in range(STEPS):
                times["suno"].append(seconds(lambda: theirs(one, use_cache=True, past_kv=cache)))
    medians = {name: statistics.median(taken[STEPS:]) for name, taken in times.items()}
    print({name: f"{1000 * median:.1f} ms" for name, median in medians.items()})
    assert medians["suno"] / medians["ours"] >= 5, medians


def lengths(step: int) -> np.ndarray:
    return np.array([CONTEXT + step], np.int32)


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
