"""``drag-race``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bark_serving.cli.console import steps
from benchmarks import machine, results, variants
from benchmarks import options as opt
from benchmarks.drag_race import measure as drag_race
from benchmarks.drag_race.report import plot, table
from benchmarks.peers import suno
from benchmarks.running import errors_shown, finish, prepare, require


def command(
    size: opt.Size = "tiny",
    bundle: opt.Bundle = None,
    variant: opt.Variants = None,
    peer: Annotated[
        list[str] | None,
        typer.Option("--peer", help=f"One of {', '.join(drag_race.PEERS)}; may be repeated. Default: all."),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Measure other runtimes too.")] = True,
    tensorrt_llm: Annotated[
        Path | None, typer.Option(help="Folder of a TensorRT-LLM engine. The library must be installed.")
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="Batch size of our runtimes; may be repeated. Default: 1."),
    ] = None,
    peer_device: opt.PeerDevice = "cpu",
    threads: opt.Threads = None,
    repeats: opt.Repeats = 3,
    tokens_scale: opt.Scale = 1.0,
    engines: opt.Engines = opt.ENGINES,
    output: opt.Output = None,
) -> None:
    """The article's second table: how long each runtime takes to generate 1 000 tokens with one GPT.

    The GPT is the coarse network (large: 328 M parameters, 24 layers, 1 024 wide, 12 096 tokens). The runtimes are
    plain torch with a KV cache, the `rwkv` package, OpenVINO with weights in int8, and our own. RWKV runs random
    weights of the same number of layers, width and vocabulary.

    Try it: `python -m benchmarks drag-race --size tiny --tokens-scale 0.1`

    To keep: `python -m benchmarks drag-race --size large -o benchmarks/results/drag-race-large.json`
    """
    with errors_shown(), tempfile.TemporaryDirectory() as folder:
        named = opt.known(peer, drag_race.PEERS, "--peer") if peers else []
        require("matplotlib", *(drag_race.PEERS[name] for name in named))
        if drag_race.TORCH in named:
            suno.check()
        idle, count = machine.describe(), opt.threads_of(threads)
        chosen = variants.changing(variant, (), of="a drag race")
        opened, store = prepare(size, bundle, variants=chosen, engines=engines)
        here = machine.with_speed(idle, threads=count)
        race = drag_race.Race(
            bundle=opened,
            variants=chosen,
            store=store,
            threads=count,
            repeats=repeats,
            tokens=max(2, round(drag_race.TOKENS * tokens_scale)),
            folder=Path(folder),
            peers=named,
            tensorrt_llm=tensorrt_llm,
            bandwidth=here.bandwidth_gb_s,
            gpu_bandwidth=here.gpu_bandwidth_gb_s,
            device=peer_device,
            batches=batch or [1],
        )
        with steps(race.runtime_count() * (repeats + 1)) as step:
            measured = drag_race.measure(race, on_step=step)
        result = results.make("drag-race", measured, on=here, settings={**race.settings(), "scale": tokens_scale})
        finish(result, opt.output_of(output, "drag-race", what=race.bundle.spec.name), table=table, plot=plot)
