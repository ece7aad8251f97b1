"""The whole utterance: Suno's pipeline, and our variants through a real server's front door, in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bark_client import BarkClient, Speech
from bark_serving.bundle import Bundle
from benchmarks import suno
from benchmarks.results import Fact, Measurement
from benchmarks.servers import MemoryWatch, Target
from benchmarks.tables import SPEED, UTTERANCE
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.variants import Variant
from benchmarks.work import Speaker, Work, check_amount

_Watch = Callable[[str], AbstractContextManager[None]]


def server_name(variant: Variant) -> str:
    """The server that a variant runs on; those that differ in options only share one."""
    return f"{variant.profile} {variant.precision}"


def through_triton(variant: Variant) -> str:
    """The column of a variant that runs in a server."""
    return f"{variant.name}, Triton"


@dataclass(frozen=True, eq=False)
class Utterances:
    """Who speaks: the peers and variants, and how many utterances at once in the throughput case."""

    bundle: Bundle
    peers: Sequence[str]
    variants: Sequence[Variant]
    in_flight: int
    device: str = "cpu"  #: of the peers

    def measure(
        self,
        work: Work,
        warm: Work,
        *,
        servers: Mapping[str, Target],
        repeats: int,
        on_step: Callable[[str], None],
    ) -> list[Measurement]:
        """Seconds and audio seconds a second of everyone, stage times and peak memory of the servers."""
        peaks: dict[str, int] = {}
        with ExitStack() as stack:
            subjects = self._subjects(work, warm, servers, peaks, stack)
            samples = in_turns(subjects, repeats=repeats, on_run=lambda label: on_step(f"utterance: {label}"))
        measurements = [
            one
            for name, metrics in samples.items()
            for one in self._measurements(name, metrics, audio_seconds=work.seconds(self.bundle.spec))
        ]
        return measurements + [_peak(name, size) for name, size in peaks.items()]

    def _subjects(
        self, work: Work, warm: Work, servers: Mapping[str, Target], peaks: dict[str, int], stack: ExitStack
    ) -> list[Subject]:
        subjects: list[Subject] = []
        if suno.NAME in self.peers:
            run = stack.enter_context(suno.opened(self.bundle, device=self.device))
            subjects.append(Subject(suno.NAME, lambda: _chain(run, work), warm=lambda: _chain(run, warm)))
        clients = {name: stack.enter_context(BarkClient(target.url)) for name, target in servers.items()}
        for variant in self.variants:
            if server_name(variant) in clients:
                speak = _speaker(self.bundle, variant, clients[server_name(variant)])
                watch = partial(_watched, servers[server_name(variant)], peaks)
                subjects += self._spoken(variant, speak, watch, work, warm)
        return subjects

    def _spoken(
        self, variant: Variant, speak: Callable[[Work, int], Speech], watch: _Watch, work: Work, warm: Work
    ) -> list[Subject]:
        name = through_triton(variant)
        at_once = f"{name}, {self.in_flight} at once"

        def one() -> Mapping[str, float]:
            with watch(name):
                timings = speak(work, 0).timings
            stages = {f"{stage} stage": time.seconds for stage, time in timings.stages.items()}
            return {**stages, "first audio": timings.first_audio_seconds or 0.0}

        def several() -> None:
            with watch(at_once), ThreadPoolExecutor(self.in_flight) as pool:
                list(pool.map(lambda seed: speak(work, seed), range(self.in_flight)))

        alone = Subject(name, one, warm=lambda: speak(warm, 0))
        return [alone, Subject(at_once, several)] if self.in_flight > 1 else [alone]

    def _measurements(
        self, name: str, metrics: Mapping[str, Sequence[float]], *, audio_seconds: float
    ) -> list[Measurement]:
        at_once = self.in_flight if name.endswith("at once") else 1
        facts: dict[str, Fact] = {"audio_seconds": round(audio_seconds, 3), "at_once": at_once}
        speeds = tuple(at_once * audio_seconds / seconds for seconds in metrics[SECONDS])
        measurements = [
            Measurement(case=UTTERANCE, subject=name, metric=metric, samples=tuple(values), facts=facts)
            for metric, values in metrics.items()
        ]
        speed = Measurement(
            case=UTTERANCE, subject=name, metric=SPEED, unit="×", better="higher", samples=speeds, facts=facts
        )
        return [*measurements, speed]


@contextmanager
def _watched(target: Target, peaks: dict[str, int], name: str) -> Iterator[None]:
    """Keep a server's peak memory in the block's first run; later ones begin with what others have left."""
    if name in peaks:
        yield
        return
    with MemoryWatch(target) as watch:
        yield
    if watch.peak:
        peaks[name] = watch.peak


def _chain(run: Callable[[str, Work], Any], work: Work) -> None:
    """Suno's stages one after the other, each given what the one before it made."""
    semantic = np.asarray(run("semantic", work), np.int32)
    coarse = np.asarray(run("coarse", replace(work, semantic=semantic)), np.int32)
    fine = np.asarray(run("fine", replace(work, coarse=coarse)), np.int32)
    run("encodec_decode", replace(work, fine=fine))


def _speaker(bundle: Bundle, variant: Variant, client: BarkClient) -> Callable[[Work, int], Speech]:
    """A function that has the server speak a work with a seed, and makes sure that all of it came."""
    speaker = Speaker(bundle, options=variant.options(bundle.spec))
    sizes = bundle.spec.encodec

    def speak(work: Work, seed: int) -> Speech:
        inputs = speaker.request_inputs(work, seed=seed)
        text = inputs.pop("text")
        speech = client.speak(text, split_sentences=False, **inputs)
        made = speech.samples.size // sizes.samples_per_frame
        if made != work.frames:
            check_amount("coarse", made * bundle.spec.coarse.codebooks, work)
        return speech

    return speak


def _peak(name: str, size: int) -> Measurement:
    gigabytes = round(size / 1e9, 3)
    return Measurement(case="peak memory", subject=name, metric="memory", unit="GB", samples=(gigabytes,))
