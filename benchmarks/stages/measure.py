"""One utterance in Suno's package, transformers and our variants, in turns: stage by stage and end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.profiles import TRANSFORMERS, Stage, stage_precision
from bark_serving.spec import Network, Spec
from bark_serving.triton.in_process import InProcess
from benchmarks import roofline
from benchmarks.bundles import open_in_process
from benchmarks.errors import BenchmarkError
from benchmarks.grpc_caller import GrpcCaller
from benchmarks.peers import suno
from benchmarks.peers import transformers as transformers_bark
from benchmarks.results import UTTERANCE, Fact, Measurement
from benchmarks.servers import Target, own_server
from benchmarks.stages.utterance import Utterances, through_triton
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.variants import Variant, reference
from benchmarks.work import Speaker, Work, make_work

STAGES: tuple[Stage, ...] = ("hubert", "semantic", "coarse", "fine", "encodec_decode")
CASES = (*STAGES, UTTERANCE)
PEERS = (*suno.NAMES, transformers_bark.NAME)
_WARM_UP_TOKENS = 8
_NETWORKS: Mapping[str, Network] = {"hubert": "hubert", **suno.NETWORKS}


@dataclass(frozen=True, eq=False)
class Plan:
    """What to measure, and how."""

    bundle: Bundle
    peers: Sequence[str]
    variants: Sequence[Variant]
    store: EngineStore
    threads: int
    repeats: int
    scale: float
    folder: Path  #: for model repositories
    cases: Sequence[str] = CASES
    triton: bool = True  #: measure stages through a server too, and `utterance` only through a server
    in_flight: Sequence[int] = (4,)  #: utterances at once, one throughput case each; 1 is no case
    bandwidth: float | None = None  #: GB/s of the CPU's memory, for the roofline
    gpu_bandwidth: float | None = None  #: GB/s of the GPU's memory
    device: str = "cpu"  #: of the peers

    @property
    def max_batch(self) -> int:
        return max(8, *self.in_flight)

    def settings(self) -> dict[str, Any]:
        """The settings that the result records."""
        return {
            "bundle": self.bundle.spec.name,
            "threads": self.threads,
            "repeats": self.repeats,
            "scale": self.scale,
            "in_flight": self.in_flight[0] if len(self.in_flight) == 1 else self.in_flight,
            "peer_device": self.device,
        }

    def open_local(self, variant: Variant) -> InProcess:
        """The stages of a variant in this process."""
        return open_in_process(
            self.bundle, variant, store=self.store, folder=self.folder, threads=self.threads, max_batch=self.max_batch
        )


def measure(plan: Plan, *, on_step: Callable[[str], None] = lambda label: None) -> list[Measurement]:
    """All cases of the plan."""
    import torch

    torch.set_num_threads(plan.threads)
    work = make_work(plan.bundle.spec, scale=plan.scale)
    warm = make_work(plan.bundle.spec, semantic_tokens=_WARM_UP_TOKENS)
    measurements: list[Measurement] = []
    with ExitStack() as stack:
        servers = _start_servers(plan, stack, on_step) if plan.triton else {}
        for stage in [stage for stage in STAGES if stage in plan.cases]:
            if stage == "hubert" and plan.bundle.spec.hubert is None:
                continue
            measurements += _measure_stage(plan, stage, work, warm, servers, on_step)
        if UTTERANCE in plan.cases:
            whole = Utterances(
                plan.bundle,
                peers=plan.peers,
                variants=plan.variants,
                in_flight=plan.in_flight,
                servers=servers,
                open_local=plan.open_local,
                device=plan.device,
            )
            measurements += whole.measure(work, warm, repeats=plan.repeats, on_step=on_step)
        measurements += [_start_time(name, target) for name, target in servers.items() if target.start_seconds]
    if not measurements:
        raise BenchmarkError("These options leave nothing to measure.", remedy="Name another --case.")
    return measurements


def _start_servers(plan: Plan, stack: ExitStack, on_step: Callable[[str], None]) -> dict[str, Target]:
    """One server per profile and precision of the variants. All run at once; each is idle until its turn."""
    servers: dict[str, Target] = {}
    for variant in plan.variants:
        if variant.server_name not in servers:
            on_step(f"server: {variant.server_name}")
            server = own_server(plan.bundle, variant, store=plan.store, threads=plan.threads, max_batch=plan.max_batch)
            servers[variant.server_name] = stack.enter_context(server)
    return servers


def _start_time(name: str, target: Target) -> Measurement:
    assert target.start_seconds is not None
    return Measurement(case="start to first answer", subject=f"{name}, Triton", samples=(target.start_seconds,))


def _measure_stage(
    plan: Plan, stage: Stage, work: Work, warm: Work, servers: Mapping[str, Target], on_step: Callable[[str], None]
) -> list[Measurement]:
    with _stage_subjects(plan, stage, work, warm, servers) as subjects:
        samples = in_turns(subjects, repeats=plan.repeats, on_run=lambda label: on_step(f"{stage}: {label}"))
    ours = {name: variant for variant in plan.variants for name in (variant.name, through_triton(variant))}
    return [
        Measurement(
            case=stage,
            subject=name,
            samples=tuple(metrics[SECONDS]),
            facts=_facts(plan, stage, work, variant=ours.get(name), seconds=metrics[SECONDS]),
        )
        for name, metrics in samples.items()
    ]


@contextmanager
def _stage_subjects(
    plan: Plan, stage: Stage, work: Work, warm: Work, servers: Mapping[str, Target]
) -> Iterator[list[Subject]]:
    """Every implementation of the stage. Its network is in memory for the length of the ``with`` block."""
    with ExitStack() as stack:
        subjects: list[Subject] = []
        for name in plan.peers:
            if name in suno.NAMES and stage in suno.STAGES:
                run_suno = stack.enter_context(suno.load(plan.bundle, (stage,), device=plan.device, name=name))
                subjects.append(_subject(name, partial(run_suno, stage), work, warm))
        if transformers_bark.NAME in plan.peers:
            run_transformers = transformers_bark.load(plan.bundle, stage, device=plan.device)
            subjects.append(_subject(transformers_bark.NAME, run_transformers, work, warm))
        for variant in _variants_of(plan, stage):
            speaker = Speaker(plan.bundle, options=variant.options(plan.bundle.spec))
            local = stack.enter_context(plan.open_local(variant))
            subjects.append(_stage_subject(variant.name, speaker, local, stage, work, warm))
            if variant.server_name in servers:
                remote = stack.enter_context(GrpcCaller(servers[variant.server_name].url))
                subjects.append(_stage_subject(through_triton(variant), speaker, remote, stage, work, warm))
        yield subjects


def _variants_of(plan: Plan, stage: Stage) -> list[Variant]:
    """One of each group of variants that are the same at this stage: same engine and same options of the stage."""
    spec = plan.bundle.spec
    seen: dict[tuple[str, str, bool, str], Variant] = {}
    for variant in plan.variants:
        if stage in variant.changes or not variant.approximation:
            precision = stage_precision(stage, variant.precision, variant.profile)
            options = {name: value for name, value in variant.options(spec).items() if name.startswith(f"{stage}_")}
            kernels = variant.kernels or stage not in TRANSFORMERS
            seen.setdefault((variant.profile, precision, kernels, repr(options)), variant)
    return list(seen.values())


def _subject(name: str, run: Callable[[Work], Any], work: Work, warm: Work) -> Subject:
    def timed() -> None:
        run(work)

    return Subject(name, timed, warm=lambda: run(warm))


def _stage_subject(name: str, speaker: Speaker, caller: Any, stage: Stage, work: Work, warm: Work) -> Subject:
    return Subject(
        name, lambda: {SECONDS: speaker.stage(caller, stage, work)}, warm=lambda: speaker.stage(caller, stage, warm)
    )


def _facts(
    plan: Plan, stage: Stage, work: Work, *, variant: Variant | None, seconds: Sequence[float]
) -> dict[str, Fact]:
    """What explains a time: sizes, and the roofline. Without a ``variant``: a peer, which runs in fp32."""
    facts: dict[str, Fact] = {"parameters": roofline.parameters(plan.bundle, _NETWORKS[stage])}
    hubert = plan.bundle.spec.hubert
    amounts = {
        "hubert": (round(len(work.clip) / (hubert.sample_rate if hubert else 1), 3), "seconds"),
        "semantic": (len(work.semantic), "tokens"),
        "coarse": (work.coarse_tokens, "tokens"),
        "fine": (work.frames, "frames"),
        "encodec_decode": (work.frames, "frames"),
    }
    facts["amount"], facts["unit"] = amounts[stage]
    if stage in ("semantic", "coarse"):
        tokens = len(work.semantic) if stage == "semantic" else work.coarse_tokens
        size = roofline.bytes_per_token(
            plan.bundle.spec.gpt(stage),
            precision=variant.precision if variant else "fp32",
            context=mean_context(plan.bundle.spec, stage, work, variant=variant or reference()),
            head_rows=roofline.cut_head(stage, plan.bundle.spec) if variant and variant.profile == "cpu" else None,
        )
        facts["milliseconds_a_token"] = round(1000 * float(np.median(seconds)) / tokens, 4)
        facts["bytes_a_token"] = round(size)
        on_gpu = (variant.profile != "cpu" if variant else plan.device != "cpu") and plan.gpu_bandwidth is not None
        bandwidth = plan.gpu_bandwidth if on_gpu else plan.bandwidth
        if bandwidth:
            facts["roofline_seconds"] = round(tokens * size / (bandwidth * 1e9), 5)
    return facts


def mean_context(spec: Spec, stage: Stage, work: Work, *, variant: Variant) -> int:
    """Mean number of positions in the KV cache at a decode step."""
    if stage == "semantic":
        return spec.semantic.prefill + len(work.semantic) // 2
    schedule = variant.schedule(work.semantic, spec=spec)
    ids = coarse_layout.flatten(work.coarse, spec=spec)
    lengths = [len(schedule.prompt(start, ids)) + schedule.length(start) / 2 for start in schedule.starts]
    return int(np.average(lengths, weights=[schedule.length(start) for start in schedule.starts]))


def step_count(plan: Plan) -> int:
    """An estimate, for the progress bar, of how many steps `measure` reports."""
    columns = len(plan.peers) + len(plan.variants) * (2 if plan.triton else 1)
    stages = sum(case in STAGES for case in plan.cases)
    total = stages * columns * (plan.repeats + 1)
    if UTTERANCE in plan.cases:
        total += (1 + (1 + len(plan.in_flight)) * len(plan.variants)) * (plan.repeats + 1)
    return total
