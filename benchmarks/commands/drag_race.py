"""``drag-race``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import drag_race, machine, results, variants
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


def command(
    size: SizeOption = "tiny",
    bundle: BundleOption = None,
    variant: VariantOption = None,
    rwkv: Annotated[bool, typer.Option("--rwkv/--no-rwkv", help="The rwkv package on a dummy RWKV-4 as large.")] = True,
    tensorrt_llm: Annotated[
        Path | None, typer.Option(help="Folder of a TensorRT-LLM engine, where that library is installed.")
    ] = None,
    peer_device: PeerDeviceOption = "cpu",
    threads: ThreadsOption = None,
    repeats: RepeatsOption = 3,
    tokens_scale: ScaleOption = 1.0,
    engines: EnginesOption = ENGINES,
    output: OutputOption = None,
) -> None:
    """The article's second table: one GPT, 1 000 tokens, batch 1, who is first.

    The network is the coarse one (large: 328 M parameters, 24 layers, 1 024 wide, 12 096 tokens). Plain torch with a KV
    cache, the `rwkv` package on a dummy RWKV-4 of the same layers, width and vocabulary, and our runtimes.

    Try it: `python -m benchmarks drag-race --size tiny --tokens-scale 0.1`

    README: `python -m benchmarks drag-race --size large -o benchmarks/results/drag-race-large.json`
    """
    with errors_shown(), tempfile.TemporaryDirectory() as folder:
        idle, count = machine.describe(), threads_of(threads)
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
            rwkv=rwkv,
            tensorrt_llm=tensorrt_llm,
            bandwidth=here.bandwidth_gb_s,
            gpu_bandwidth=here.gpu_bandwidth_gb_s,
            device=peer_device,
        )
        runners = 1 + rwkv + len(race.variants) + (tensorrt_llm is not None)
        with progress(runners * (repeats + 1)) as step:
            measured = drag_race.measure(race, on_step=step)
        result = results.make(
            "drag-race",
            measured,
            on=here,
            settings={
                "bundle": race.bundle.spec.name,
                "model": f"a GPT of {race.gpt.layers} layers, {race.gpt.width} wide, {race.gpt.output_vocab} tokens",
                "threads": count,
                "repeats": repeats,
                "tokens": race.tokens,
                "peer_device": peer_device,
                "scale": tokens_scale,
            },
        )
        finish(result, output_of(output, "drag-race", what=race.bundle.spec.name))
