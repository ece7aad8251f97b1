"""What speed costs: compares every variant with full precision on the same weights, in each stage and in the audio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bark_serving.arrays import Array, Floats, Ids, Ints
from bark_serving.bundle import Bundle, Vocabulary
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import Runtime
from bark_serving.engines.store import EngineStore
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.layouts import fine as fine_layout
from bark_serving.layouts import semantic as semantic_layout
from bark_serving.layouts.coarse import Schedule
from bark_serving.spec import GptStage, Spec
from bark_serving.triton.in_process import InProcess
from bark_serving.voices import Voice
from benchmarks.bundles import open_in_process, open_sampler
from benchmarks.errors import BenchmarkError
from benchmarks.quality import likelihood, mel
from benchmarks.quality.likelihood import Agreement
from benchmarks.results import Measurement
from benchmarks.variants import Variant, reference
from benchmarks.work import SomeStages, Speaker, Work

OTHER_SEED = "fp32, another seed"  #: the same text with another seed: a scale for mel distances
OTHER_CONTEXT = "other context"  #: the share of tokens whose context differs from the reference's
_STEPS = 4  #: progress steps per variant and seed
_Key: TypeAlias = tuple[str, str, str]  #: subject, case, metric


@dataclass(frozen=True, eq=False)
class StageLogits:
    """Logits at every step of the reference's tokens, by stage."""

    semantic: Sequence[Floats]
    coarse: Sequence[Floats]
    fine: Sequence[Floats]


@dataclass(frozen=True, eq=False)
class Trial:
    """The variants to compare, and the work."""

    bundle: Bundle
    variants: Sequence[Variant]
    store: EngineStore
    threads: int
    work: Work
    folder: Path
    seeds: Sequence[int] = (0,)  #: one utterance each

    @property
    def spec(self) -> Spec:
        return self.bundle.spec


def step_count(trial: Trial) -> int:
    return len(trial.seeds) * (_STEPS + 1) + _STEPS * len(trial.variants) * len(trial.seeds)


def measure(trial: Trial, *, on_step: Callable[[str], None]) -> list[Measurement]:
    """Agreement, drift and mel distance of every variant, one sample per seed.

    Speech may end by itself. If two utterances differ in length, the common length is compared.
    """
    samples: dict[_Key, list[float]] = {}
    for seed in trial.seeds:
        for key, value in _one_seed(trial, seed, on_step):
            samples.setdefault(key, []).append(value)
    units = {"agreement": "share", "drift": "nats", "divergence": "nats", "mel distance": "dB"}
    units |= {"same tokens": "share", OTHER_CONTEXT: "share"}
    return [
        Measurement(
            case=case,
            subject=subject,
            metric=metric,
            unit=units[metric],
            better="neither" if metric == OTHER_CONTEXT else "higher" if units[metric] == "share" else "lower",
            samples=tuple(values),
        )
        for (subject, case, metric), values in samples.items()
    ]


def caveats(measurements: Sequence[Measurement]) -> list[str]:
    """Notes for the reader: approximations without effect, and utterances without speech."""
    notes = []
    for case in ("coarse", "fine"):
        contexts = [m for m in measurements if m.case == case and m.metric == OTHER_CONTEXT]
        if unchanged := [m.subject for m in contexts if max(m.samples) == 0]:
            notes.append(
                f"Speech of this length is too short for the {case} windows of {', '.join(map(repr, unchanged))} to "
                "differ from the reference's. These figures do not show their effect: give another --tokens-scale."
            )
    utterances = {m.subject: len(m.samples) for m in measurements if m.case == "audio"}
    seeds = max((len(m.samples) for m in measurements), default=0)
    subjects = dict.fromkeys(m.subject for m in measurements)
    if silent := [subject for subject in subjects if utterances.get(subject, 0) < seeds]:
        notes.append(f"The mel distances of {', '.join(map(repr, silent))} leave out utterances without speech.")
    return notes


def _one_seed(trial: Trial, seed: int, on_step: Callable[[str], None]) -> list[tuple[_Key, float]]:
    exact = reference()
    with ExitStack() as stack:
        on_step(f"{exact.name}: speak")
        caller = stack.enter_context(_open(trial, exact))
        spoken, audio = _speak(trial, exact, caller, seed)
        on_step(f"{OTHER_SEED}: speak")
        _, other = _speak(trial, exact, caller, seed + 1_000_003)
        if not spoken.frames:
            raise BenchmarkError(
                f"{exact.name} generated no speech with seed {seed}.", remedy="Give a trained --bundle."
            )
        logits = _forced_logits(trial, exact, caller, spoken, on_step)
    found = _distance(trial, OTHER_SEED, "audio", audio, other)
    for variant in trial.variants:
        if variant != exact:
            with _open(trial, variant) as other_caller:
                found += _one_variant(trial, variant, other_caller, seed, (spoken, audio, logits), on_step)
    return found


def _one_variant(
    trial: Trial,
    variant: Variant,
    caller: InProcess,
    seed: int,
    expected: tuple[Voice, Floats, StageLogits],
    on_step: Callable[[str], None],
) -> list[tuple[_Key, float]]:
    spoken, audio, expected_logits = expected
    logits = _forced_logits(trial, variant, caller, spoken, on_step)
    on_step(f"{variant.name}: speak")
    own_tokens, own_audio = _speak(trial, variant, caller, seed)
    given = replace(trial.work, semantic=spoken.semantic, coarse=spoken.coarse, fine=spoken.fine)
    last_stages = SomeStages(caller, ["fine", "encodec_decode"], work=given, spec=trial.spec)
    _, fine_audio = _speak(trial, variant, last_stages, seed)
    found: list[tuple[_Key, float]] = []
    for stage, tokens in _token_indices(trial, spoken).items():
        result: Agreement = likelihood.compare(getattr(expected_logits, stage), getattr(logits, stage), tokens)
        found += [((variant.name, stage, name), value) for name, value in vars(result).items()]
        found.append(((variant.name, stage, "same tokens"), _same(getattr(own_tokens, stage), getattr(spoken, stage))))
    if "coarse" in variant.changes:
        found.append(((variant.name, "coarse", OTHER_CONTEXT), _other_context(trial, variant, spoken)))
    if "fine" in variant.changes:
        found.append(((variant.name, "fine", OTHER_CONTEXT), float(spoken.frames < trial.spec.fine.window)))
    found += _distance(trial, variant.name, "audio, same coarse tokens", audio, fine_audio)
    found += _distance(trial, variant.name, "audio", audio, own_audio)
    return found


def _same(one: Ids, other: Ids) -> float:
    """Share of equal tokens in two arrays [..., n], over their common length."""
    count = min(one.shape[-1], other.shape[-1])
    return float(np.mean(one[..., :count] == other[..., :count])) if count else 0.0


def _other_context(trial: Trial, variant: Variant, spoken: Voice) -> float:
    """Share of coarse ids before which the variant's network sees other ids than the reference's."""
    spec = trial.spec
    ids = coarse_layout.flatten(spoken.coarse, spec=spec)
    pairs = (_contexts(one.schedule(spoken.semantic, spec=spec), ids) for one in (reference(), variant))
    return float(np.mean([not np.array_equal(*pair) for pair in zip(*pairs, strict=True)]))


def _contexts(schedule: Schedule, ids: Ids) -> list[Ids]:
    """The ids that the network sees before each of [n] coarse ids."""
    return [
        np.concatenate([schedule.prompt(start, ids), ids[start:at]])
        for start in schedule.starts
        for at in range(start, start + schedule.length(start))
    ]


def _open(trial: Trial, variant: Variant) -> InProcess:
    return open_in_process(trial.bundle, variant, store=trial.store, folder=trial.folder, threads=trial.threads)


def _speak(trial: Trial, variant: Variant, caller: Any, seed: int) -> tuple[Voice, Floats]:
    ending = {"min_eos_p": trial.spec.sampling.min_eos_p}
    speaker = Speaker(trial.bundle, options={**ending, **variant.options(trial.spec)})
    return speaker.speak(caller, trial.work, seed=seed)


def _distance(trial: Trial, subject: str, case: str, one: Floats, other: Floats) -> list[tuple[_Key, float]]:
    """A sample, but for a take that says nothing: it is no likeness."""
    if not len(one) or not len(other):
        return []
    return [((subject, case, "mel distance"), mel.distance(one, other, rate=trial.spec.encodec.sample_rate))]


def _forced_logits(
    trial: Trial, variant: Variant, caller: InProcess, spoken: Voice, on_step: Callable[[str], None]
) -> StageLogits:
    """A variant's logits at every step when it reads the reference's tokens."""
    on_step(f"{variant.name}: semantic")
    semantic = _semantic(trial, variant, spoken)
    on_step(f"{variant.name}: coarse")
    coarse = _coarse(trial, variant, spoken)
    on_step(f"{variant.name}: fine")
    return StageLogits(semantic, coarse, _fine(trial, variant, caller, spoken))


def _runtime(trial: Trial, variant: Variant, stage: GptStage) -> Runtime:
    return open_sampler(trial.bundle, variant, stage, store=trial.store, threads=trial.threads, max_batch=1).runtime


def _semantic(trial: Trial, variant: Variant, spoken: Voice) -> list[Floats]:
    runtime, spec = _runtime(trial, variant, "semantic"), trial.spec.semantic
    tokens = np.array(Vocabulary(trial.bundle.tokenizer).tokenise(trial.work.text), np.int32)
    text, past = semantic_layout.prompt_ids(tokens, spec=spec)
    rows = runtime.embed(text) + runtime.embed(past)
    prompt = np.concatenate([rows, runtime.embed(np.array([spec.infer_token]))]).astype(np.float32)
    rule = rule_of("semantic", trial.spec)
    return likelihood.forced_logits(runtime, prompt, spec.infer_token, spoken.semantic, rule)


def _coarse(trial: Trial, variant: Variant, spoken: Voice) -> list[Floats]:
    spec = trial.spec
    schedule = variant.schedule(spoken.semantic, spec=spec)
    ids = coarse_layout.flatten(spoken.coarse, spec=spec)
    return likelihood.forced_windows(_runtime(trial, variant, "coarse"), schedule, ids, rule_of("coarse", spec))


def _fine(trial: Trial, variant: Variant, caller: InProcess, spoken: Voice) -> list[Floats]:
    """Logits of every predicted codebook and frame, from the last window that predicts the frame."""
    spec = trial.spec
    padding = variant.fine_padding(spec)
    found: list[Floats] = []
    for codebook in range(spec.coarse.codebooks, spec.encodec.codebooks):
        codes, _ = fine_layout.buffer(spoken.frames, spec=spec, padding=padding)
        codes[:codebook, : spoken.frames] = spoken.fine[:codebook]
        for window in fine_layout.windows(spoken.frames, spec=spec, padding=padding):
            rows = codes[:, window.start : window.start + spec.fine.window]
            logits = asyncio.run(caller.call("fine", _fine_inputs(rows, codebook), ["logits"]))["logits"][0]
            found += list(logits[window.fill : window.final - window.start])
    return found


def _fine_inputs(codes: Ids, codebook: int) -> dict[str, Array]:
    return {
        "codes": codes[None],
        "codebook": np.array([[codebook]], np.int32),
        "temperature": np.zeros((1, 1), np.float32),
        "uniforms": np.zeros((1, codes.shape[1]), np.float32),
    }


def _token_indices(trial: Trial, spoken: Voice) -> dict[str, Ints]:
    """The index of each token among the ids allowed at its step, by stage, in the order of `StageLogits`."""
    spec = trial.spec
    flat = coarse_layout.flatten(spoken.coarse, spec=spec)
    windows = fine_layout.windows(spoken.frames, spec=spec)
    fine = [
        spoken.fine[codebook, window.start + window.fill : window.final]
        for codebook in range(spec.coarse.codebooks, spec.encodec.codebooks)
        for window in windows
    ]
    return {
        "semantic": likelihood.indices(rule_of("semantic", spec), spoken.semantic, spec.semantic.infer_token),
        "coarse": likelihood.indices(rule_of("coarse", spec), flat, spec.coarse.infer_token),
        "fine": np.concatenate(fine),
    }
