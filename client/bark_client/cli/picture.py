"""A picture of sound: waveform above, mel-scaled spectrogram below, on one time axis. Needs the `picture` extra."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bark_client.cli.outputs import check_writable
from bark_client.errors import InvalidRequest, MissingExtra
from bark_client.growing import write_whole
from bark_client.playable import Playable

SUFFIXES: Final = (".png", ".svg", ".pdf")
_WINDOW_SAMPLES: Final = 1024  # 43 ms at 24 kHz: resolves the harmonics of a voice
_COLUMNS: Final = 1600  # one per pixel of the picture's width; longer speech gets a longer hop
_ROWS: Final = 512
_TITLE_LETTERS: Final = 98  # of the title's size that fit across the picture
_FLOOR_DB: Final = -80.0
_INK, _MUTED, _WAVE = "#1d2433", "#6b7488", "#5b2a86"


def check(path: str | os.PathLike[str]) -> None:
    """Raise now what would fail after the work: an unknown suffix, no right to write, no matplotlib."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InvalidRequest(f"can't draw {str(path)!r}: the suffix must be one of {', '.join(SUFFIXES)}")
    check_writable(Path(path))
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra(
            "a picture needs matplotlib: pip install './client[picture]' in the checkout of bark-triton"
        ) from None


def draw(sound: Playable, path: str | os.PathLike[str]) -> Path:
    """Draw a speech, or a voice's preview, to a PNG, SVG or PDF file."""
    check(path)
    if sound.samples.size == 0:
        raise InvalidRequest("there is no audio to draw")
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(hspace=0.02, h_pad=0.06, w_pad=0.06)
    figure = Figure(figsize=(10, 5), dpi=160, facecolor="white", layout=layout)
    wave, spectrum = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.2))
    _draw_waveform(wave, sound)
    image = _draw_spectrogram(spectrum, sound)
    _draw_colour_bar(figure, image, spectrum)
    for axes, ink in ((wave, _MUTED), (spectrum, "white")):
        _tidy(axes)
        for start in sound.sentence_starts[1:]:
            axes.axvline(start, color=ink, alpha=0.7, linewidth=0.8, linestyle=(0, (3, 3)))
    spectrum.set_xlim(0, sound.seconds)
    target = Path(path)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=target.suffix.lower().removeprefix("."))
    write_whole(target, buffer.getvalue())
    return target


def spectrogram(samples: NDArray[np.float32], *, hop: int, window: int = _WINDOW_SAMPLES) -> NDArray[np.float32]:
    """Power in dB below the loudest bin, [window // 2 + 1, frames]; Hann window, frames centred on k·hop."""
    padded = np.pad(samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), axis=1)) ** 2
    peak = power.max()
    decibels = 10.0 * np.log10(np.maximum(power, 1e-20) / peak) if peak > 0 else np.full(power.shape, _FLOOR_DB)
    return np.asarray(np.maximum(decibels, _FLOOR_DB).T, dtype=np.float32)


def envelope(samples: NDArray[np.float32], *, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest sample of each of at most `columns` equal parts: a waveform as it is drawn."""
    starts = np.unique(np.linspace(0, samples.size, min(columns, samples.size), endpoint=False).astype(int))
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)


def _draw_waveform(axes: Any, sound: Playable) -> None:
    low, high = envelope(sound.samples, columns=_COLUMNS)
    times = np.linspace(0, sound.seconds, low.size)
    axes.fill_between(times, low, high, color=_WAVE, linewidth=0.4, edgecolor=_WAVE)
    axes.axhline(0, color=_WAVE, linewidth=0.5)
    limit = max(0.05, 1.08 * float(np.abs(sound.samples).max()))
    axes.set_ylim(-limit, limit)
    axes.set_ylabel("amplitude")
    axes.tick_params(axis="x", bottom=False)
    room = int(_TITLE_LETTERS - 0.8 * len(sound.caption))  # the caption is on the same line, in smaller letters
    title = _shortened(sound.title, length=min(70, room))
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=8, parse_math=False)
    axes.set_title(sound.caption, loc="right", fontsize=8.5, color=_MUTED, pad=8)


def _draw_spectrogram(axes: Any, sound: Playable) -> Any:
    hop = max(_WINDOW_SAMPLES // 8, sound.samples.size // _COLUMNS)
    decibels = spectrogram(sound.samples, hop=hop)
    top = sound.sample_rate / 2
    # Rows at equal steps in mel, as the ear hears pitch: this gives the low harmonics more room.
    rows = _hertz(np.linspace(0, _mel(top), _ROWS)) / top * (decibels.shape[0] - 1)
    low = np.minimum(rows.astype(int), decibels.shape[0] - 2)
    part = (rows - low)[:, None]
    image = axes.imshow(
        (1 - part) * decibels[low] + part * decibels[low + 1],
        cmap="magma",
        vmin=_FLOOR_DB,
        vmax=0,
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        extent=(0, decibels.shape[1] * hop / sound.sample_rate, 0, _mel(top)),
    )
    ticks = [hertz for hertz in (0, 250, 500, 1000, 2000, 4000, 8000, 12000) if hertz <= top]
    axes.set_yticks([_mel(hertz) for hertz in ticks], [f"{hertz / 1000:g}" for hertz in ticks])
    axes.set_ylabel("frequency (kHz)")
    axes.set_xlabel("time (s)")
    return image


def _draw_colour_bar(figure: Any, image: Any, axes: Any) -> None:
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=30, ticks=range(int(_FLOOR_DB), 1, 20))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=_MUTED, length=0)
    bar.set_label("dB", color=_MUTED, fontsize=9)


def _tidy(axes: Any) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(labelsize=8, colors=_MUTED, length=3)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_MUTED, fontsize=9)


def _shortened(text: str, *, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _mel(hertz: float) -> float:
    """O'Shaughnessy's mel scale."""
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
