"""``stages``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bark_serving.cli.console import steps
from benchmarks import machine, results, variants
from benchmarks import options as opt
from benchmarks.peers import suno
from benchmarks.peers import transformers as transformers_bark
from benchmarks.results import UTTERANCE
from benchmarks.running import errors_shown, finish, prepare, require
from benchmarks.stages import measure as stages
from benchmarks.stages.report import plot, table


def _known(names: list[str] | None, choices: tuple[str, ...], option: str) -> list[str]:
    for name in names or ():
        if name not in choices:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(choices)}", param_hint=option)
    return names or list(choices)


def command(
    size: opt.Size = "tiny",
    bundle: opt.Bundle = None,
    variant: opt.Variants = None,
    case: Annotated[
        list[str] | None,
        typer.Option("--case", help=f"Only this one; may be repeated. {', '.join(stages.CASES)}. Default: all."),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", help=f"Only this one; may be repeated. {', '.join(stages.PEERS)}. Default: both."),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Measure other implementations at all.")] = True,
    peer_device: opt.PeerDevice = "cpu",
    triton: Annotated[
        bool, typer.Option("--triton/--no-triton", help="Also through a real server; `utterance` through it only.")
    ] = True,
    in_flight: Annotated[
        list[int] | None,
        typer.Option(
            "--in-flight", min=1, help="Utterances at once, to see what batching gives; may be repeated. Default: 4."
        ),
    ] = None,
    threads: opt.Threads = None,
    repeats: opt.Repeats = 3,
    tokens_scale: opt.Scale = 1.0,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """The article's table on this machine: every stage, by Suno's package, transformers, and us.

    Ten seconds of speech of fixed lengths: 499 semantic tokens, 1 500 coarse tokens, 750 frames. All columns of a stage
    run in turns, their networks in memory together. `utterance` is the whole of it, ours through the real server: what
    a client waits for. With --no-triton it runs in this process. Decoding stages show how much of the memory's
    bandwidth they reach.

    Try it: `python -m benchmarks stages --size tiny --tokens-scale 0.1`

    To keep: `python -m benchmarks stages --size small -o benchmarks/results/stages-small.json`
    """
    with errors_shown():
        require("matplotlib")
        together = in_flight or [4]
        idle, count = machine.describe(), opt.threads_of(threads)
        named, cases = _known(peer, stages.PEERS, "--peer"), _known(case, stages.CASES, "--case")
        measured_stages = stages.STAGES if UTTERANCE in cases else cases
        if peers and suno.NAME in named:
            suno.check()
        if peers and transformers_bark.NAME in named:
            require("transformers")
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
                in_flight=together,
                bandwidth=here.bandwidth_gb_s,
                gpu_bandwidth=here.gpu_bandwidth_gb_s,
                device=peer_device,
            )
            with steps(stages.step_count(plan)) as step:
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
                "in_flight": together[0] if len(together) == 1 else together,
                "peer_device": peer_device,
            },
        )
        finish(result, opt.output_of(output, "stages", what=plan.bundle.spec.name), table=table, plot=plot)
