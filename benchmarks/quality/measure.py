"""What speed costs: every variant against full precision on the same weights, stage by stage and by ear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from bark_serving.arrays import Array, Floats, Ids, Ints
from bark_serving.bundle import Bundle, Vocabulary
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import Runtime
from bark_serving.engines.store import EngineStore
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.layouts import fine as fine_layout
from bark_serving.layouts import semantic as semantic_layout
from bark_serving.layouts.coarse import Schedule
from bark_serving.profiles import TABLE
from bark_serving.runtimes.factory import open_gpts
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.spec import GptStage
from bark_serving.triton.in_process import InProcess
from bark_serving.voices import Voice
from benchmarks.bundles import ensure_engines, repository_of
from benchmarks.errors import BenchmarkError
from benchmarks.quality import likelihood, mel
from benchmarks.quality.likelihood import Agreement
from benchmarks.results import Measurement
from benchmarks.variants import Variant, reference
from benchmarks.work import SomeStages, Speaker, Work

OTHER_SEED = "fp32, another seed"  #: how different two takes of one text are: the yardstick of mel distances
OTHER_CONTEXT = "other context"  #: the share of tokens before which a variant sees what the reference does not
_STEPS = 4  #: reported for each variant
_Key: TypeAlias = tuple[str, str, str]  #: subject, case, metric


@dataclass(frozen=True, eq=False)
class Opinions:
    """Logits of every step of the reference's utterance, by stage."""

    semantic: Sequence[Floats]
    coarse: Sequence[Floats]
    fine: Sequence[Floats]


@dataclass(frozen=True, eq=False)
class Trial:
    """What is compared, on what."""

    bundle: Bundle
    variants: Sequence[Variant]
    store: EngineStore
    threads: int
    work: Work
    folder: Path
    seeds: Sequence[int] = (0,)  #: one utterance each


def step_count(trial: Trial) -> int:
    return len(trial.seeds) * (_STEPS + 1) + _STEPS * len(trial.variants) * len(trial.seeds)


def measure(trial: Trial, *, on_step: Callable[[str], None]) -> list[Measurement]:
    """Agreement, drift and mel distance of every variant, a sample a seed.

    Speech may end by itself. Where a variant's is longer or shorter, as much is compared as both have.
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


def doubts(measurements: Sequence[Measurement]) -> list[str]:
    """What a reader must know of the figures: approximations that had nothing to approximate, takes without a word."""
    notes = []
    for case in ("coarse", "fine"):
        contexts = [m for m in measurements if m.case == case and m.metric == OTHER_CONTEXT]
        if alike := [m.subject for m in contexts if max(m.samples) == 0]:
            notes.append(
                f"In speech of this length, the {case} windows of {', '.join(map(repr, alike))} show every token what "
                "the reference's do, so that these figures say nothing of them: give another --tokens-scale."
            )
    takes = {m.subject: len(m.samples) for m in measurements if m.case == "audio"}
    most = max((len(m.samples) for m in measurements), default=0)
    subjects = dict.fromkeys(m.subject for m in measurements)
    if silent := [subject for subject in subjects if takes.get(subject, 0) < most]:
        notes.append(f"Takes of {', '.join(map(repr, silent))} that said nothing are left out of the audio's distance.")
    return notes


def _one_seed(trial: Trial, seed: int, on_step: Callable[[str], None]) -> list[tuple[_Key, float]]:
    exact = reference()
    with ExitStack() as stack:
        on_step(f"{exact.name}: speak")
        caller = stack.enter_context(_open(trial, exact))
        said, audio = _speak(trial, exact, caller, seed)
        on_step(f"{OTHER_SEED}: speak")
        _, other = _speak(trial, exact, caller, seed + 1_000_003)
        if not said.frames:
            raise BenchmarkError(f"{exact.name} said nothing with seed {seed}.", remedy="Give a bundle that speaks.")
        ours = _opinions(trial, exact, caller, said, on_step)
    found = _distance(trial, OTHER_SEED, "audio", audio, other)
    for variant in trial.variants:
        if variant != exact:
            with _open(trial, variant) as theirs:
                found += _one_variant(trial, variant, theirs, seed, (said, audio, ours), on_step)
    return found


def _one_variant(
    trial: Trial,
    variant: Variant,
    caller: InProcess,
    seed: int,
    expected: tuple[Voice, Floats, Opinions],
    on_step: Callable[[str], None],
) -> list[tuple[_Key, float]]:
    said, audio, ours = expected
    theirs = _opinions(trial, variant, caller, said, on_step)
    on_step(f"{variant.name}: speak")
    spoken, sound = _speak(trial, variant, caller, seed)
    given = replace(trial.work, semantic=said.semantic, coarse=said.coarse, fine=said.fine)
    _, fine_sound = _speak(
        trial, variant, SomeStages(caller, ["fine", "encodec_decode"], work=given, spec=_spec(trial)), seed
    )
    found: list[tuple[_Key, float]] = []
    for stage, tokens in _said_indices(trial, said).items():
        result: Agreement = likelihood.compare(getattr(ours, stage), getattr(theirs, stage), tokens)
        found += [((variant.name, stage, name), value) for name, value in vars(result).items()]
        found.append(((variant.name, stage, "same tokens"), _same(getattr(spoken, stage), getattr(said, stage))))
    if "coarse" in variant.changes:
        found.append(((variant.name, "coarse", OTHER_CONTEXT), _other_context(trial, variant, said)))
    if "fine" in variant.changes:
        found.append(((variant.name, "fine", OTHER_CONTEXT), float(_is_padded(trial, said))))
    found += _distance(trial, variant.name, "audio, same coarse tokens", audio, fine_sound)
    found += _distance(trial, variant.name, "audio", audio, sound)
    return found


def _same(one: Ids, other: Ids) -> float:
    """Share of [..., n] tokens that are equal, as far as both go."""
    count = min(one.shape[-1], other.shape[-1])
    return float(np.mean(one[..., :count] == other[..., :count])) if count else 0.0


def _other_context(trial: Trial, variant: Variant, said: Voice) -> float:
    spec = _spec(trial)
    ids = coarse_layout.flatten(said.coarse, spec=spec)
    ours, theirs = (_contexts(one.schedule(said.semantic, spec=spec), ids) for one in (reference(), variant))
    return float(np.mean([not np.array_equal(*pair) for pair in zip(ours, theirs, strict=True)]))


def _is_padded(trial: Trial, said: Voice) -> bool:
    return said.frames < int(_spec(trial).fine.window)


def _contexts(schedule: Schedule, ids: Ids) -> list[Ids]:
    """What is seen before each of [n] coarse ids."""
    return [
        np.concatenate([schedule.prompt(start, ids), ids[start:at]])
        for start in schedule.starts
        for at in range(start, start + schedule.length(start))
    ]


def _spec(trial: Trial) -> Any:
    return trial.bundle.spec


def _open(trial: Trial, variant: Variant) -> InProcess:
    folder = trial.folder / variant.name.replace(" ", "-").replace(",", "")
    return InProcess(repository_of(trial.bundle, variant, store=trial.store, folder=folder, threads=trial.threads))


def _speak(trial: Trial, variant: Variant, caller: Any, seed: int) -> tuple[Voice, Floats]:
    ending = {"min_eos_p": _spec(trial).sampling.min_eos_p}
    speaker = Speaker(trial.bundle, options={**ending, **variant.options(_spec(trial))})
    return speaker.speak(caller, trial.work, seed=seed)


def _distance(trial: Trial, subject: str, case: str, one: Floats, other: Floats) -> list[tuple[_Key, float]]:
    """A sample, but for a take that says nothing: it is no likeness."""
    if not len(one) or not len(other):
        return []
    return [((subject, case, "mel distance"), mel.distance(one, other, rate=_spec(trial).encodec.sample_rate))]


def _opinions(
    trial: Trial, variant: Variant, caller: InProcess, said: Voice, on_step: Callable[[str], None]
) -> Opinions:
    """What a variant thinks of the reference's tokens."""
    on_step(f"{variant.name}: semantic")
    semantic = _semantic(trial, variant, said)
    on_step(f"{variant.name}: coarse")
    coarse = _coarse(trial, variant, said)
    on_step(f"{variant.name}: fine")
    return Opinions(semantic, coarse, _fine(trial, variant, caller, said))


def _runtime(trial: Trial, variant: Variant, stage: GptStage) -> Runtime:
    ensure_engines(trial.bundle, variant, store=trial.store)
    profile, precision = variant.server
    engine = None
    if TABLE[profile].stages[stage].engine:
        engine = trial.store.find(trial.bundle, stage=stage, profile=profile, precision=precision).folder
    device = "cuda:0" if profile == "torch" and torch.cuda.is_available() else "cpu"
    settings = RuntimeSettings(profile, precision, trial.bundle, engine, [device], trial.threads)
    [sampler] = open_gpts(stage, settings, max_batch=1)
    return sampler.runtime


def _semantic(trial: Trial, variant: Variant, said: Voice) -> list[Floats]:
    runtime, numbers = _runtime(trial, variant, "semantic"), _spec(trial).semantic
    tokens = np.array(Vocabulary(trial.bundle.tokenizer).tokenise(trial.work.text), np.int32)
    text, past = semantic_layout.prompt_ids(tokens, spec=numbers)
    rows = runtime.embed(text) + runtime.embed(past)
    prompt = np.concatenate([rows, runtime.embed(np.array([numbers.infer_token]))]).astype(np.float32)
    rule = rule_of("semantic", _spec(trial))
    return likelihood.forced_logits(runtime, prompt, numbers.infer_token, said.semantic, rule)


def _coarse(trial: Trial, variant: Variant, said: Voice) -> list[Floats]:
    spec = _spec(trial)
    schedule = variant.schedule(said.semantic, spec=spec)
    ids = coarse_layout.flatten(said.coarse, spec=spec)
    return likelihood.forced_windows(_runtime(trial, variant, "coarse"), schedule, ids, rule_of("coarse", spec))


def _fine(trial: Trial, variant: Variant, caller: InProcess, said: Voice) -> list[Floats]:
    """Logits of every predicted codebook of every frame of the last window that fills it."""
    spec = _spec(trial)
    padding = variant.fine_padding(spec)
    found: list[Floats] = []
    for codebook in range(spec.coarse.codebooks, spec.encodec.codebooks):
        codes, _ = fine_layout.buffer(said.frames, spec=spec, padding=padding)
        codes[:codebook, : said.frames] = said.fine[:codebook]
        for window in fine_layout.windows(said.frames, spec=spec, padding=padding):
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


def _said_indices(trial: Trial, said: Voice) -> dict[str, Ints]:
    """Where each said token stands among those that could be drawn, by stage, in the order of `Opinions`."""
    spec = _spec(trial)
    flat = coarse_layout.flatten(said.coarse, spec=spec)
    windows = fine_layout.windows(said.frames, spec=spec)
    fine = [
        said.fine[codebook, window.start + window.fill : window.final]
        for codebook in range(spec.coarse.codebooks, spec.encodec.codebooks)
        for window in windows
    ]
    return {
        "semantic": likelihood.indices(rule_of("semantic", spec), said.semantic, spec.semantic.infer_token),
        "coarse": likelihood.indices(rule_of("coarse", spec), flat, spec.coarse.infer_token),
        "fine": np.concatenate(fine),
    }
