"""Where the time of a transformer's call goes: ONNX Runtime's own profile, summed by operator."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.rules import rule_of
from bark_serving.engines.store import Engine, EngineStore
from bark_serving.profiles import stage_precision
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.runtimes.onnx_session import open_session, wide_graph
from bark_serving.spec import GptSpec, GptStage
from benchmarks.results import Measurement
from benchmarks.tables import OTHERS
from benchmarks.variants import Variant

_GPTS: tuple[GptStage, ...] = ("semantic", "coarse")
#: An operator with less of a call than this is among the others.
LEAST_SHARE = 0.01


@dataclass
class _Profiled:
    """Opens sessions that keep a profile, in one folder."""

    folder: Path
    sessions: list[ort.InferenceSession] = field(default_factory=list)

    def open(self, graph: Path, **options: Any) -> ort.InferenceSession:
        session = open_session(graph, profile=self.folder / graph.stem, **options)
        self.sessions.append(session)
        return session


def measure(
    bundle: Bundle, variant: Variant, *, store: EngineStore, threads: int, repeats: int, on_step: Callable[[str], None]
) -> list[Measurement]:
    """Seconds of each operator in one call: a decode step and a prefill of both GPTs, a pass of the fine stage.

    A call is made ``repeats`` times; each is a sample. Keeping a profile costs time itself: read shares, not speed.
    """
    measurements: list[Measurement] = []
    for stage in _GPTS:
        engine = store.find(bundle, stage=stage, precision=stage_precision(stage, variant.precision))
        length = _context(bundle, stage)
        for case, positions in (("prefill", length), ("decode step", 1)):
            on_step(f"{stage} {case}")
            call = partial(_gpt_calls, bundle, stage, engine, threads=threads, length=length, decode=positions == 1)
            measurements += _by_operator(f"{stage} {case}, {length} positions", call, repeats=repeats)
    on_step("fine")
    engine = store.find(bundle, stage="fine", precision=stage_precision("fine", variant.precision))
    case = f"fine pass, {bundle.spec.fine.window} positions"
    measurements += _by_operator(case, partial(_fine_calls, bundle, engine, threads=threads), repeats=repeats)
    return measurements


def _context(bundle: Bundle, stage: GptStage) -> int:
    """The longest prompt of a stage."""
    if stage == "semantic":
        return bundle.spec.semantic.prefill
    return bundle.spec.coarse.semantic_context + 1 + bundle.spec.coarse.max_history


def _gpt_calls(
    bundle: Bundle, stage: GptStage, engine: Engine, profiled: _Profiled, *, threads: int, length: int, decode: bool
) -> Callable[[], object]:
    gpt: GptSpec = bundle.spec.gpt(stage)
    runtime = OnnxGpt(
        engine.folder,
        gpt=gpt,
        rule=rule_of(stage, bundle.spec),
        embeddings=mapped(bundle.weights(stage), "token_embedding.weight"),
        rows=1,
        threads=threads,
        opened=profiled.open,
    )
    prompt = runtime.embed(np.arange(length) % gpt.input_vocab)
    if not decode:
        return lambda: runtime.prefill(0, prompt)
    return lambda: runtime.decode(prompt[:1], np.array([length - 1], np.int32))


def _fine_calls(bundle: Bundle, engine: Engine, profiled: _Profiled, *, threads: int) -> Callable[[], object]:
    window = bundle.spec.fine.window
    session = profiled.open(wide_graph(engine.folder), threads=threads)
    inputs = {
        "codes": np.zeros((1, bundle.spec.encodec.codebooks, window), np.int32),
        "codebook": np.array([[bundle.spec.fine.codebooks_given]], np.int32),
        "temperature": np.array([[0.5]], np.float32),
        "uniforms": np.full((1, window), 0.5, np.float32),
    }
    return lambda: session.run(["predictions"], inputs)


def _by_operator(case: str, prepare: Callable[[_Profiled], Callable[[], object]], *, repeats: int) -> list[Measurement]:
    """One measurement an operator, the costliest first."""
    with tempfile.TemporaryDirectory() as folder:
        profiled = _Profiled(Path(folder))
        call = prepare(profiled)
        for _ in range(repeats + 1):  # the first one warms up
            call()
        runs = [run for session in profiled.sessions for run in _runs(Path(session.end_profiling()))]
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0] * repeats)
    for number, run in enumerate(runs[-repeats:]):
        for operator, seconds in run.items():
            totals[operator][number] += seconds
    whole = sum(map(sum, totals.values()))
    few = [operator for operator, samples in totals.items() if sum(samples) < LEAST_SHARE * whole]
    rest = [sum(samples) for samples in zip(*(totals.pop(operator) for operator in few), strict=True)]
    ordered = sorted(totals.items(), key=lambda item: -sum(item[1])) + ([(OTHERS, rest)] if few else [])
    return [
        Measurement(
            case=case, subject=operator, samples=tuple(samples), facts={"share": round(sum(samples) / whole, 4)}
        )
        for operator, samples in ordered
    ]


def _runs(path: Path) -> list[dict[str, float]]:
    """Seconds by operator of each run in a profile that ONNX Runtime wrote."""
    runs: list[dict[str, float]] = []
    pending: dict[str, float] = defaultdict(float)
    for event in sorted(json.loads(path.read_bytes()), key=lambda event: event["ts"] + event["dur"]):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            pending[event["args"]["op_name"]] += event["dur"] / 1e6
        elif event["name"] == "model_run":
            runs.append(dict(pending))
            pending.clear()
    return runs
