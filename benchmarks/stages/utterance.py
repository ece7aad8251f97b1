"""The whole utterance: Suno's pipeline and our variants, through a Triton server or in this process, in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bark_client import BarkClient
from bark_serving.bundle import Bundle
from bark_serving.speech.stage_client import Caller
from benchmarks.peers import suno
from benchmarks.results import SPEED, UTTERANCE, Fact, Measurement
from benchmarks.servers import MemoryWatch, Target
from benchmarks.turns import SECONDS, Subject, in_turns
from benchmarks.variants import Variant
from benchmarks.work import Speaker, Work, check_amount

_Speak = Callable[[Work, int], Mapping[str, float]]  #: speaks a work with a seed; returns more metrics, in seconds
_Watch = Callable[[str], AbstractContextManager[None]]


def through_triton(variant: Variant) -> str:
    """The subject's name of a variant that runs through Triton."""
    return f"{variant.name}, Triton"


@dataclass(frozen=True, eq=False)
class Utterances:
    """The peers and variants that speak, and the numbers of utterances at once."""

    bundle: Bundle
    peers: Sequence[str]
    variants: Sequence[Variant]
    in_flight: Sequence[int]
    servers: Mapping[str, Target]  #: by `Variant.server_name`; a variant without a server speaks in this process
    open_local: Callable[[Variant], AbstractContextManager[Caller]]
    device: str = "cpu"  #: of the peers

    def measure(self, work: Work, warm: Work, *, repeats: int, on_step: Callable[[str], None]) -> list[Measurement]:
        """Seconds and audio seconds per second of each subject; stage times and peak memory of the servers."""
        peaks: dict[str, int] = {}
        with ExitStack() as stack:
            subjects = self._subjects(work, warm, peaks, stack)
            samples = in_turns(subjects, repeats=repeats, on_run=lambda label: on_step(f"utterance: {label}"))
        seconds = work.seconds(self.bundle.spec)
        measured = [one for name, metrics in samples.items() for one in _measurements(name, metrics, seconds)]
        return measured + [_peak(name, size) for name, size in peaks.items()]

    def _subjects(self, work: Work, warm: Work, peaks: dict[str, int], stack: ExitStack) -> list[Subject]:
        subjects: list[Subject] = []
        for name in self.peers:
            if name in suno.NAMES:
                run = stack.enter_context(suno.load(self.bundle, device=self.device, name=name))
                subjects.append(Subject(name, partial(_chain, run, work), warm=partial(_chain, run, warm)))
        clients = {name: stack.enter_context(BarkClient(target.url)) for name, target in self.servers.items()}
        for variant in self.variants:
            server = variant.server_name
            if server in clients:
                speak = _remote(self.bundle, variant, clients[server])
                watch = partial(_watched, self.servers[server], peaks)
                subjects += self._spoken(through_triton(variant), speak, watch, work, warm)
            else:
                speak = _local(self.bundle, variant, stack.enter_context(self.open_local(variant)))
                subjects += self._spoken(variant.name, speak, lambda _: nullcontext(), work, warm)
        return subjects

    def _spoken(self, name: str, speak: _Speak, watch: _Watch, work: Work, warm: Work) -> list[Subject]:
        def one() -> Mapping[str, float]:
            with watch(name):
                return speak(work, 0)

        def several(count: int) -> None:
            with watch(_at_once(name, count)), ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda seed: speak(work, seed), range(count)))

        counts = [count for count in self.in_flight if count > 1]
        together = [Subject(_at_once(name, count), partial(several, count)) for count in counts]
        return [Subject(name, one, warm=lambda: speak(warm, 0)), *together]


def _at_once(name: str, count: int) -> str:
    return f"{name}, {count} at once"


def _measurements(name: str, metrics: Mapping[str, Sequence[float]], audio_seconds: float) -> list[Measurement]:
    at_once = int(name.split()[-3]) if name.endswith(" at once") else 1
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
    """Record a server's peak memory, but only in the first run: later runs start with memory that others left."""
    if name in peaks:
        yield
        return
    with MemoryWatch(target) as watch:
        yield
    if watch.peak:
        peaks[name] = watch.peak


def _chain(run: Callable[[str, Work], Any], work: Work) -> None:
    """Run Suno's stages one after the other. Each reads the output of the stage before it."""
    semantic = np.asarray(run("semantic", work), np.int32)
    coarse = np.asarray(run("coarse", replace(work, semantic=semantic)), np.int32)
    fine = np.asarray(run("fine", replace(work, coarse=coarse)), np.int32)
    run("encodec_decode", replace(work, fine=fine))


def _remote(bundle: Bundle, variant: Variant, client: BarkClient) -> _Speak:
    """Speak through a server."""
    speaker = Speaker(bundle, options=variant.options(bundle.spec))

    def speak(work: Work, seed: int) -> Mapping[str, float]:
        inputs = speaker.request_inputs(work, seed=seed)
        speech = client.speak(inputs.pop("text"), split_sentences=False, **inputs)
        _check_length(bundle, speech.samples.size, work)
        stages = {f"{stage} stage": time.seconds for stage, time in speech.timings.stages.items()}
        return {**stages, "first audio": speech.timings.first_audio_seconds or 0.0}

    return speak


def _local(bundle: Bundle, variant: Variant, caller: Caller) -> _Speak:
    """Speak in this process."""
    speaker = Speaker(bundle, options=variant.options(bundle.spec))

    def speak(work: Work, seed: int) -> Mapping[str, float]:
        _check_length(bundle, speaker.speak(caller, work, seed=seed)[1].size, work)
        return {}

    return speak


def _check_length(bundle: Bundle, samples: int, work: Work) -> None:
    """Raise `BenchmarkError` if an utterance has not the length of its work."""
    frames = samples // bundle.spec.encodec.samples_per_frame
    if frames != work.frames:
        check_amount("coarse", frames * bundle.spec.coarse.codebooks, work)


def _peak(name: str, size: int) -> Measurement:
    gigabytes = round(size / 1e9, 3)
    return Measurement(case="peak memory", subject=name, metric="memory", unit="GB", samples=(gigabytes,))
