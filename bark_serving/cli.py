"""``bark-serve``: render a model repository, run a Triton server on it."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bark_serving.bundle import MINIATURE
from bark_serving.console import console, errors_shown, steps
from bark_serving.host.gpus import parse_gpus
from bark_serving.profiles import TABLE, Precision, Profile
from bark_serving.server import Server, ServerSettings, detach, serve, state
from bark_serving.server.binary import check_backends
from bark_serving.server.binary import find as find_triton
from bark_serving.server.build import build_missing
from bark_serving.server.process import StopRequest
from bark_serving.server.repository import check_installed, render, usable_gpus, uses_gpu
from bark_serving.server.settings import default_folder
from bark_serving.server.status import describe
from bark_serving.voices.store import MAX_BYTES, MAX_VOICES

app = typer.Typer(
    name="bark-serve",
    help="Serve Bark on Triton Inference Server.\n\n"
    "Example: `bark-serve up --build`, then `bark say 'Hello.' -o hello.wav`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
_ABOUT_THE_MINIATURE = (
    "[yellow]This is the miniature[/yellow], for demonstration and tests: short, plain English. For Bark itself: "
    "`bark-build import suno/bark-small build/bundles/bark-small`, then `--bundle build/bundles/bark-small`."
)

Bundle_ = Annotated[
    Path,
    typer.Option("--bundle", help="The bundle to serve (`bark-build import`). miniature: the one that comes along."),
]
Engines = Annotated[Path, typer.Option(envvar="BARK_ENGINES", help="Where `bark-build` keeps engines.")]
ProfileOption = Annotated[
    Profile,
    typer.Option(
        "--profile", help="What runs the stages. " + " ".join(f"{name}: {row.runs}." for name, row in TABLE.items())
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        "--precision",
        help="Of the three transformers, the fast default first. "
        + " ".join(f"{name}: {', '.join(row.precisions)}." for name, row in TABLE.items())
        + " fp32 is the reference.",
    ),
]
Gpus = Annotated[
    str, typer.Option(help="GPUs to use, as in 0,1; auto: all that are there; none: the CPU, where the profile can.")
]
Architecture = Annotated[
    str | None,
    typer.Option("--gpu-architecture", help="Of the GPUs that will serve, as in sm90. Default: of those here."),
]
Voices = Annotated[list[Path] | None, typer.Option(help="A folder of .npz voices beside the bundle's own; repeatable.")]
VoiceStoreOption = Annotated[
    Path | None,
    typer.Option(
        "--voice-store",
        help="The folder that keeps the voices which clients clone or put. Default: build/voices/CODEC.",
    ),
]
MaxVoices = Annotated[int, typer.Option(min=0, help="Voices that the store keeps at most.")]
MaxVoiceMegabytes = Annotated[int, typer.Option("--max-voice-mb", min=1, help="MiB of voices that it keeps at most.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of one stage call. Default: all cores.")]
MaxBatch = Annotated[int, typer.Option(min=1, help="Sequences that a stage runs together at most.")]
Name = Annotated[str, typer.Option(help="The server's name; servers of several names can run side by side.")]


def _check_precision(profile: Profile, precision: Precision | None) -> None:
    choices = TABLE[profile].precisions
    if precision is not None and precision not in choices:
        raise typer.BadParameter(
            f"the {profile} profile has {', '.join(choices)}, not {precision}.", param_hint="--precision"
        )


def _gpu_numbers(text: str) -> Sequence[int] | None:
    try:
        return parse_gpus(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--gpus") from None


@app.command("render")
def render_command(
    bundle: Bundle_ = MINIATURE,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to make.")] = Path("build/repository/bark"),
    engines: Engines = Path("build/engines"),
    profile: ProfileOption = "cpu",
    precision: PrecisionOption = None,
    gpus: Gpus = "auto",
    architecture: Architecture = None,
    voices: Voices = None,
    voice_store: VoiceStoreOption = None,
    max_voices: MaxVoices = MAX_VOICES,
    max_voice_mb: MaxVoiceMegabytes = MAX_BYTES // 2**20,
    threads: Threads = None,
    max_batch: MaxBatch = 8,
) -> None:
    """Write the model repository that Triton loads: one folder a model.

    `bark-serve up` does this by itself; use it to look at the result, or to run tritonserver some other way.

    Example: `bark-serve render --bundle build/bundles/bark-small --precision fp32 -o build/repository/exact`
    """
    _check_precision(profile, precision)
    numbers = _gpu_numbers(gpus)
    with errors_shown():
        path = render(
            bundle=bundle,
            engines=engines,
            output=output,
            profile=profile,
            precision=precision,
            gpus=numbers,
            architecture=architecture,
            voices=voices,
            voice_store=voice_store,
            max_voices=max_voices,
            max_voice_bytes=max_voice_mb * 2**20,
            threads=threads,
            max_batch=max_batch,
        )
    print(path)


@app.command()
def up(
    bundle: Bundle_ = MINIATURE,
    repository: Annotated[
        Path | None, typer.Option(help="Serve this rendered repository instead of rendering one from a bundle.")
    ] = None,
    engines: Engines = Path("build/engines"),
    profile: ProfileOption = "cpu",
    precision: PrecisionOption = None,
    gpus: Gpus = "auto",
    architecture: Architecture = None,
    voices: Voices = None,
    voice_store: VoiceStoreOption = None,
    max_voices: MaxVoices = MAX_VOICES,
    max_voice_mb: MaxVoiceMegabytes = MAX_BYTES // 2**20,
    threads: Threads = None,
    max_batch: MaxBatch = 8,
    build: Annotated[bool, typer.Option("--build", help="Build the engines that are missing first.")] = False,
    name: Name = "bark",
    address: Annotated[
        str, typer.Option(help="Where to listen. Keep it on loopback unless a gateway guards it.")
    ] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="HTTP port.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="gRPC port; clients of `bark` use this one.")] = 8001,
    metrics_port: Annotated[int, typer.Option(help="Port of the Prometheus metrics.")] = 8002,
    triton: Annotated[
        Path | None, typer.Option(help="The tritonserver binary. Default: the wheel's, else PATH.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="Log file. Default: build/server/NAME.log.")] = None,
    start_timeout: Annotated[float, typer.Option(help="Seconds until the first answer.")] = 300.0,
    stop_timeout: Annotated[float, typer.Option(help="Seconds that stopping may take before it is forced.")] = 15.0,
    detached: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once the server answers; end it with `bark-serve down`.")
    ] = False,
) -> None:
    """Start a server and wait until it really answers; Ctrl-C stops it.

    Renders the repository, starts Triton, and has it speak a word before it counts as up. While it runs, models whose
    process dies are reloaded.

    Example: `bark-serve up --bundle build/bundles/bark-small --build --detach`
    """
    _check_precision(profile, precision)
    asked = _gpu_numbers(gpus)
    with errors_shown():
        used = usable_gpus(profile, asked, architecture=architecture)
        if repository is None:
            check_installed(profile)
        settings = ServerSettings(
            name=name,
            repository=repository or Path("build/repository") / name,
            address=address,
            http_port=http_port,
            grpc_port=grpc_port,
            metrics_port=metrics_port,
            triton=triton,
            gpu=bool(used) if repository is None else uses_gpu(repository),
            log=log,
            start_timeout=start_timeout,
            stop_timeout=stop_timeout,
        )
        state.check_free(settings)  # before its repository is rendered anew
        if repository is None:
            if bundle == MINIATURE:
                console.print(_ABOUT_THE_MINIATURE, soft_wrap=True)
            if build:
                check_backends(find_triton(settings), {row.backend for row in TABLE[profile].stages.values()})
                build_missing(
                    bundle=bundle, engines=engines, profile=profile, precision=precision, architecture=architecture
                )
                state.check_free(settings)  # that took its time
            render(
                bundle=bundle,
                engines=engines,
                output=settings.repository,
                profile=profile,
                precision=precision,
                gpus=used,
                architecture=architecture,
                voices=voices,
                voice_store=voice_store,
                max_voices=max_voices,
                max_voice_bytes=max_voice_mb * 2**20,
                threads=threads,
                max_batch=max_batch,
            )
        if detached:
            with steps() as report:
                seconds = detach.start(settings, report=report)
            _announce(settings, seconds, end=f"bark-serve down --name {name}")
        else:
            _foreground(settings)


def _foreground(settings: ServerSettings) -> None:
    stop = StopRequest()
    stop.listen(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with steps() as report:

        def ready(server: Server) -> None:
            report.stop()
            _announce(settings, server.canary_seconds, end="Ctrl-C")

        serve(settings, stop=stop, report=report, ready=ready)
    console.print("Stopped.")


def _announce(settings: ServerSettings, canary_seconds: float, *, end: str) -> None:
    console.print(
        f"[green]Up:[/green] gRPC {settings.address}:{settings.grpc_port}, "
        f"HTTP {settings.address}:{settings.http_port}, metrics {settings.address}:{settings.metrics_port}. "
        f"First answer took {canary_seconds:.2f} s.\n"
        f"Log: {escape(str(settings.log_path))}. End it with {end}.",
        soft_wrap=True,
    )


@app.command()
def down(name: Name = "bark") -> None:
    """Stop a server that runs in the background (or in another terminal). Does nothing if it isn't running."""
    with errors_shown(), steps() as report:
        report(f"Stopping {name}")
        ended = detach.end(default_folder().absolute(), name=name)
    console.print("Stopped." if ended else f"No server named {escape(repr(name))} is running.")


@app.command()
def status(
    name: Name = "bark", as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False
) -> None:
    """Show whether a server runs: process, ports, uptime, models, log. Exits with 1 if it does not."""
    found = describe(default_folder().absolute(), name=name)
    if as_json:
        print(json.dumps(found.model_dump(mode="json") if found else None))
    elif found is None:
        console.print(f"No server named {escape(repr(name))} is running. Start one with `bark-serve up`.")
    else:
        table = Table(show_header=False, box=None)
        for label, value in found.rows():
            table.add_row(label, escape(value))
        Console(highlight=False).print(table)
    if found is None:
        raise typer.Exit(1)
