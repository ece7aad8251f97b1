"""What the command line shows: a bar while it speaks, tables when it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from bark_client.speech import Chunk, Speech, Timings, VoiceInfo

_LANGUAGES = {
    "en": "English", "de": "German", "es": "Spanish", "fr": "French", "hi": "Hindi", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "tr": "Turkish", "zh": "Chinese",
}  # fmt: skip


class SpeakingProgress:
    """A bar by sentence, with the audio made so far and the live real-time factor."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[sentences]}", style="progress.percentage"),
            TextColumn("{task.fields[account]}", style="cyan"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,  # a log file wants no bar
            transient=True,
            expand=True,
        )
        self._start = time.monotonic()
        self._audio_seconds = 0.0
        self._task: TaskID = self._progress.add_task("speaking", total=None, sentences="", account="")

    def __enter__(self) -> SpeakingProgress:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def advance(self, chunk: Chunk) -> None:
        """Count a chunk in."""
        self._audio_seconds += chunk.seconds
        done = chunk.sentences if chunk.last else chunk.sentence
        self._progress.update(
            self._task,
            total=chunk.sentences,
            completed=done,
            sentences=f"{done}/{chunk.sentences} sentence{'s' * (chunk.sentences > 1)}",
            account=account(seconds=time.monotonic() - self._start, audio_seconds=self._audio_seconds),
        )


def account(*, seconds: float, audio_seconds: float) -> str:
    """`12.3 s of audio, real-time factor 0.41`."""
    factor = f", real-time factor {seconds / audio_seconds:.2f}" if audio_seconds else ""
    return f"{audio_seconds:.1f} s of audio{factor}"


def timings_table(timings: Timings) -> Group:
    """Stage by stage; stages overlap, so their shares are of the work, not of the clock."""
    table = Table("stage")
    for name in ("seconds", "share", "calls", "made", "a second"):
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
    return Group(table, Text(f"{total}; {account(seconds=timings.seconds, audio_seconds=timings.audio_seconds)}"))


def voices_table(voices: Sequence[VoiceInfo]) -> Group:
    """Name, language, length of each voice."""
    table = Table()
    table.add_column("voice", style="bold")
    table.add_column("language")
    table.add_column("semantic tokens", justify="right")
    table.add_column("frames", justify="right")
    for voice in voices:
        language = _LANGUAGES.get(voice.language, voice.language)
        table.add_row(voice.name, language, str(voice.semantic_tokens), str(voice.frames))
    return Group(table, Text(f"{len(voices)} voice{'s' * (len(voices) != 1)}"))


def summary(speech: Speech) -> str:
    """One line on what was made."""
    return f"{account(seconds=speech.timings.seconds, audio_seconds=speech.seconds)}, seed {speech.seed}"
