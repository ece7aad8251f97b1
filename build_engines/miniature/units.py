"""Semantic units, 50 per second: what is said, whoever says it. They are clusters of a speech encoder's features.

The method is that of Lakhotia et al., "On Generative Spoken Language Modeling from Raw Audio", 2021, with another
encoder.
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
from build_engines.miniature.teacher import GAP_FRAMES, WHISPER_HZ, WHISPER_S, starts_of
from build_engines.miniature.training import tensor

#: Clips of 16 kHz audio, processed in one call → features [n / 320, width] of each.
Listen = Callable[[Sequence[Floats]], list[Floats]]

UNITS_HZ = 2 * GRID_HZ
ROUNDS = 25  #: of k-means
#: The encoder's features depend on the position in a call. Each group of this many frames has its own mean.
POSITION_FRAMES = 10
POSITION_PRIOR_FRAMES = 200  #: added to each position with mean 0, so that a mean of few frames counts less
MAX_SAMPLE = 150_000  #: frames that the clusters are computed from


def clip_groups(recordings: Recordings) -> Iterator[list[Clip]]:
    """Consecutive clips in groups, each short enough for one call of the encoder."""
    group: list[Clip] = []
    used = 0
    for clip in recordings.clips:
        length = clip.cells * UNITS_HZ // GRID_HZ + GAP_FRAMES
        if group and used + length + GAP_FRAMES > WHISPER_S * UNITS_HZ:
            yield group
            group, used = [], 0
        group.append(clip)
        used += length
    yield group


def extract_features(recordings: Recordings, *, listen: Listen, on_clip: Callable[[int], None]) -> Array:
    """Features of all clips, end to end: f16 [50 Hz frames, width], of variance at most 1.

    The mean of each position in a call is subtracted. Some dimensions of the encoder depend on little but the position:
    after the subtraction they are small.
    """
    parts: list[Floats] = []
    positions: list[Ids] = []
    for group in clip_groups(recordings):
        audio = [soxr.resample(recordings.audio(clip), recordings.rate, WHISPER_HZ) for clip in group]
        features = listen([np.asarray(clip, np.float32) for clip in audio])
        parts += features
        for start, part in zip(starts_of([len(part) for part in features]), features, strict=False):
            positions.append((start + np.arange(len(part))) // POSITION_FRAMES)
        on_clip(len(group))
    return _centred(np.concatenate(parts), np.concatenate(positions)).astype(np.float16)


def _centred(features: Floats, positions: Ids) -> Floats:
    """Features [n, width] scaled to mean 0 and variance 1, minus the estimated mean of their position [n]."""
    scaled: Floats = (features - features.mean(0)) / (features.std(0) + 1e-5)
    sums = np.zeros((int(positions.max()) + 1, features.shape[1]), np.float32)
    np.add.at(sums, positions, scaled)
    scaled -= (sums / (np.bincount(positions) + POSITION_PRIOR_FRAMES)[:, None])[positions]
    return scaled


def k_means(points: Tensor, count: int, *, seed: int, rounds: int = ROUNDS) -> Tensor:
    """Centres [count, width] of points [n, width] by Lloyd's algorithm. A centre without points gets a random point."""
    random = torch.Generator("cpu").manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=random, device="cpu")[:count]].clone()
    for _ in range(rounds):
        ids = nearest(points, centres)
        sums = torch.zeros_like(centres).index_add_(0, ids, points)
        sizes = torch.bincount(ids, minlength=len(centres)).float()
        random_points = points[torch.randint(len(points), (len(centres),), generator=random, device="cpu")]
        centres = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp(min=1), random_points)
    return centres


def nearest(points: Tensor, centres: Tensor, *, chunk: int = 65_536) -> Tensor:
    """Index of the nearest centre for each point [n, width] → i64 [n]. Computes `chunk` points at a time."""
    lengths = centres.pow(2).sum(1) / 2
    return torch.cat([(F.linear(part.float(), centres) - lengths).argmax(1) for part in torch.split(points, chunk)])


def units(features: Array, *, count: int, seed: int) -> Ids:
    """Semantic tokens i32 [n] of features [n, width]: the ids of `count` clusters."""
    chosen = np.random.default_rng([seed, 1]).permutation(len(features))[:MAX_SAMPLE]
    centres = k_means(tensor(features[np.sort(chosen)].astype(np.float32)), count, seed=seed)
    ids: Ids = nearest(tensor(features), centres).cpu().numpy().astype(np.int32)
    return ids
