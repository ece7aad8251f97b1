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


def command(
    size: opt.Size = "tiny",
    bundle: opt.Bundle = None,
    variant: opt.Variants = None,
    case: Annotated[
        list[str] | None,
        typer.Option("--case", help=f"One of {', '.join(stages.CASES)}; may be repeated. Default: all."),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", help=f"One of {', '.join(stages.PEERS)}; may be repeated. Default: all."),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Measure other implementations too.")] = True,
    peer_device: opt.PeerDevice = "cpu",
    triton: Annotated[
        bool, typer.Option("--triton/--no-triton", help="Measure through a Triton server too; `utterance` only there.")
    ] = True,
    in_flight: Annotated[
        list[int] | None,
        typer.Option("--in-flight", min=1, help="Utterances at once, for batching; may be repeated. Default: 4."),
    ] = None,
    threads: opt.Threads = None,
    repeats: opt.Repeats = 3,
    tokens_scale: opt.Scale = 1.0,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """The article's table on this machine: the time of each stage in Suno's package, in transformers and in ours.

    The work is ten seconds of speech: 499 semantic tokens, 1 500 coarse tokens and 750 frames. The implementations of a
    stage run in turns, with all their networks in memory. `utterance` is the whole way from text to audio: ours runs
    through a Triton server, as for a client, or in this process with --no-triton. For the decoding stages, the result
    shows how much of the memory bandwidth they reach.

    Try it: `python -m benchmarks stages --size tiny --tokens-scale 0.1`

    To keep: `python -m benchmarks stages --size small -o benchmarks/results/stages-small.json`
    """
    with errors_shown():
        require("matplotlib")
        idle, count = machine.describe(), opt.threads_of(threads)
        named, cases = opt.known(peer, stages.PEERS, "--peer"), opt.known(case, stages.CASES, "--case")
        measured_stages = stages.STAGES if UTTERANCE in cases else cases
        if peers and not set(named).isdisjoint(suno.NAMES):
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
                in_flight=in_flight or [4],
                bandwidth=here.bandwidth_gb_s,
                gpu_bandwidth=here.gpu_bandwidth_gb_s,
                device=peer_device,
            )
            with steps(stages.step_count(plan)) as step:
                measured = stages.measure(plan, on_step=step)
        result = results.make("stages", measured, on=here, settings=plan.settings())
        finish(result, opt.output_of(output, "stages", what=plan.bundle.spec.name), table=table, plot=plot)
