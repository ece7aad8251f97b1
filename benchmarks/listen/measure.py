"""Is a bundle's speech understood? Sentences are spoken through a server, and a recogniser transcribes them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bark_client import BarkClient, Speech
from bark_serving.bundle import Bundle
from bark_serving.engines.store import EngineStore
from bark_serving.voices import VoiceLibrary
from benchmarks.bundles import open_in_process
from benchmarks.listen.limits import LAST_STAGES, spoken_from, tokens_of
from benchmarks.results import SPEED, Fact, Measurement
from benchmarks.servers import own_server
from benchmarks.variants import Variant
from reference import recordings
from reference.listener import Heard, Listener, error_rate, pitch, words
from reference.quality import Dnsmos
from reference.recordings import Clip

TEACHER, CODED = "teacher's recordings", "recordings through the codec"
ALL, NO_VOICE = "all", "no voice"
ERRORS, ENTROPY, QUALITY = "word errors", "cross-entropy", "quality"
PITCH, ENDED = "pitch", "ended by themselves"
IN_FLIGHT = 4  #: sentences spoken at once where time is not measured

Clips = Mapping[str, Sequence[Clip]]  #: by speaker: a voice, `NO_VOICE`, or a speaker of the recordings


@dataclass(frozen=True, eq=False)
class Trial:
    """Which variants and voices speak, and which sentences."""

    bundle: Bundle
    variants: Sequence[Variant]
    store: EngineStore
    threads: int
    spoken: Sequence[str]  #: sentences that each voice speaks for the recogniser
    ended: Sequence[str]  #: sentences that the voices speak in turns, to see whether speech ends by itself
    recordings: Clips | None  #: the teacher's, of the first of these sentences
    voices: Sequence[str | None] = field(default=(None,))  #: None: speech without a voice


@dataclass(frozen=True)
class Judges:
    """The models that listen."""

    listener: Listener  #: writes down what it understands
    quality: Dnsmos  #: says how good it sounds


def voices_of(bundle: Bundle) -> list[str | None]:
    """The bundle's voices, and None for speech without one."""
    return [*VoiceLibrary([bundle.voices], spec=bundle.spec).names(), None]


def step_count(trial: Trial) -> int:
    variants = len({variant.server for variant in trial.variants}) + len(trial.variants) * (len(trial.voices) + 2)
    return variants + (3 + len(_stages(trial.bundle)) if trial.recordings else 0)


def measure(trial: Trial, *, judges: Judges, on_step: Callable[[str], None]) -> list[Measurement]:
    """Word errors, quality and pitch of recordings and variants; share of ended sentences and speed of variants."""
    found: list[Measurement] = []
    if trial.recordings:
        on_step(TEACHER)
        found += judge(trial.recordings, TEACHER, judges)
        on_step(CODED)
        coded = recordings.through_codec(trial.recordings, trial.bundle)
        on_step(f"{CODED}: listening")
        found += judge(coded, CODED, judges)
        found += _by_stage(trial, trial.recordings, judges, on_step)
    by_server = sorted(trial.variants, key=lambda variant: variant.server)
    for _, variants in groupby(by_server, key=lambda variant: variant.server):
        found += _one_server(trial, list(variants), judges, on_step)
    order = [TEACHER, CODED, *(_from(stage) for stage in LAST_STAGES), *(variant.name for variant in trial.variants)]
    return sorted(found, key=lambda measurement: order.index(measurement.subject))


def _from(stage: str) -> str:
    return f"recordings' {stage} tokens"


def _by_stage(trial: Trial, clips: Clips, judges: Judges, on_step: Callable[[str], None]) -> list[Measurement]:
    """Word errors if all tokens up to a stage were right: what the stages after it lose."""
    found: list[Measurement] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        open_in_process(
            trial.bundle, trial.variants[0], store=trial.store, folder=Path(folder), threads=trial.threads
        ) as caller,
    ):
        tokens = tokens_of(clips, caller, trial.bundle.spec)
        for stage in _stages(trial.bundle):
            on_step(_from(stage))
            found += judge(spoken_from(stage, tokens, caller, trial.bundle), _from(stage), judges)
    return found


def _stages(bundle: Bundle) -> list[str]:
    """The stages whose right tokens a bundle can tell from a recording."""
    return [stage for stage in LAST_STAGES if stage != "semantic" or bundle.spec.hubert]


def caveats(trial: Trial, measurements: Sequence[Measurement]) -> list[str]:
    """Notes for the reader: recordings that are missing."""
    if not trial.recordings:
        return ["There are no recordings by a teacher to compare with."]
    by_teacher = [m for m in measurements if (m.subject, m.metric) == (TEACHER, ERRORS) and m.case != ALL]
    fewest = min(int(str(m.facts["sentences"])) for m in by_teacher)
    if fewest < len(trial.spoken):
        return [f"There are recordings of {fewest} of the {len(trial.spoken)} sentences."]
    return []


def _one_server(
    trial: Trial, variants: Sequence[Variant], judges: Judges, on_step: Callable[[str], None]
) -> list[Measurement]:
    """Measure variants of the same profile and precision: they differ only in request options."""
    profile, precision = variants[0].profile, variants[0].precision
    on_step(f"{profile} {precision}: starting")
    found: list[Measurement] = []
    server = own_server(trial.bundle, variants[0], store=trial.store, threads=trial.threads)
    with server as target, BarkClient(target.url) as client:
        for variant in variants:
            found += _one_variant(trial, variant, client, judges, on_step)
    return found


def _one_variant(
    trial: Trial, variant: Variant, client: BarkClient, judges: Judges, on_step: Callable[[str], None]
) -> list[Measurement]:
    options = variant.options(trial.bundle.spec)
    clips_by_voice: dict[str, list[Clip]] = {}
    speeds: list[float] = []
    for voice in trial.voices:
        on_step(f"{variant.name}: {voice or NO_VOICE}")
        clips = clips_by_voice.setdefault(voice or NO_VOICE, [])
        for seed, text in enumerate(trial.spoken):
            started = time.perf_counter()
            speech = client.speak(text, voice=voice, seed=seed, language="en", retries=0, **options)
            speeds.append(speech.seconds / (time.perf_counter() - started))
            clips.append(clip_of(speech))
    on_step(f"{variant.name}: do sentences end")
    ends = [ended(speech) for speech in speak_all(client, trial.ended, voices=trial.voices, **options)]
    on_step(f"{variant.name}: listening")
    found = judge(clips_by_voice, variant.name, judges)
    found.append(_speed(variant.name, speeds))
    if ends:
        share = sum(ends) / len(ends)
        found.append(_share(ALL, variant.name, ENDED, share, better="higher", sentences=len(ends)))
    return found


def speak_all(
    client: BarkClient, texts: Sequence[str], *, voices: Sequence[str | None], seed: int = 0, **options: Any
) -> list[Speech]:
    """Speak the sentences with the voices in turns and the seeds ``seed``, ``seed`` + 1, …; `IN_FLIGHT` at once.

    Each is spoken once, even if the guard finds that it failed: the network is measured, not the guard.
    """

    def speak(number: int, text: str, voice: str | None) -> Speech:
        return client.speak(text, voice=voice, seed=seed + number, language="en", **{"retries": 0, **options})

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        return list(pool.map(speak, range(len(texts)), texts, cycle(voices)))


def clip_of(speech: Speech) -> Clip:
    return Clip(speech.text, speech.samples, speech.sample_rate)


def ended(speech: Speech) -> bool:
    """Whether there is speech, and it ended by itself before the longest duration of a sentence."""
    return bool(speech.samples.size) and not any(" was cut at " in warning for warning in speech.warnings)


def write_down(clips: Sequence[Clip], listener: Listener) -> list[Heard]:
    """The text of each clip, and what the recogniser understood."""
    return [Heard(clip.text, listener.write_down(clip.samples, rate=clip.rate)) for clip in clips]


def cross_entropies(clips: Sequence[Clip], listener: Listener) -> list[float]:
    """How unexpected each clip's text is to the recogniser, in nats."""
    return [listener.cross_entropy(clip.samples, clip.text, rate=clip.rate) for clip in clips]


def pitches(clips: Sequence[Clip]) -> list[float]:
    """The median pitch, in Hz, of each clip that has a pitch."""
    found = [pitch(clip.samples, rate=clip.rate) for clip in clips]
    return [hertz for hertz in found if np.isfinite(hertz)]


def judge(clips_by_voice: Clips, subject: str, judges: Judges) -> list[Measurement]:
    """Word errors and cross-entropy of each voice and of all together, quality of all, and the pitch of each voice."""
    heard = {name: write_down(clips, judges.listener) for name, clips in clips_by_voice.items()}
    found = [_errors(ALL, subject, [sentence for sentences in heard.values() for sentence in sentences])]
    nats = {name: cross_entropies(clips, judges.listener) for name, clips in clips_by_voice.items()}
    found.append(_entropy(ALL, subject, [value for values in nats.values() for value in values]))
    opinions = [judges.quality(clip.samples, rate=clip.rate) for clips in clips_by_voice.values() for clip in clips]
    if heard_at_all := tuple(opinion for opinion in opinions if np.isfinite(opinion)):
        found.append(
            Measurement(case=ALL, subject=subject, metric=QUALITY, unit="of 5", better="higher", samples=heard_at_all)
        )
    for name, clips in clips_by_voice.items():
        found.append(_errors(name, subject, heard[name]))
        found.append(_entropy(name, subject, nats[name]))
        hertz = pitches(clips) if name != NO_VOICE else []
        if hertz:
            found.append(
                Measurement(case=name, subject=subject, metric=PITCH, unit="Hz", better="neither", samples=tuple(hertz))
            )
    return found


def _errors(case: str, subject: str, heard: Sequence[Heard]) -> Measurement:
    count = sum(len(words(one.said)) for one in heard)
    return _share(case, subject, ERRORS, error_rate(heard), sentences=len(heard), words=count)


def _entropy(case: str, subject: str, nats: Sequence[float]) -> Measurement:
    """The mean of sentences. A median would hide the few sentences that are hard to understand."""
    error = float(np.std(nats) / len(nats) ** 0.5)
    facts: dict[str, Fact] = {"sentences": len(nats), "standard error": error}
    mean = float(np.mean(nats))
    return Measurement(case=case, subject=subject, metric=ENTROPY, unit="nats", samples=(mean,), facts=facts)


def _share(
    case: str, subject: str, metric: str, share: float, *, better: Literal["lower", "higher"] = "lower", **facts: Fact
) -> Measurement:
    """Measurement of a share, 0 to 1."""
    return Measurement(
        case=case, subject=subject, metric=metric, unit="share", better=better, samples=(share,), facts=facts
    )


def _speed(subject: str, speeds: Sequence[float]) -> Measurement:
    """Seconds of audio per second, one sentence at a time."""
    return Measurement(case=ALL, subject=subject, metric=SPEED, unit="×", better="higher", samples=tuple(speeds))
