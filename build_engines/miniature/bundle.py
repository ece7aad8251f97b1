"""From trained networks to a bundle: half the bytes, and a voice of each speaker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bark_serving.bundle import Bundle
from bark_serving.spec import NETWORKS, Spec
from bark_serving.voices import Voice
from build_engines.bundles.writer import new_bundle
from build_engines.miniature.clips import Clips
from build_engines.miniature.recipe import GRID_HZ, Recipe

VOICE_SECONDS = (4.0, 6.5)


def write(
    out: Path, clips: Clips, networks: Mapping[str, nn.Module], *, spec: Spec, recipe: Recipe, force: bool
) -> Bundle:
    """Write the bundle, weights in half precision. Raises `OutputError`."""
    with new_bundle(out, force=force) as writer:
        writer.tokenizer(clips.tokenizer.to_str())
        for network in NETWORKS:
            trained = networks["codec" if network == "encodec" else network]
            assert isinstance(trained, nn.Module)
            tensors = {name: tensor.detach().cpu() for name, tensor in trained.state_dict().items()}
            writer.network(network, tensors, spec=spec, dtype=torch.float16)
        for number, speaker in enumerate(recipe.speakers):
            voice = voice_of(clips, speaker=number, codebooks=spec.coarse.codebooks)
            with writer.voice(speaker.name).open("wb") as file:
                np.savez(file, **voice.arrays)
        writer.finish(spec)
    return Bundle(out)


def voice_of(clips: Clips, *, speaker: int, codebooks: int) -> Voice:
    """The first clip of a speaker's that is long enough to be a voice, or else the longest.

    codebooks: of the coarse stage.
    """
    own = [clip for clip in clips.recordings.clips if clip.speaker == speaker]
    low, high = (seconds * GRID_HZ for seconds in VOICE_SECONDS)
    fit = [clip for clip in own if low <= clip.cells <= high]
    clip = fit[0] if fit else max(own, key=lambda clip: clip.cells)
    codes = clips.codes(clip)
    return Voice(clips.units(clip), codes[:codebooks], codes)
