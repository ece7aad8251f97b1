"""Judges a take of a piece: did speech end by itself, is its length plausible, is it speech at all?

What can be judged on semantic tokens is judged before the coarse stage begins. So a take that fails there costs a
third of its time, and none of its audio has left.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats, Ids
from bark_serving.spec import GuardSpec

#: What a take is. All but the first have failed; a later one is worse.
Verdict = Literal["good", "short", "long", "cut", "babble", "loop", "drone", "silent", "empty"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

MIN_LOOP_PERIOD = 2  #: tokens
MIN_REPEATS_S = 1.0  #: of speech, below which the share of repeats tells nothing
MIN_CHANGE_S = 0.5  #: of audio, below which the change of its spectrum tells nothing
FRAME_S = 0.02  #: of the spectra that `change_db` compares
LOUDEST_S = 0.1  #: the stretch whose level `level_dbfs` gives
BANDS = 16  #: of the spectra, equal on a logarithmic scale
QUIET_DB = 40.0  #: frames that are that much below the loudest one are pauses


def worse(one: Verdict, other: Verdict) -> Verdict:
    """The worse one of two verdicts."""
    return max(one, other, key=VERDICTS.index)


def judge_tokens(semantic: Ids, *, ended: bool, expected_s: float, rate_hz: float, limits: GuardSpec) -> Verdict:
    """Judge [n] semantic tokens. ended: by themselves. expected_s: the seconds that the text should take."""
    if not len(semantic):
        return "empty"
    seconds, repeats = len(semantic) / rate_hz, repeat_share(semantic)
    told = seconds >= MIN_REPEATS_S
    loop = loop_share(semantic, max_period=round(limits.loop_s * rate_hz))
    if loop > limits.max_loop or (told and repeats > limits.max_repeats):
        return "loop"
    if told and repeats < limits.min_repeats:
        return "babble"
    if not ended:
        return "cut"
    if seconds < limits.min_pace * expected_s:
        return "short"
    return "long" if seconds > limits.max_pace * expected_s + limits.slack_s else "good"


def judge_audio(audio: Floats, *, sample_rate: int, limits: GuardSpec) -> Verdict:
    """Judge [n] samples of a take."""
    if not len(audio):
        return "empty"
    if level_dbfs(audio, sample_rate=sample_rate) < limits.min_level_dbfs:
        return "silent"
    long_enough = len(audio) >= MIN_CHANGE_S * sample_rate
    if long_enough and change_db(audio, sample_rate=sample_rate) < limits.min_change_db:
        return "drone"
    return "good"


def repeat_share(tokens: Ids) -> float:
    """The share of tokens that equal the token before: a sound takes several tokens, a random choice takes one."""
    return float((tokens[1:] == tokens[:-1]).mean()) if len(tokens) > 1 else 0.0


def loop_share(tokens: Ids, *, max_period: int) -> float:
    """The largest share of the tokens that equal the token one period earlier, over all periods.

    A token that equals the one before it is left out first, because a pause is no loop. Only stretches of at least one
    whole period count: single tokens equal an earlier one by chance.
    """
    changes = tokens[np.concatenate([[True], tokens[1:] != tokens[:-1]])] if len(tokens) else tokens
    most = 0
    for period in range(MIN_LOOP_PERIOD, min(max_period, len(changes) // 2) + 1):
        same = changes[period:] == changes[:-period]
        most = max(most, sum(run for run in _runs(same) if run >= max(period, 2 * MIN_LOOP_PERIOD)))
    return most / len(changes) if len(changes) else 0.0


def _runs(same: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The lengths of all stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    lengths: npt.NDArray[np.int64] = edges[1::2] - edges[::2]
    return lengths


def level_dbfs(audio: Floats, *, sample_rate: int) -> float:
    """The level of the loudest `LOUDEST_S` of [n] samples, in dB below a full-scale square wave."""
    size = min(len(audio), round(LOUDEST_S * sample_rate))
    sums = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
    power = (sums[size:] - sums[:-size]).max() / size
    return float(10 * np.log10(max(power, 1e-12)))


def change_db(audio: Floats, *, sample_rate: int) -> float:
    """How much the bands of the spectrum change over time: mean over the bands of their standard deviation in dB.

    Speech changes with every sound. A hum, a tone or a hiss does not, whatever its level does: each frame's bands are
    taken relative to the frame's own level. Pauses do not count.
    """
    bands = _bands_db(audio, sample_rate=sample_rate)
    if len(bands) < 2:
        return float("inf")
    loudness = bands.max(axis=1)
    spoken = bands[loudness > loudness.max() - QUIET_DB]
    return float((spoken - spoken.mean(axis=1, keepdims=True)).std(axis=0).mean()) if len(spoken) > 1 else 0.0


def _bands_db(audio: Floats, *, sample_rate: int) -> npt.NDArray[np.float64]:
    """[frames, BANDS] levels in dB from 100 Hz to half the sample rate."""
    size = round(FRAME_S * sample_rate)
    count = len(audio) // size
    frames = np.asarray(audio[: count * size], np.float64).reshape(count, size) * np.hanning(size)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    edges = np.searchsorted(hertz, np.geomspace(100, sample_rate / 2, BANDS + 1))
    edges = np.maximum.accumulate(np.maximum(edges, np.arange(len(edges)) + edges[0]))
    sums = np.add.reduceat(power, edges[:-1], axis=1)
    levels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(sums, 1e-12))
    return levels
