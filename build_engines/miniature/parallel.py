"""The fine network and the HuBERT-shaped tokenizer in training: a whole window or clip at once."""

from __future__ import annotations

import numpy as np
import soxr
import torch.nn.functional as F
from torch import Tensor

from bark_serving.networks import Fine, Hubert
from bark_serving.spec import HubertSpec, Spec
from build_engines.miniature.causal import IGNORED, accuracy, stacked
from build_engines.miniature.clips import Clips
from build_engines.miniature.training import Loss, half, tensor


def fine_loss(network: Fine, clips: Clips, *, spec: Spec, batch: int) -> Loss:
    """All codebooks before one, and that one's history → that codebook of the rest of the window."""
    numbers, books = spec.fine, spec.encodec.codebooks

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        codebooks = random.integers(spec.coarse.codebooks, books, batch)
        windows = np.full((batch, books, numbers.window), numbers.pad_token, np.int64)
        targets = np.full((batch, numbers.window), IGNORED, np.int64)
        for i, clip in enumerate(clips.alike(random, batch)):
            codes = clips.codes(clip)
            start = int(random.integers(0, max(1, codes.shape[1] - numbers.hop)))
            part = codes[:, start : start + numbers.window]
            length = part.shape[1]
            past = int(random.integers(0, min(numbers.max_history, length))) if random.random() < 0.5 else 0
            k = codebooks[i]
            windows[i, :, :length] = part
            windows[i, k:, past:] = numbers.pad_token
            targets[i, past:length] = part[k, past:]
        wanted = tensor(targets)
        with half():
            scores = network.logits(tensor(windows), tensor(codebooks[:, None])).float()
        value = F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return value, {"accuracy": accuracy(scores, wanted)}

    return loss


def hubert_loss(network: Hubert, clips: Clips, *, spec: HubertSpec, batch: int) -> Loss:
    """Audio → the units that the teacher heard in it."""

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = clips.alike(random, batch)
        audio = []
        for clip in chosen:
            samples = soxr.resample(clips.recordings.audio(clip), clips.recordings.rate, spec.sample_rate)
            audio.append(np.asarray(samples * 10 ** random.uniform(-0.5, 0.3), np.float32))
        shortest = min(map(len, audio))
        with half():
            scores = network.scores(tensor(np.stack([samples[:shortest] for samples in audio]))).float()
        wanted = stacked([clips.units(clip)[: scores.shape[1]] for clip in chosen], fill=IGNORED)
        value = F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return value, {"accuracy": accuracy(scores, wanted)}

    return loss
