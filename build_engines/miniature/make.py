"""Makes the miniature step by step. Each step writes a file into the work folder, and is skipped if the file exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, cast

import numpy as np
import torch
from torch import nn

from bark_serving.arrays import Ids
from bark_serving.bundle import Bundle
from bark_serving.files import exclusive
from bark_serving.networks import Encodec, Fine, Gpt, Hubert, build
from bark_serving.spec import Network
from build_engines.bundles.writer import check_target
from build_engines.errors import OutputError
from build_engines.miniature import bundle as bundles
from build_engines.miniature import recordings as recording
from build_engines.miniature.clips import Clips
from build_engines.miniature.codec import CodecLoss, code_table
from build_engines.miniature.expected import expected_table
from build_engines.miniature.init_weights import init_weights
from build_engines.miniature.losses import (
    coarse_loss,
    coarse_times,
    fine_loss,
    hubert_loss,
    semantic_loss,
    semantic_times,
)
from build_engines.miniature.phones import Phone, Speech
from build_engines.miniature.recipe import Recipe, Speaker, Trained, spec_for
from build_engines.miniature.recordings import Recordings
from build_engines.miniature.sentences import letter_tokenizer, sentences, varied
from build_engines.miniature.training import Loss, train

STEPS = (
    "recordings",
    "times",
    "hubert",
    "semantic",
    "codec",
    "codes",
    "coarse",
    "fine",
    "expected",
    "fine_expected",
    "bundle",
)
RECIPE_FILE = "recipe.json"
#: What each training trains. A network that is trained twice ends with the weights of the later one.
_NETWORK: Final[dict[Trained, Network]] = {
    "codec": "encodec",
    "hubert": "hubert",
    "semantic": "semantic",
    "coarse": "coarse",
    "fine": "fine",
    "fine_expected": "fine",
}


class Progress(Protocol):
    """Called with the progress of a step."""

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None: ...


class Teacher(Protocol):
    """Speaks a text, or only says when each of its phones would sound."""

    def __call__(self, text: str, speaker: Speaker) -> Speech: ...

    def time(self, text: str, speaker: Speaker) -> Sequence[Phone]: ...


def make_miniature(
    out: Path,
    *,
    work: Path,
    recipe: Recipe,
    teacher: Callable[[int], Teacher],
    device: str = "cpu",
    until: str = STEPS[-1],
    force: bool = False,
    on_progress: Progress,
) -> Bundle | None:
    """Make the bundle at `out`. Returns None if `until` names a step before the last.

    teacher: loads it. Takes the sample rate of the recordings. Called only by a step that needs it.
    device: torch's name of the device that trains, as in ``cuda``. Another device can continue the work.

    Raises `OutputError` if `work` belongs to another recipe, if another process works there, or if `out` cannot be
    written.
    """
    if until == STEPS[-1]:
        check_target(out, force=force)  # hours before the bundle is written
    maker = _Maker(work, recipe=recipe, teacher=teacher, on_progress=on_progress)
    with _locked(work), torch.device(device):
        for step in STEPS[: STEPS.index(until) + 1]:
            if step == "bundle":
                return bundles.write(out, maker.clips(), maker.networks(), spec=maker.spec, recipe=recipe, force=force)
            maker.run(step)
    return None


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    """Hold the work folder's lock. Raises `OutputError` if another process holds it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(work / ".lock", wait=False))
        except BlockingIOError:
            remedy = "Wait for it, or give another --work."
            raise OutputError(f"Another process is at work in {work}.", remedy=remedy) from None
        yield


class _Maker:
    """The steps in one work folder."""

    def __init__(self, work: Path, *, recipe: Recipe, teacher: Callable[[int], Teacher], on_progress: Progress) -> None:
        self.work = work
        self.recipe = recipe
        self.tokenizer = letter_tokenizer()
        self.spec = recipe.spec or spec_for(recipe, tokens=self.tokenizer.get_vocab_size())
        self._teacher = teacher
        self._progress = on_progress
        self._check_recipe()

    def _check_recipe(self) -> None:
        """Write the recipe into a new work folder. Raises `OutputError` if the folder has another one."""
        self.work.mkdir(parents=True, exist_ok=True)
        path, text = self.work / RECIPE_FILE, self.recipe.model_dump_json(indent=2) + "\n"
        if not path.exists():
            path.write_text(text)
        elif path.read_text() != text:
            raise OutputError(f"{self.work} was begun with another recipe.", remedy="Give another --work.")

    def run(self, step: str) -> None:
        """Run one step before the bundle, unless its file exists."""
        without_training = {
            "recordings": self._record,
            "times": self._time,
            "codes": self._codes,
            "expected": self._expect,
        }
        if step in without_training:
            without_training[step]()
        else:
            self.trained(cast(Trained, step))

    def _record(self) -> None:
        if (self.work / "audio.i16").exists():
            return
        texts, rate = self._texts(), self.spec.encodec.sample_rate
        recording.record(
            self.work,
            texts,
            speak=self._teacher(rate),
            recipe=self.recipe,
            rate=rate,
            on_clip=self._counter("recordings", len(texts)),
        )

    def _texts(self) -> list[str]:
        return sentences(drawn=self.recipe.drawn, seed=self.recipe.seed)

    def recordings(self) -> Recordings:
        return recording.read(self.work, rate=self.spec.encodec.sample_rate)

    def _time(self) -> None:
        if (self.work / "timed.json").exists():
            return
        count, longest = self.recipe.timed, self.spec.semantic.text_context
        texts = varied(self._texts(), count=count, longest=longest, seed=self.recipe.seed)
        teacher = self._teacher(self.spec.encodec.sample_rate)
        recording.record_times(
            self.work, texts, time=teacher.time, recipe=self.recipe, on_clip=self._counter("times", count)
        )

    def _codes(self) -> None:
        if (self.work / "codes.npy").exists():
            return
        clips = self.recordings()
        codec = self.trained("codec")
        assert isinstance(codec, Encodec)
        self._save("codes.npy", code_table(codec, clips, on_clip=self._counter("codes", len(clips.clips))))

    def _expect(self) -> None:
        if (self.work / "expected.npy").exists():
            return
        fine, codec, clips = self.trained("fine"), self.trained("codec"), self._expected_clips()
        assert isinstance(fine, Fine) and isinstance(codec, Encodec)
        on_clip = self._counter("expected", len(clips))
        table = expected_table(fine, codec.quantizer.codebooks.detach(), clips, spec=self.spec, on_clip=on_clip)
        self._save("expected.npy", table)

    def _expected_clips(self) -> Clips:
        """The first recordings. The codes that the fine network expects are computed for these only."""
        clips = self.clips()
        first = replace(clips.recordings, clips=clips.recordings.clips[: self.recipe.expected])
        return replace(clips, recordings=first)

    def clips(self) -> Clips:
        codes = self.work / "codes.npy"  # HuBERT and the semantic network are trained before the codes exist
        table = np.load(codes) if codes.exists() else np.empty((0, self.spec.encodec.codebooks), np.int32)
        return Clips(self.recordings(), self.tokenizer, table)

    def _timed_clips(self) -> Clips:
        """All clips with semantic tokens: the recordings, and the clips without audio."""
        spoken = self.recordings()
        every = replace(spoken, clips=spoken.clips + recording.read_times(self.work))
        return Clips(every, self.tokenizer, np.empty((0, self.spec.encodec.codebooks), np.int32))

    def networks(self) -> dict[Network, nn.Module]:
        """The bundle's networks with their final weights."""
        return {network: self.trained(name) for name, network in _NETWORK.items()}

    def trained(self, name: Trained) -> nn.Module:
        """A network with its final weights. Does the rest of its training first."""
        spec, schedule = self.spec, self.recipe.schedule(name)
        torch.manual_seed(self.recipe.seed)
        again = name == "fine_expected"
        network = self.trained("fine") if again else build(_NETWORK[name], spec)
        module: nn.Module = network  # what `train` moves and saves
        loss: Loss
        times = {"semantic": semantic_times(spec), "coarse": coarse_times(spec)}
        match network:
            case Encodec():
                seconds, recordings = self.recipe.codec_seconds, self.recordings()
                codec = CodecLoss(network, recordings, seconds=seconds, batch=schedule.batch, steps=schedule.steps)
                module, loss = codec, codec
            case Hubert() if spec.hubert:
                loss = hubert_loss(network, self.clips(), spec=spec.hubert, batch=schedule.batch)
            case Gpt() if name == "semantic":
                loss = semantic_loss(network, self._timed_clips(), spec=spec, batch=schedule.batch)
            case Gpt():
                loss = coarse_loss(network, self.clips(), spec=spec, batch=schedule.batch)
            case Fine() if again:
                table = np.load(self.work / "expected.npy")
                loss = fine_loss(network, self._expected_clips(), spec=spec, batch=schedule.batch, table=table)
            case Fine():
                loss = fine_loss(network, self.clips(), spec=spec, batch=schedule.batch)
            case _:
                raise AssertionError(name)
        if not again:
            init_weights(network, times=times.get(name))
        train(
            module,
            loss,
            schedule=schedule,
            state=self.work / f"{name}.pt",
            seed=self.recipe.seed,
            on_step=lambda step, value: self._progress(name, step, schedule.steps, f"loss {value:.3f}"),
        )
        return network

    def _counter(self, step: str, total: int) -> Callable[[int], None]:
        """A function that adds to the clips done, and reports them."""
        done = 0

        def count(clips: int) -> None:
            nonlocal done
            done += clips
            self._progress(step, done, total)

        return count

    def _save(self, name: str, table: Ids) -> None:
        part = self.work / f"{name}.part"
        with part.open("wb") as file:
            np.save(file, table)
        part.rename(self.work / name)
