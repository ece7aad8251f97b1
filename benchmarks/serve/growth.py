"""`serve --growth`: how the wall time grows with the length of the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bark_client import BarkClient
from benchmarks.plots import MUTED, colours_of, legend, server_of, tidy, whiskers
from benchmarks.results import Measurement, Result
from benchmarks.statistics import line
from benchmarks.tables import Table, caption, duration, number
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.work import ENDLESS

SENTENCE_S = 5.0
_SENTENCES = (
    "The river is high this morning.",
    "Nobody had expected so much rain.",
    "A boat waits under the old bridge.",
    "Its lamp is still burning.",
    "Somewhere a clock begins to strike.",
    "We count along, and lose our place.",
)
_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24)


@dataclass(frozen=True)
class Lengths:
    """The lengths of the texts, and how often each text is spoken."""

    longest_s: float  #: seconds of speech of the longest text
    repeats: int
    one_by_one: bool  #: decode one sentence at a time

    @property
    def counts(self) -> list[int]:
        """The number of sentences of each text."""
        longest = max(1, round(self.longest_s / SENTENCE_S))
        return [*(count for count in _COUNTS if count < longest), longest]

    def step_count(self) -> int:
        return len(self.counts) * self.repeats + 1


def text_of(count: int) -> str:
    """A text of ``count`` sentences."""
    return " ".join(_SENTENCES[index % len(_SENTENCES)] for index in range(count))


def measure(
    client: BarkClient, lengths: Lengths, *, subject: str, options: Mapping[str, Any], on_step: Callable[[str], None]
) -> list[Measurement]:
    """Seconds for a text of each length, lengths in turns. The facts hold the length of the audio."""
    audio: dict[str, float] = {}
    given = {"max_duration": SENTENCE_S, "min_eos_p": ENDLESS, "chain_sentences": lengths.one_by_one, **options}

    def speak(count: int) -> dict[str, float]:
        speech = client.speak(text_of(count), language="en", seed=0, **given)
        audio[_case(count)] = speech.seconds
        return {"first audio": speech.timings.first_audio_seconds or 0.0}

    subjects = [Subject(_case(count), partial(speak, count)) for count in lengths.counts]
    subjects[0] = Subject(subjects[0].name, subjects[0].run, warm=partial(speak, 1))
    samples = in_turns(subjects, repeats=lengths.repeats, on_run=on_step)
    return [
        Measurement(
            case=case,
            subject=subject,
            metric=metric,
            samples=tuple(values),
            facts={"audio_seconds": round(audio[case], 3)},
        )
        for case, metrics in samples.items()
        for metric, values in metrics.items()
        if metric in (SECONDS, "first audio")
    ]


def _case(count: int) -> str:
    return f"{count} sentence" + ("s" if count > 1 else "")


def table(result: Result) -> Table:
    rows = []
    for case in result.cases():
        for subject in result.subjects():
            found = result.find(case=case, subject=subject)
            if found:
                seconds = float(str(found.facts["audio_seconds"]))
                rows.append([case, f"{number(seconds)} s", duration(found.median), number(found.median / seconds)])
    measured = [m for m in result.measurements if m.metric == "seconds"]
    audio = [float(str(m.facts["audio_seconds"])) for m in measured]
    more = []
    if len(set(audio)) > 1:
        fitted = line(audio, [m.median for m in measured])
        slope = f"{number(fitted.slope)} s per second of audio"
        more.append(f"fit: {number(fitted.intercept)} s + {slope}, R² {fitted.r_squared:.4f}")
    return Table(["text", "audio", "wall time", "RTF"], rows, caption(result, more=more))


def plot(result: Result, figure: Any) -> None:
    """Wall time over seconds of audio, with the fitted line. A dashed line marks real time."""
    axes = figure.add_subplot()
    for subject, colour in colours_of(result.subjects()).items():
        found = [m for m in result.measurements if m.subject == subject and m.metric == "seconds"]
        audio = [float(str(m.facts["audio_seconds"])) for m in found]
        axes.errorbar(
            audio, [m.median for m in found], yerr=whiskers(found), fmt="o", color=colour, markersize=5, label=subject
        )
        if len(set(audio)) > 1:
            fitted = line(audio, [m.median for m in found])
            ends = np.array([0, max(audio)])
            label = f"{number(fitted.slope)} s per second of audio, R² {fitted.r_squared:.4f}"
            axes.plot(ends, fitted.intercept + fitted.slope * ends, color=colour, linewidth=1.2, label=label)
        axes.plot([0, max(audio)], [0, max(audio)], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="real time")
    axes.set_xlim(left=0)
    # where Bark is much faster than real time, the dashed line may leave the picture
    axes.set_ylim(0, 1.6 * max(m.high for m in result.measurements if m.metric == "seconds"))
    axes.set_xlabel("seconds of audio")
    axes.set_ylabel("seconds of wall time")
    tidy(axes, f"Wall time over the length of the text: {server_of(result)}")
    legend(axes, loc="upper left")
