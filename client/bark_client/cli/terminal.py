"""What the command line shows: a progress bar while it speaks, tables at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from bark_client.speech import Summary, Timings
from bark_client.voice import FRAME_RATE_HZ, VoiceInfo, VoicePreview


def account(*, seconds: float, audio_seconds: float) -> str:
    """`12.3 s of audio, real-time factor 0.41`."""
    factor = f", real-time factor {seconds / audio_seconds:.2f}" if audio_seconds else ""
    return f"{audio_seconds:.1f} s of audio{factor}"


def timings_table(timings: Timings) -> Group:
    """One row per stage, with its share of the work of all stages; then the whole, and why the rows exceed it."""
    table = Table("stage")
    for name in ("seconds", "share", "calls", "generated", "per second"):
        table.add_column(name, justify="right")
    work = sum(stage.seconds for stage in timings.stages.values())
    for name, stage in timings.stages.items():
        share = f"{100 * stage.seconds / work:.0f} %" if work else "–"
        rate = f"{stage.count / stage.seconds:,.0f}" if stage.seconds else "–"
        table.add_row(name, f"{stage.seconds:.3f}", share, str(stage.calls), f"{stage.count} {stage.unit}", rate)
    first = timings.first_audio_seconds
    total = f"{timings.seconds:.2f} s in all, " + (
        f"first audio after {first:.2f} s" if first is not None else "no audio"
    )
    lines = [Text(f"{total}; {account(seconds=timings.seconds, audio_seconds=timings.audio_seconds)}")]
    if work > timings.seconds:
        lines.append(
            Text(f"The stages add up to {work:.2f} s because they overlap: several sentences and stages run at once.")
        )
    return Group(table, *lines)


def steps_progress(console: Console) -> Progress:
    """A progress bar for a known number of equal steps."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        expand=True,
    )


def voices_table(voices: Sequence[VoiceInfo]) -> Group:
    """One row per voice."""
    table = Table()
    table.add_column("voice", style="bold", overflow="fold")
    table.add_column("language")
    table.add_column("length", justify="right")
    table.add_column("hash")
    table.add_column("kept")
    for voice in voices:
        table.add_row(voice.name, voice.language_name, f"{voice.seconds:.1f} s", voice.hash[:19], kept(voice))
    return Group(table, Text(f"{len(voices)} voice{'s' * (len(voices) != 1)}"))


def voice_table(preview: VoicePreview, info: VoiceInfo | None) -> Table:
    """One voice in detail; `info` is what the server knows about it, None if it comes from a file."""
    voice = preview.voice
    table = Table(title=Text(preview.name, style="bold"), title_justify="left", show_header=False, box=None)
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    if info is not None:
        table.add_row("language", info.language_name or "not known")
    table.add_row("length", f"{voice.frames / FRAME_RATE_HZ:.1f} s")
    codebooks = voice.fine_prompt.shape[0]
    table.add_row("tokens", f"{voice.semantic_prompt.size} semantic; {voice.frames} frames of {codebooks} codebooks")
    table.add_row("hash", voice.hash)
    if info is not None:
        table.add_row("kept", kept(info))
    return table


def kept(voice: VoiceInfo) -> str:
    """Where a voice comes from: the server's store and since when, or the voices it started with."""
    if not voice.stored:
        return "built in"
    return f"since {voice.created.astimezone():%Y-%m-%d %H:%M}" if voice.created else "in the store"


def summary(speech: Summary) -> str:
    """The length, speed and seed of a speech, on one line."""
    return f"{account(seconds=speech.timings.seconds, audio_seconds=speech.seconds)}, seed {speech.seed}"
