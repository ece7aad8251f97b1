"""The losses of HuBERT and of the three transformers.

Prompts and windows are laid out as the server lays them out. One forward pass teaches all positions of a sequence.
"""

from __future__ import annotations

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor

from bark_serving.arrays import Ids
from bark_serving.layouts import coarse as coarse_layout
from bark_serving.layouts import semantic as semantic_layout
from bark_serving.networks import Fine, Gpt, Hubert
from bark_serving.networks.gpt import merge_heads, split_heads
from bark_serving.spec import HubertSpec, Spec
from build_engines.miniature.attention import causal_attention
from build_engines.miniature.clips import Clips
from build_engines.miniature.recordings import Clip
from build_engines.miniature.training import Loss, bfloat16, tensor

IGNORED = -100  #: a target that does not count in the loss
VOICE_SHARE = 0.5  #: share of examples that continue a voice
#: Shares of the input tokens that are replaced by random ones, like the mistakes of a network that generates.
WRONG_UNITS_SHARE, WRONG_CODES_SHARE = 0.1, 0.05
FINE_HISTORY_SHARE = 0.5  #: share of examples of the fine network that have a history
LETTERS_HZ = 15.15  #: mean number of letters per second of the teacher's speech


def hidden(gpt: Gpt, embeddings: Tensor, *, first: int) -> Tensor:
    """Sums of token embeddings [B, S, width] → the head's inputs from `first` on, [B, S - first, width]."""

    def attend(_: int, qkv: Tensor) -> Tensor:
        """Causal attention of a whole sequence over itself: [B, S, 3 × width] → [B, S, width]."""
        query, key, value = (split_heads(part, gpt.spec.heads) for part in qkv.chunk(3, dim=-1))
        return merge_heads(causal_attention(query, key, value))

    x = gpt.transform(embeddings + gpt.position_embedding.weight[: embeddings.shape[1]], attend)
    out: Tensor = gpt.norm(x[:, first:])
    return out


def stacked(rows: list[Ids], *, fill: int) -> Tensor:
    """Rows of several lengths → i64 [B, longest], padded with `fill`."""
    table = np.full((len(rows), max(map(len, rows))), fill, np.int64)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return tensor(table)


def with_mistakes(rows: Ids, random: np.random.Generator, *, share: float, low: int, high: int) -> Ids:
    """Ids [n] with about `share` of them replaced by random ids from `low` to `high` - 1."""
    wrong = random.random(len(rows)) < share
    return np.where(wrong, random.integers(low, high, len(rows)), rows)


def accuracy(scores: Tensor, targets: Tensor) -> float:
    """Share of the targets that have the highest score."""
    counted = targets != IGNORED
    return round(float((scores.argmax(-1) == targets)[counted].float().mean()), 4)


def _times(*parts: tuple[int, float]) -> Tensor:
    """Times of positions, in seconds. Each part is (count, count per second); every part begins at 0."""
    return torch.cat([torch.arange(count) / rate for count, rate in parts])


def semantic_times(spec: Spec) -> Tensor:
    """When each position's token sounds, in seconds: [block_size]. The times of letters are estimates.

    A semantic token counts as the token that it predicts.
    """
    numbers = spec.semantic
    tokens = numbers.gpt.block_size - numbers.text_context
    return _times((numbers.text_context, LETTERS_HZ), (tokens, numbers.rate_hz))


def semantic_loss(gpt: Gpt, clips: Clips, *, spec: Spec, batch: int) -> Loss:
    """From text, and sometimes the end of another clip of the speaker: the clip's semantic tokens and the end token."""
    numbers = spec.semantic

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        texts, pasts, inputs, targets = [], [], [], []
        for clip in clips.similar_length(random, batch):
            voice = clips.units(clips.another_of_speaker(random, clip)) if random.random() < VOICE_SHARE else None
            text, past = semantic_layout.prompt_ids(clips.text(clip), spec=numbers, history=voice)
            units = clips.units(clip)[: numbers.max_steps - 1]
            texts.append(text)
            pasts.append(past)
            inputs.append(with_mistakes(units, random, share=WRONG_UNITS_SHARE, low=0, high=numbers.vocab))
            targets.append(np.append(units, numbers.end_token))
        table = gpt.token_embedding
        prompt = table(tensor(np.stack(texts))) + table(tensor(np.stack(pasts)))
        infer = table(torch.full((len(texts), 1), numbers.infer_token))
        embeddings = torch.cat([prompt, infer, table(stacked(inputs, fill=0))], dim=1)
        expected = stacked(targets, fill=IGNORED)
        with bfloat16():
            scores = gpt.head(hidden(gpt, embeddings, first=numbers.prefill - 1)).float()
        value = F.cross_entropy(scores.flatten(0, 1), expected.flatten(), ignore_index=IGNORED)
        return value, {"accuracy": accuracy(scores, expected)}

    return loss


def coarse_example(clip: Clip, clips: Clips, random: np.random.Generator, *, spec: Spec) -> tuple[Ids, Ids, int]:
    """Semantic tokens [semantic_context], coarse ids of history and window, and how many of these ids are a voice's.

    All windows that begin within the first `max_history` ids see the same tokens at the same positions. So one example
    stands for all of them. Later windows shift tokens and ids by the same time.
    """
    numbers, ratio = spec.coarse, spec.semantic_to_coarse
    voice = clips.another_of_speaker(random, clip) if random.random() < VOICE_SHARE else None
    windows = coarse_layout.schedule(
        clips.units(clip),
        spec=spec,
        semantic_history=clips.units(voice) if voice else None,
        coarse_history=clips.codes(voice)[: numbers.codebooks] if voice else None,
    )
    own = coarse_layout.flatten(clips.codes(clip)[: numbers.codebooks], spec=spec)
    ids = np.concatenate([windows.history, own])
    length = numbers.max_history + numbers.window
    lag = numbers.codebooks if voice else 0  # a voice's codes end one frame before its semantic tokens
    shift = int(random.choice(range(0, max(1, len(ids) - length + numbers.window), numbers.window)))
    start = max(0, shift - lag)
    semantic = np.full(numbers.semantic_context, numbers.semantic_pad, np.int32)
    visible = windows.semantic[round(shift / ratio) :][: numbers.semantic_context]
    semantic[: len(visible)] = visible
    return semantic, ids[start : start + length], max(0, len(windows.history) - start)


def coarse_times(spec: Spec) -> Tensor:
    """When each position's token sounds within a window, in seconds: [block_size].

    A code counts as the code that it predicts.
    """
    numbers = spec.coarse
    codes = numbers.gpt.block_size - numbers.semantic_context
    rate = spec.encodec.frame_rate_hz * numbers.codebooks
    return _times((numbers.semantic_context, spec.semantic.rate_hz), (codes, rate))


def coarse_loss(gpt: Gpt, clips: Clips, *, spec: Spec, batch: int) -> Loss:
    """From semantic tokens and the codes of a voice: the clip's codes of the coarse codebooks, frame by frame.

    Each position learns to choose among the codes of its codebook, as the server lets it.
    """
    numbers, size = spec.coarse, spec.encodec.codebook_size
    books = range(numbers.codebooks)
    firsts = [numbers.offset + book * size for book in books]  # ids of each codebook's first code

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        prompts, inputs, targets = [], [], []
        for clip in clips.similar_length(random, batch):
            semantic, ids, past = coarse_example(clip, clips, random, spec=spec)
            prompts.append(np.append(semantic, numbers.infer_token))
            low, high = numbers.offset, numbers.offset + len(books) * size
            inputs.append(with_mistakes(ids[:-1], random, share=WRONG_CODES_SHARE, low=low, high=high))
            # the voice's own codes are not learnt: they do not belong to the clip's semantic tokens
            targets.append(np.where(np.arange(len(ids)) < past, IGNORED, ids))
        prompt = tensor(np.stack(prompts))
        embeddings = gpt.token_embedding(torch.cat([prompt, stacked(inputs, fill=numbers.semantic_pad)], dim=1))
        expected = stacked(targets, fill=IGNORED)
        with bfloat16():
            read = hidden(gpt, embeddings, first=numbers.semantic_context)
            scores = [
                F.linear(read[:, book :: len(books)], gpt.head.weight[first : first + size]).float().flatten(0, 1)
                for book, first in enumerate(firsts)
            ]
        codes = [_codes(expected[:, book :: len(books)], first).flatten() for book, first in enumerate(firsts)]
        every, right = torch.cat(scores), torch.cat(codes)
        return F.cross_entropy(every, right, ignore_index=IGNORED), {"accuracy": accuracy(every, right)}

    return loss


def _codes(ids: Tensor, first: int) -> Tensor:
    """Codes of coarse ids of one codebook, whose ids begin at `first`. What is ignored stays so."""
    return torch.where(ids == IGNORED, ids, ids - first)


def fine_loss(network: Fine, clips: Clips, *, spec: Spec, batch: int, table: Ids | None = None) -> Loss:
    """From all codebooks before one, and a history of that one: that codebook's codes in the rest of the window.

    table: i32 [frames, codebooks], the clips end to end: the codes after the history. None: the clips' own codes.
    """
    numbers, books = spec.fine, spec.encodec.codebooks

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        codebooks = random.integers(spec.coarse.codebooks, books, batch)
        windows = np.full((batch, books, numbers.window), numbers.pad_token, np.int64)
        targets = np.full((batch, numbers.window), IGNORED, np.int64)
        for i, clip in enumerate(clips.similar_length(random, batch)):
            codes = clips.codes(clip)
            learnt = codes if table is None else clips.recordings.rows(table, clip).T
            start = int(random.integers(0, max(1, codes.shape[1] - numbers.hop)))
            part = learnt[:, start : start + numbers.window].copy()
            length = part.shape[1]
            has_history = random.random() < FINE_HISTORY_SHARE
            past = int(random.integers(0, min(numbers.max_history, length))) if has_history else 0
            k = codebooks[i]
            part[:, :past] = codes[:, start : start + past]
            windows[i, :, :length] = part
            windows[i, k:, past:] = numbers.pad_token
            targets[i, past:length] = part[k, past:]
        expected = tensor(targets)
        with bfloat16():
            scores = network.logits(tensor(windows), tensor(codebooks[:, None])).float()
        value = F.cross_entropy(scores.flatten(0, 1), expected.flatten(), ignore_index=IGNORED)
        return value, {"accuracy": accuracy(scores, expected)}

    return loss


def hubert_loss(network: Hubert, clips: Clips, *, spec: HubertSpec, batch: int) -> Loss:
    """From audio at a random loudness: the semantic tokens that were computed from the teacher's features."""

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = clips.similar_length(random, batch)
        audio = []
        for clip in chosen:
            samples = soxr.resample(clips.recordings.audio(clip), clips.recordings.rate, spec.sample_rate)
            audio.append(np.asarray(samples * 10 ** random.uniform(-0.5, 0.3), np.float32))
        shortest = min(map(len, audio))
        with bfloat16():
            scores = network.scores(tensor(np.stack([samples[:shortest] for samples in audio]))).float()
        expected = stacked([clips.units(clip)[: scores.shape[1]] for clip in chosen], fill=IGNORED)
        value = F.cross_entropy(scores.flatten(0, 1), expected.flatten(), ignore_index=IGNORED)
        return value, {"accuracy": accuracy(scores, expected)}

    return loss
