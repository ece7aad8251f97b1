"""Options that several commands share. Commands import this module as `opt`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from bark_serving.engines.store import DEFAULT_ROOT
from bark_serving.host.cores import usable_cores
from benchmarks.bundles import Size as _Size
from benchmarks.results import DEFAULT_FOLDER

_WHAT, _HOW, _OUT = "What to measure", "How", "Output"

Size: TypeAlias = Annotated[
    _Size,
    typer.Option(
        "--size",
        help="Random weights of this size. tiny: a try takes about a minute. small, large: Bark's true sizes.",
        rich_help_panel=_WHAT,
    ),
]
Bundle: TypeAlias = Annotated[
    Path | None, typer.Option("--bundle", help="A bundle of your own instead of random weights.", rich_help_panel=_WHAT)
]
SpeakingBundle: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--bundle", help="A bundle trained on English. Default: the trained miniature.", rich_help_panel=_WHAT
    ),
]
Variants: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="A way to run Bark, such as 'cpu int8'; may be repeated. Default: all that this machine can run.",
        rich_help_panel=_WHAT,
    ),
]
OneVariant: TypeAlias = Annotated[
    str, typer.Option("--variant", help="How the started server runs Bark.", rich_help_panel=_WHAT)
]
Url: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="host:port (gRPC) of a running server. Default: start one from --size, --bundle and --variant.",
        rich_help_panel=_WHAT,
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, help="CPU threads of each implementation. Default: all cores.", rich_help_panel=_HOW
    ),
]
Repeats: TypeAlias = Annotated[
    int,
    typer.Option("--repeats", min=1, help="Runs of each implementation, in turns: A B C A B C …", rich_help_panel=_HOW),
]
Scale: TypeAlias = Annotated[
    float,
    typer.Option(
        "--tokens-scale",
        min=0.001,
        max=1.5,
        help="Multiply all token counts by this, for slow machines. The result says so.",
        rich_help_panel=_HOW,
    ),
]


def _checked_device(device: str) -> str:
    """Refuse ``cuda`` without a GPU, before any work."""
    if device == "cuda":
        import torch  # slow to import

        if not torch.cuda.is_available():
            raise typer.BadParameter("torch finds no GPU here; use cpu")
    return device


PeerDevice: TypeAlias = Annotated[
    Literal["cpu", "cuda"],
    typer.Option(
        "--peer-device", callback=_checked_device, help="Device of the other implementations.", rich_help_panel=_HOW
    ),
]
Engines: TypeAlias = Annotated[
    Path, typer.Option("--engines", envvar="BARK_ENGINES", help="Folder of the engine store.", rich_help_panel=_HOW)
]


def _checked_output(output: Path | None) -> Path | None:
    """Refuse a suffix other than .json, before any work."""
    if output is not None and output.suffix != ".json":
        raise typer.BadParameter(f"{output} must end in .json")
    return output


Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        callback=_checked_output,
        help="JSON file to write, with a PNG beside it. Default: in build/benchmarks. "
        "Results that you want to commit go to benchmarks/results.",
        rich_help_panel=_OUT,
    ),
]
ENGINES = DEFAULT_ROOT


def threads_of(threads: int | None) -> int:
    """The given number, or else the number of cores that this process may use."""
    return threads or usable_cores()


def known(names: Sequence[str] | None, choices: Iterable[str], option: str) -> list[str]:
    """The names that ``option`` gave, or else all choices. Raises `typer.BadParameter` for a name that is no choice."""
    choices = list(choices)
    for name in names or ():
        if name not in choices:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(choices)}", param_hint=option)
    return list(names or choices)


def output_of(output: Path | None, command: str, *, what: str) -> Path:
    """The file that a result is written to."""
    return output or DEFAULT_FOLDER / f"{command}-{what}.json"
