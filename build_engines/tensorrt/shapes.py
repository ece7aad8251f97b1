"""The shapes a plan is built for: minimum, optimum and maximum of each free axis, from what serving sends.

Maxima cost memory on every GPU that runs the plan, even if they never occur. So they are no larger than the largest
request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bark_serving.profiles import PLAN_ROWS, Stage
from bark_serving.spec import Spec
from bark_serving.voices.cloning import hubert_samples, shortest_wave, units_of
from bark_serving.voices.limits import MAX_CLIP_S
from build_engines.export.graphs import Axes

Range = tuple[int, int, int]  #: minimum, optimum, maximum
Shapes = dict[str, Range]  #: by axis label
Extents = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]  #: whole shapes, by input

CLIP_SECONDS = int(MAX_CLIP_S)  #: longest recording that a voice is made from
USUAL_SECONDS = 10  #: what a plan is tuned for
#: Only requests of equal length are batched. Windows of the fine stage always are, sentences and recordings seldom.
FINE_BATCH: Range = (1, 4, 8)
CODEC_BATCH: Range = (1, 1, 2)
GPT_BATCH: Range = (1, 4, PLAN_ROWS)
USUAL_PROMPT = 512  #: positions


def longest_sentence(spec: Spec) -> int:
    """Frames of audio that the longest semantic sequence becomes."""
    return math.ceil(spec.semantic.max_steps * spec.semantic_to_coarse / spec.coarse.codebooks)


def shapes(stage: Stage, spec: Spec) -> Shapes:
    """Ranges of the stage's free axes. The stage is one that TensorRT runs."""
    codec = spec.encodec
    if stage in ("semantic", "coarse"):
        longest = spec.gpt(stage).block_size
        return {"batch": GPT_BATCH, "sequence": (1, min(USUAL_PROMPT, longest), longest)}
    if stage == "fine":
        return {"batch": FINE_BATCH, "window": (spec.fine.window,) * 3}
    if stage == "encodec_decode":
        usual = math.ceil(USUAL_SECONDS * codec.frame_rate_hz)
        longest = max(longest_sentence(spec), math.ceil(CLIP_SECONDS * codec.frame_rate_hz))
        return {"batch": CODEC_BATCH, "frames": (codec.kernel, usual, longest)}
    if stage == "encodec_encode":
        frames = (codec.kernel, *(math.ceil(s * codec.frame_rate_hz) for s in (USUAL_SECONDS, CLIP_SECONDS)))
        shortest, usual, longest = (n * codec.samples_per_frame for n in frames)
        return {"batch": CODEC_BATCH, "samples": (shortest, usual, longest)}
    if stage == "hubert" and spec.hubert is not None:
        units = math.ceil(CLIP_SECONDS * units_of(spec).hz)
        usual = USUAL_SECONDS * spec.hubert.sample_rate
        return {"batch": CODEC_BATCH, "samples": (shortest_wave(spec), usual, hubert_samples(units, spec=spec))}
    raise ValueError(f"{stage} is not a stage that TensorRT runs")


def optimization_profiles(ranges: Shapes) -> Sequence[Shapes]:
    """The ranges of each optimization profile of a plan.

    A GPT has two: one position of many rows, which decodes; and many positions of one row, which is a prefill. Where
    the number of positions is fixed as one, attention reads the cache in place; otherwise it copies the whole cache.
    """
    if "sequence" not in ranges:
        return [ranges]
    one = (1, 1, 1)
    return [{**ranges, "sequence": one}, {**ranges, "batch": one}]


def extents(inputs: Axes, ranges: Shapes) -> Extents:
    """Minimum, optimum and maximum shape of each input: its axes with `ranges` in place of the labels."""

    def shape(axes: tuple[str | int, ...], which: int) -> tuple[int, ...]:
        return tuple(ranges[axis][which] if isinstance(axis, str) else axis for axis in axes)

    return {name: (shape(info.axes, 0), shape(info.axes, 1), shape(info.axes, 2)) for name, info in inputs.items()}
