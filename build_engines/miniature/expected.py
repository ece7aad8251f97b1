"""The codes that the fine network expects on average. It learns to say them.

Most codes of the fine codebooks can't be predicted, and a drawn code that is wrong adds noise. The mean of all codes,
weighted by their probabilities, adds none. So the network learns the code nearest to this mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bark_serving.arrays import Ids
from bark_serving.layouts import fine as fine_layout
from bark_serving.networks import Fine
from bark_serving.spec import Spec
from build_engines.miniature.clips import Clips
from build_engines.miniature.k_means import nearest
from build_engines.miniature.training import tensor


def expected_table(fine: Fine, codebooks: Tensor, clips: Clips, *, spec: Spec, on_clip: Callable[[int], None]) -> Ids:
    """`expected_codes` of all clips, end to end: i32 [frames, codebooks]. `on_clip` is told 1 after each clip."""
    tables: list[Ids] = []
    for clip in clips.recordings.clips:
        tables.append(expected_codes(fine, codebooks, clips.codes(clip)[: spec.coarse.codebooks], spec=spec).T)
        on_clip(1)
    return np.concatenate(tables)


@torch.inference_mode()
def expected_codes(fine: Fine, codebooks: Tensor, coarse: Ids, *, spec: Spec) -> Ids:
    """Coarse codes [coarse codebooks, T] → codes [codebooks, T]: in each fine codebook those nearest to the mean.

    codebooks: the codec's, f32 [codebooks, size, dimension].
    """
    frames, size = coarse.shape[1], spec.encodec.codebook_size
    codes, _ = fine_layout.buffer(frames, spec=spec)
    codes[: len(coarse), :frames] = coarse
    for window in fine_layout.windows(frames, spec=spec):
        rows = codes[:, window.start : window.start + spec.fine.window]
        for book in range(len(coarse), len(codes)):
            scores = fine.logits(tensor(rows.astype(np.int64))[None], torch.full((1, 1), book, device=codebooks.device))
            mean = scores[0, window.fill :, :size].softmax(-1) @ codebooks[book]
            rows[book, window.fill :] = nearest(mean, codebooks[book]).cpu().numpy()
    return codes[:, :frames]
