"""``bark-serve``: render a model repository, run a Triton server on it, show and stop the servers that run."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bark_serving import __version__
from bark_serving.bundle import MINIATURE
from bark_serving.cli.console import Commands, Lines, console, errors_shown, print_warning, steps
from bark_serving.cli.options import changed_options, with_render_options
from bark_serving.errors import UserError
from bark_serving.server import Server, ServerSettings, detach, serve, state
from bark_serving.server.process import StopRequest
from bark_serving.server.render_settings import RenderSettings
from bark_serving.server.repository import render
from bark_serving.server.settings import check_name, state_folder
from bark_serving.server.start import prepare
from bark_serving.server.status import COLUMNS, READY, Status, describe, describe_all

app = typer.Typer(
    name="bark-serve",
    cls=Commands,
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


def _print_version(requested: bool) -> None:
    if requested:
        print(f"bark-serve {__version__}")
        raise typer.Exit


@app.callback()
def _bark_serve(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of `bark-serve` itself."""


@app.command("render")
@with_render_options
def render_command(
    settings: RenderSettings,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to make.")] = Path("build/repository/bark"),
) -> None:
    """Write the model repository that Triton loads: one folder per model.

    `bark-serve up` does this by itself. Use this command to look at the result, or to run tritonserver some other way.

    Example: `bark-serve render --bundle build/bundles/bark-small --precision fp32 -o build/repository/exact`
    """
    print(render(settings, output=output))


@app.command()
@with_render_options
def up(
    settings: RenderSettings,
    repository: Annotated[
        Path | None, typer.Option(help="Serve this rendered repository instead of rendering one from a bundle.")
    ] = None,
    build: Annotated[bool, typer.Option("--build", help="Build the engines that are missing first.")] = False,
    name: Annotated[str, typer.Option(help="The server's name. Servers with other names can run beside it.")] = "bark",
    address: Annotated[
        str,
        typer.Option(
            help="Where Triton listens: an IPv4 address, or a name that has one; 0.0.0.0: all addresses of this "
            "machine. Triton has no keys. With --gateway it stays on loopback."
        ),
    ] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="HTTP port.")] = 8000,
    grpc_port: Annotated[int, typer.Option(help="gRPC port; clients of `bark` use this one.")] = 8001,
    metrics_port: Annotated[int, typer.Option(help="Port of the Prometheus metrics.")] = 8002,
    triton: Annotated[
        Path | None, typer.Option(help="The tritonserver binary. Default: the wheel's, else the one on PATH.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="Log file. Default: NAME.log in the folder of server state.")] = None,
    start_timeout: Annotated[float, typer.Option(help="Seconds that starting may take.")] = 300.0,
    grace: Annotated[
        float, typer.Option(help="Seconds that running requests get to end when the server is told to stop.")
    ] = 10.0,
    stop_timeout: Annotated[
        float, typer.Option(help="Seconds after these that stopping may take before it is forced.")
    ] = 15.0,
    gateway: Annotated[
        bool,
        typer.Option(
            "--gateway",
            help="Run the gateway beside it: OpenAI's interface, on BARK_GATEWAY_PORT (8080) of BARK_GATEWAY_ADDRESS "
            "(127.0.0.1).",
        ),
    ] = False,
    detached: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once the server answers; end it with `bark-serve down`.")
    ] = False,
) -> None:
    """Start a server and wait until it really answers; Ctrl-C stops it.

    Renders the repository, starts Triton, and has it speak a word before it counts as up. While it runs, models are
    reloaded if their process dies or hangs, and Triton is started again if it does. When it is told to stop, it refuses
    new requests and lets the running ones end for a while; a second Ctrl-C or SIGTERM cuts them off.

    The state and the log are kept in $BARK_STATE, else in ~/.local/state/bark-triton.

    Without a terminal, as in a container, the warnings and errors of Triton's log are printed on stdout, too.

    Example: `bark-serve up --bundle build/bundles/bark-small --build --detach`
    """
    if repository and (ignored := [*changed_options(settings), *(["--build"] if build else [])]):
        raise typer.BadParameter(
            f"{repository} is served as it was rendered. Leave {', '.join(ignored)} out.", param_hint="--repository"
        )
    server = ServerSettings(
        name=name,
        repository=repository or Path("build/repository") / name,
        address=address,
        http_port=http_port,
        grpc_port=grpc_port,
        metrics_port=metrics_port,
        triton=triton,
        log=log,
        start_timeout=start_timeout,
        grace=grace,
        stop_timeout=stop_timeout,
        gateway=gateway,
    )
    if repository is None and settings.bundle == MINIATURE:
        console.print(_ABOUT_THE_MINIATURE, soft_wrap=True)
    server = prepare(server, None if repository else settings, build=build, warn=print_warning)
    if detached:
        with steps() as report:
            seconds, url = detach.start(server, report=report)
        _announce(server, seconds, end=f"bark-serve down {name}", gateway_url=url)
    else:
        _foreground(server)


def _foreground(settings: ServerSettings) -> None:
    stop = StopRequest()
    stop.listen(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with steps() as report:

        def ready(server: Server) -> None:
            report.stop()
            _announce(settings, server.canary_seconds, end="Ctrl-C", gateway_url=server.gateway_url)

        serve(settings, stop=stop, report=report, ready=ready, show=None if sys.stdout.isatty() else _show)
    console.print("Stopped.")


def _show(line: str) -> None:
    """Print a line of Triton's log at once. In a container this is what `docker logs` has."""
    print(line, flush=True)


def _announce(settings: ServerSettings, canary_seconds: float, *, end: str, gateway_url: str) -> None:
    if gateway_url:
        console.print(f"[green]Up:[/green] the gateway, {escape(gateway_url)}", soft_wrap=True)
    console.print(
        f"[green]Up:[/green] gRPC {settings.address}:{settings.grpc_port}, "
        f"HTTP {settings.address}:{settings.http_port}, metrics {settings.address}:{settings.metrics_port}. "
        f"First answer took {canary_seconds:.2f} s.\n"
        f"Log: {escape(str(settings.log_path))}. End it with {end}.",
        soft_wrap=True,
    )


def _check_name(name: str | None) -> str | None:
    try:
        return name if name is None else check_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


NameArgument = Annotated[str | None, typer.Argument(metavar="[NAME]", callback=_check_name, help="The server's name.")]
NameOption = Annotated[str | None, typer.Option("--name", callback=_check_name, help="The same as NAME.")]


def _one_name(argument: str | None, option: str | None, *, every: bool = False) -> str | None:
    """The name that NAME or --name gives. Raises `typer.BadParameter` if they, or --all, contradict each other."""
    if argument and option and argument != option:
        raise typer.BadParameter(f"NAME is {argument!r}, and --name is {option!r}. Give one of them.")
    name = argument or option
    if name and every:
        raise typer.BadParameter(f"{name!r} is one server, and --all is every one. Give one of them.")
    return name


@app.command()
def down(
    name: NameArgument = None,
    name_option: NameOption = None,
    every: Annotated[bool, typer.Option("--all", help="Stop every server that runs.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Cut running requests off instead of letting them end.")] = False,
) -> None:
    """Stop a server that runs in the background or in another terminal. Without NAME: the only one that runs.

    Does nothing if the server does not run.
    """
    folder, name = state_folder(), _one_name(name, name_option, every=every)
    with errors_shown(), steps() as report:
        for one in [name] if name else _names_to_stop(folder, every=every):
            if detach.end(folder, name=one, report=report, now=now):
                console.print(f"Stopped {one}.")
            else:
                console.print(f"No server named {escape(repr(one))} is running.{_others_running(folder)}")


def _others_running(folder: Path) -> str:
    names = [found.settings.name for found in state.running_servers(folder)]
    return f" Running: {', '.join(names)}." if names else ""


def _names_to_stop(folder: Path, *, every: bool) -> list[str]:
    """The names of all servers that run. Raises `UserError` if several run and `every` is false."""
    names = [found.settings.name for found in state.running_servers(folder)]
    if not names:
        console.print("No server is running.")
    if len(names) > 1 and not every:
        raise UserError(
            f"Several servers are running: {', '.join(names)}.",
            remedy=f"Name one, as in `bark-serve down {names[0]}`, or stop all with --all.",
        )
    return names


@app.command()
def status(
    name: NameArgument = None,
    name_option: NameOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: one object with NAME, else a list.")] = False,
) -> None:
    """List the servers that run, or show the one called NAME in full.

    The exit status is 1 if there is none, or if one of those shown is not ready. A server is `degraded` while one of
    its models is not ready.
    """
    folder, name = state_folder(), _one_name(name, name_option)
    with errors_shown():
        one = describe(folder, name=name) if name else None
        servers = ([one] if one else []) if name else describe_all(folder)
    if as_json:
        listed = [server.model_dump(mode="json") for server in servers]
        print(json.dumps(listed if not name else listed[0] if listed else None))
    elif servers:
        Lines(highlight=False).print(_table(servers, in_full=bool(name)))
    else:
        which, options = (f"No server named {name!r}", f" --name {name}") if name else ("No server", "")
        said = f"{which} is running.{_others_running(folder)} Start one with `bark-serve up{options}`."
        console.print(escape(said), soft_wrap=True)
    if not servers or any(server.state != READY for server in servers):
        raise typer.Exit(1)


def _table(servers: Sequence[Status], *, in_full: bool) -> Table:
    """One line per server, or one per fact of the first."""
    lines = servers[0].rows() if in_full else [server.cells() for server in servers]
    table = Table(*(() if in_full else COLUMNS), show_header=not in_full, box=None, pad_edge=False)
    for line in lines:
        table.add_row(*map(escape, line))
    return table
