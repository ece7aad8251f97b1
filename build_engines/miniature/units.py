"""Semantic units: what was said, 50 times a second, whoever said it; k-means over a speech encoder's features.

As in Lakhotia et al., "On Generative Spoken Language Modeling from Raw Audio", 2021, with another encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor

from bark_serving.arrays import Array, Floats, Ids
from build_engines.miniature.recipe import GRID_HZ
from build_engines.miniature.recordings import Clip, Recordings
from build_engines.miniature.teacher import GAP, WHISPER_RATE, WHISPER_SECONDS, starts_of
from build_engines.miniature.training import tensor

#: clips of 16 kHz audio, heard together → features [n / 320, width] of each
Listen = Callable[[Sequence[Floats]], list[Floats]]

UNITS_HZ = 2 * GRID_HZ
ROUNDS = 25
PLACE = 10  #: frames of a hearing whose features have one mean
PLACE_DOUBT = 200  #: frames of mean 0 beside those seen there


def clip_groups(recordings: Recordings) -> Iterator[list[Clip]]:
    """Clips in groups that fit one hearing."""
    group: list[Clip] = []
    used = 0
    for clip in recordings.clips:
        length = clip.cells * UNITS_HZ // GRID_HZ + GAP
        if group and used + length + GAP > WHISPER_SECONDS * UNITS_HZ:
            yield group
            group, used = [], 0
        group.append(clip)
        used += length
    yield group


def extract_features(recordings: Recordings, *, listen: Listen, on_clip: Callable[[int], None]) -> Array:
    """Features [all clips' 50 Hz frames, width] as f16, of variance 1 at most.

    The mean is taken out for every place in a hearing by itself: some dimensions of an encoder tell little but the
    place, and what is left of those is little, too.
    """
    parts: list[Floats] = []
    places: list[Ids] = []
    for group in clip_groups(recordings):
        audio = [soxr.resample(recordings.audio(clip), recordings.rate, WHISPER_RATE) for clip in group]
        heard = listen([np.asarray(clip, np.float32) for clip in audio])
        parts += heard
        for start, part in zip(starts_of([len(part) for part in heard]), heard, strict=False):
            places.append((start + np.arange(len(part))) // PLACE)
        on_clip(len(group))
    return _centred(np.concatenate(parts), np.concatenate(places)).astype(np.float16)


def _centred(features: Floats, places: Ids) -> Floats:
    """Features of mean 0 and variance 1, less the mean of their place as far as that is known."""
    scaled: Floats = (features - features.mean(0)) / (features.std(0) + 1e-5)
    sums = np.zeros((int(places.max()) + 1, features.shape[1]), np.float32)
    np.add.at(sums, places, scaled)
    scaled -= (sums / (np.bincount(places) + PLACE_DOUBT)[:, None])[places]
    return scaled


def k_means(points: Tensor, count: int, *, seed: int, rounds: int = ROUNDS) -> Tensor:
    """Centres [count, width] of points [n, width] by Lloyd's algorithm; one without points moves to a random point."""
    random = torch.Generator("cpu").manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=random, device="cpu")[:count]].clone()
    for _ in range(rounds):
        owner = nearest(points, centres)
        sums = torch.zeros_like(centres).index_add_(0, owner, points)
        sizes = torch.bincount(owner, minlength=len(centres)).float()
        fresh = points[torch.randint(len(points), (len(centres),), generator=random, device="cpu")]
        centres = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp(min=1), fresh)
    return centres


def nearest(points: Tensor, centres: Tensor, *, at_once: int = 65_536) -> Tensor:
    """Index of the closest centre of every point [n, width] → i64 [n]."""
    lengths = centres.pow(2).sum(1) / 2
    return torch.cat([(F.linear(part.float(), centres) - lengths).argmax(1) for part in torch.split(points, at_once)])


def units(features: Array, *, count: int, seed: int, sample: int = 150_000) -> Ids:
    """Semantic tokens [n] of features [n, width]."""
    chosen = np.random.default_rng([seed, 1]).permutation(len(features))[:sample]
    centres = k_means(tensor(features[np.sort(chosen)].astype(np.float32)), count, seed=seed)
    ids: Ids = nearest(tensor(features), centres).cpu().numpy().astype(np.int32)
    return ids
