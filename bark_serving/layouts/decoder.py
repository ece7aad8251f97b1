"""The codec's decoder, chunk by chunk: which codes a chunk needs, and the state between chunks.

A chunk's audio depends on the LSTM's state and on a few frames before it: `kernel` - 1 frames for the first
convolution, and `context_frames` for the layers after the LSTM. So the state is that of the frame `context_frames`
before a chunk's end. The next chunk begins there, and its first `context_frames` of audio are dropped.
"""

from __future__ import annotations

import numpy as np

from bark_serving.arrays import Floats, Ids
from bark_serving.spec import EncodecSpec


def context_frames(spec: EncodecSpec) -> int:
    """How many earlier frames a sample depends on in the layers after the LSTM."""
    back = spec.last_kernel - 1
    for ratio in reversed(spec.ratios):
        back += sum((spec.residual_kernel - 1) * spec.dilation_growth**i for i in range(spec.residual_layers))
        back = -(-back // ratio) + 1  # a transposed convolution looks one step back
    return back


def least_frames(spec: EncodecSpec) -> int:
    """The least frames that chunks before another one must have together."""
    return spec.kernel - 1 + context_frames(spec) + 1


def state_shape(spec: EncodecSpec) -> tuple[int, int, int]:
    """The shape of the state: hidden and cell values of each layer, [2, layers, width]."""
    return 2, spec.lstm_layers, spec.filters * 2 ** len(spec.ratios)


def first_state(spec: EncodecSpec) -> Floats:
    """The state before the first frame."""
    return np.zeros(state_shape(spec), np.float32)


def chunk_codes(codes: Ids, done: int, *, spec: EncodecSpec) -> tuple[Ids, int]:
    """What the decoder is given for the frames from ``done`` on: (codes, frames of its audio to drop).

    codes: [codebooks, frames], all frames so far. Each must be at least `least_frames` long, and so must ``done``
    unless it is 0. Before the first frame stands the reflection of the first ones, as in Encodec.
    """
    before = spec.kernel - 1
    if done == 0:
        return np.concatenate([codes[:, before:0:-1], codes], axis=1), 0
    context = context_frames(spec)
    return codes[:, done - context - before :], context
