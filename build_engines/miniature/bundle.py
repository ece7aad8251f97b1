"""From trained networks to a bundle: weights in half precision, and one voice per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bark_serving.bundle import Bundle
from bark_serving.spec import NETWORKS, Network, Spec
from bark_serving.voices import Voice
from build_engines.bundles.writer import new_bundle
from build_engines.miniature.clips import Clips
from build_engines.miniature.recipe import GRID_HZ, Recipe

VOICE_S = (4.0, 6.5)  #: preferred length of a voice, from and to


def write(
    out: Path, clips: Clips, networks: Mapping[Network, nn.Module], *, spec: Spec, recipe: Recipe, force: bool
) -> Bundle:
    """Write the bundle, weights in half precision. Raises `OutputError`."""
    with new_bundle(out, force=force) as writer:
        writer.tokenizer(clips.tokenizer.to_str())
        for network in NETWORKS:
            tensors = {name: tensor.detach().cpu() for name, tensor in networks[network].state_dict().items()}
            writer.network(network, tensors, spec=spec, dtype=torch.float16)
        for number, speaker in enumerate(recipe.speakers):
            voice = voice_of(clips, speaker=number, codebooks=spec.coarse.codebooks)
            with writer.voice(speaker.name).open("wb") as file:
                np.savez(file, **voice.arrays)
        writer.finish(spec)
    return Bundle(out)


def voice_of(clips: Clips, *, speaker: int, codebooks: int) -> Voice:
    """The speaker's first clip of a length within `VOICE_S`. If there is none: the speaker's longest clip.

    codebooks: how many the coarse stage has.
    """
    own = [clip for clip in clips.recordings.clips if clip.speaker == speaker]
    shortest, longest = (seconds * GRID_HZ for seconds in VOICE_S)
    suitable = [clip for clip in own if shortest <= clip.cells <= longest]
    clip = suitable[0] if suitable else max(own, key=lambda clip: clip.cells)
    codes = clips.codes(clip)
    return Voice(clips.units(clip), codes[:codebooks], codes)
