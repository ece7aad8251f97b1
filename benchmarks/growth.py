"""Wall time over the length of the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bark_client import BarkClient
from benchmarks.results import Measurement
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.work import ENDLESS

SENTENCE_SECONDS = 5.0
_SENTENCES = (
    "The river is high this morning.",
    "Nobody had expected so much rain.",
    "A boat waits under the old bridge.",
    "Its lamp is still burning.",
    "Somewhere a clock begins to strike.",
    "We count along, and lose our place.",
)
_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24)


def sentence_counts(longest: float) -> list[int]:
    """How many sentences the texts have, up to so many seconds of speech."""
    most = max(1, round(longest / SENTENCE_SECONDS))
    return [*(count for count in _COUNTS if count < most), most]


def text_of(count: int) -> str:
    """So many sentences."""
    return " ".join(_SENTENCES[index % len(_SENTENCES)] for index in range(count))


def measure(
    client: BarkClient,
    counts: Sequence[int],
    *,
    subject: str,
    repeats: int,
    options: Mapping[str, Any],
    one_by_one: bool,
    on_step: Callable[[str], None],
) -> list[Measurement]:
    """Seconds for texts of each length, lengths in turns; the audio's true length is among the facts."""
    audio: dict[str, float] = {}
    given = {
        "max_duration": SENTENCE_SECONDS,
        "min_eos_p": ENDLESS,
        "chain_sentences": one_by_one,
        "language": "en",
        "seed": 0,
        **options,
    }

    def speak(count: int) -> dict[str, float]:
        speech = client.speak(text_of(count), **given)
        audio[_case(count)] = speech.seconds
        return {"first audio": speech.timings.first_audio_seconds or 0.0}

    subjects = [Subject(_case(count), partial(speak, count)) for count in counts]
    subjects[0] = Subject(subjects[0].name, subjects[0].run, warm=partial(speak, 1))
    samples = in_turns(subjects, repeats=repeats, on_run=on_step)
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
