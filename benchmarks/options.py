"""Options that several commands share; commands import this module as `opt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from bark_serving.host.cores import usable_cores
from benchmarks.bundles import Size as _Size
from benchmarks.results import DEFAULT_FOLDER

_WHAT, _HOW, _OUT = "What is measured", "How", "Where it goes"

Size: TypeAlias = Annotated[
    _Size,
    typer.Option(
        "--size",
        help="Random weights of this size. tiny: to try a command in a minute; small, large: Bark's true sizes.",
        rich_help_panel=_WHAT,
    ),
]
Bundle: TypeAlias = Annotated[
    Path | None, typer.Option("--bundle", help="A bundle of your own instead of random weights.", rich_help_panel=_WHAT)
]
SpeakingBundle: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--bundle", help="A bundle that speaks English. Default: the trained miniature.", rich_help_panel=_WHAT
    ),
]
Variants: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="A way to run Bark, like 'cpu int8'; may be repeated. Default: all that this machine can run.",
        rich_help_panel=_WHAT,
    ),
]
OneVariant: TypeAlias = Annotated[
    str, typer.Option("--variant", help="How a server of our own runs Bark.", rich_help_panel=_WHAT)
]
Url: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="A server that runs already, host:port of its gRPC. Default: one of our own, of --size and --variant.",
        rich_help_panel=_WHAT,
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads of every column. Default: all cores.", rich_help_panel=_HOW),
]
Repeats: TypeAlias = Annotated[
    int, typer.Option("--repeats", min=1, help="Runs of each column, in turns: A B C A B C …", rich_help_panel=_HOW)
]
Scale: TypeAlias = Annotated[
    float,
    typer.Option(
        "--tokens-scale",
        min=0.001,
        max=1.5,
        help="Scales token counts, for slow machines; the result says so.",
        rich_help_panel=_HOW,
    ),
]


def _checked_device(device: str) -> str:
    """Refuse a GPU that is not there, before anything is prepared."""
    if device == "cuda":
        import torch  # slow to import

        if not torch.cuda.is_available():
            raise typer.BadParameter("torch finds no GPU here; give cpu")
    return device


PeerDevice: TypeAlias = Annotated[
    Literal["cpu", "cuda"],
    typer.Option(
        "--peer-device", callback=_checked_device, help="Where other implementations run.", rich_help_panel=_HOW
    ),
]
Engines: TypeAlias = Annotated[
    Path, typer.Option("--engines", envvar="BARK_ENGINES", help="The engine store.", rich_help_panel=_HOW)
]


def _checked_output(output: Path | None) -> Path | None:
    """Refuse another suffix before anything is measured."""
    if output is not None and output.suffix != ".json":
        raise typer.BadParameter(f"{output} must end in .json")
    return output


Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        callback=_checked_output,
        help="The JSON to write, with a PNG beside it. Default: under build/benchmarks. "
        "Figures to keep go to benchmarks/results.",
        rich_help_panel=_OUT,
    ),
]
ENGINES = Path("build/engines")


def threads_of(threads: int | None) -> int:
    """The given number, else all cores that this process may use."""
    return threads or usable_cores()


def output_of(output: Path | None, command: str, *, what: str) -> Path:
    """Where a result goes."""
    return output or DEFAULT_FOLDER / f"{command}-{what}.json"
