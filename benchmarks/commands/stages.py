"""``stages``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine, results, stages, variants
from benchmarks.commands.finish import finish
from benchmarks.commands.prepare import prepare
from benchmarks.console import errors_shown, progress
from benchmarks.options import (
    ENGINES,
    BundleOption,
    EnginesOption,
    OutputOption,
    PeerDeviceOption,
    RepeatsOption,
    ScaleOption,
    SizeOption,
    ThreadsOption,
    VariantOption,
    output_of,
    threads_of,
)
from benchmarks.tables import UTTERANCE


def _known(names: list[str] | None, choices: tuple[str, ...], option: str) -> list[str]:
    for name in names or ():
        if name not in choices:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(choices)}", param_hint=option)
    return names or list(choices)


def command(
    size: SizeOption = "tiny",
    bundle: BundleOption = None,
    variant: VariantOption = None,
    case: Annotated[
        list[str] | None,
        typer.Option("--case", help=f"Only this one; may be repeated. {', '.join(stages.CASES)}. Default: all."),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", help=f"Only this one; may be repeated. {', '.join(stages.PEERS)}. Default: both."),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Measure other implementations at all.")] = True,
    peer_device: PeerDeviceOption = "cpu",
    triton: Annotated[
        bool, typer.Option("--triton/--no-triton", help="Also through a real server; `utterance` needs it.")
    ] = True,
    in_flight: Annotated[int, typer.Option(min=1, help="Utterances at once, to see what batching gives. 1: none.")] = 4,
    threads: ThreadsOption = None,
    repeats: RepeatsOption = 3,
    tokens_scale: ScaleOption = 1.0,
    engines: EnginesOption = ENGINES,
    output: OutputOption = None,
) -> None:
    """The article's table on this machine: every stage, by Suno's package, transformers, and us.

    Ten seconds of speech of fixed lengths: 499 semantic tokens, 1 500 coarse tokens, 750 frames. All columns of a stage
    run in turns, their networks in memory together. `utterance` is the whole of it, ours through the real server: what
    a client waits for. Decoding stages show how much of the memory's bandwidth they reach.

    Try it: `python -m benchmarks stages --size tiny --tokens-scale 0.1`

    README: `python -m benchmarks stages --size small -o benchmarks/results/stages-small.json`
    """
    with errors_shown():
        idle, count = machine.describe(), threads_of(threads)
        named, cases = _known(peer, stages.PEERS, "--peer"), _known(case, stages.CASES, "--case")
        measured_stages = stages.STAGES if UTTERANCE in cases else cases
        chosen = variants.changing(variant, measured_stages, of=f"--case {' or '.join(cases)}")
        opened, store = prepare(size, bundle, variants=chosen, engines=engines)
        here = machine.with_speed(idle, threads=count)
        with tempfile.TemporaryDirectory() as folder:
            plan = stages.Plan(
                bundle=opened,
                peers=named if peers else [],
                variants=chosen,
                store=store,
                threads=count,
                repeats=repeats,
                scale=tokens_scale,
                folder=Path(folder),
                cases=cases,
                triton=triton,
                in_flight=in_flight,
                bandwidth=here.bandwidth_gb_s,
                gpu_bandwidth=here.gpu_bandwidth_gb_s,
                device=peer_device,
            )
            with progress(stages.step_count(plan)) as step:
                measured = stages.measure(plan, on_step=step)
        result = results.make(
            "stages",
            measured,
            on=here,
            settings={
                "bundle": plan.bundle.spec.name,
                "threads": count,
                "repeats": repeats,
                "scale": tokens_scale,
                "in_flight": in_flight,
                "peer_device": peer_device,
            },
        )
        finish(result, output_of(output, "stages", what=plan.bundle.spec.name))
