"""The losses of the four networks: prompts and windows as the server lays them out, every position learnt at once."""

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
from build_engines.miniature.clips import Clips
from build_engines.miniature.recordings import Clip
from build_engines.miniature.training import Loss, half, tensor

IGNORED = -100  #: as a target: not learnt
WITH_VOICE = 0.5  #: share of examples that follow a voice
WRONG_UNITS = 0.1  #: of the tokens said so far replaced by others, as a generating network's own mistakes will be
WRONG_CODES = 0.05
LETTERS_A_SECOND = 15.15  #: about, of the teacher's speech


def logits(gpt: Gpt, embeddings: Tensor, *, first: int) -> Tensor:
    """Sums of token embeddings [B, S, width] → logits [B, S - first, output_vocab] of the positions from `first` on."""

    def attend(_: int, qkv: Tensor) -> Tensor:
        """Causal attention of a whole sequence over itself: [B, S, 3 × width] → [B, S, width]."""
        query, key, value = (split_heads(part, gpt.spec.heads) for part in qkv.chunk(3, dim=-1))
        return merge_heads(F.scaled_dot_product_attention(query, key, value, is_causal=True))

    x = gpt.transform(embeddings + gpt.position_embedding.weight[: embeddings.shape[1]], attend)
    out: Tensor = gpt.head(gpt.norm(x[:, first:]))
    return out


def stacked(rows: list[Ids], *, fill: int) -> Tensor:
    """Rows of several lengths → i64 [B, longest]."""
    table = np.full((len(rows), max(map(len, rows))), fill, np.int64)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return tensor(table)


def with_mistakes(rows: Ids, random: np.random.Generator, *, share: float, low: int, high: int) -> Ids:
    """Rows with a share of the ids replaced by any of `low`..`high` - 1."""
    wrong = random.random(len(rows)) < share
    return np.where(wrong, random.integers(low, high, len(rows)), rows)


def accuracy(scores: Tensor, targets: Tensor) -> float:
    """Share of the targets that are the likeliest."""
    learnt = targets != IGNORED
    return round(float((scores.argmax(-1) == targets)[learnt].float().mean()), 4)


def _times(*parts: tuple[int, float]) -> Tensor:
    """Seconds at which the positions of parts one beside another sound: so many of them, so many a second."""
    return torch.cat([torch.arange(count) / rate for count, rate in parts])


def semantic_times(spec: Spec) -> Tensor:
    """When each position's token sounds [block_size], in seconds: letters about then, semantic tokens a token later."""
    numbers = spec.semantic
    tokens = numbers.gpt.block_size - numbers.text_context
    return _times((numbers.text_context, LETTERS_A_SECOND), (tokens, numbers.rate_hz))


def semantic_loss(gpt: Gpt, clips: Clips, *, spec: Spec, batch: int) -> Loss:
    """Text, and sometimes the end of another clip of the speaker's → the clip's semantic tokens and the end token."""
    numbers = spec.semantic

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        texts, pasts, said, targets = [], [], [], []
        for clip in clips.similar_length(random, batch):
            voice = clips.units(clips.another_of_speaker(random, clip)) if random.random() < WITH_VOICE else None
            text, past = semantic_layout.prompt_ids(clips.text(clip), spec=numbers, history=voice)
            units = clips.units(clip)[: numbers.max_steps - 1]
            texts.append(text)
            pasts.append(past)
            said.append(with_mistakes(units, random, share=WRONG_UNITS, low=0, high=numbers.vocab))
            targets.append(np.append(units, numbers.end_token))
        table = gpt.token_embedding
        prompt = table(tensor(np.stack(texts))) + table(tensor(np.stack(pasts)))
        infer = table(torch.full((len(texts), 1), numbers.infer_token))
        embeddings = torch.cat([prompt, infer, table(stacked(said, fill=0))], dim=1)
        wanted = stacked(targets, fill=IGNORED)
        with half():
            scores = logits(gpt, embeddings, first=numbers.prefill - 1).float()
        value = F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return value, {"accuracy": accuracy(scores, wanted)}

    return loss


def coarse_example(clip: Clip, clips: Clips, random: np.random.Generator, *, spec: Spec) -> tuple[Ids, Ids, int]:
    """Semantic tokens [semantic_context], coarse ids in the places of history and window, how many of them are a voice.

    Windows that begin within the first `max_history` ids all see the same positions of the same tokens, so one example
    is all of them at once; later ones shift both by the same time.
    """
    numbers, ratio = spec.coarse, spec.semantic_to_coarse
    voice = clips.another_of_speaker(random, clip) if random.random() < WITH_VOICE else None
    windows = coarse_layout.schedule(
        clips.units(clip),
        spec=spec,
        semantic_history=clips.units(voice) if voice else None,
        coarse_history=clips.codes(voice)[: numbers.codebooks] if voice else None,
    )
    made = coarse_layout.flatten(clips.codes(clip)[: numbers.codebooks], spec=spec)
    ids = np.concatenate([windows.history, made])
    room = numbers.max_history + numbers.window
    lag = numbers.codebooks if voice else 0  # a voice's codes end a frame before its semantic tokens do
    time = int(random.choice(range(0, max(1, len(ids) - room + numbers.window), numbers.window)))
    start = max(0, time - lag)
    semantic = np.full(numbers.semantic_context, numbers.semantic_pad, np.int32)
    seen = windows.semantic[round(time / ratio) :][: numbers.semantic_context]
    semantic[: len(seen)] = seen
    return semantic, ids[start : start + room], max(0, len(windows.history) - start)


def coarse_times(spec: Spec) -> Tensor:
    """When in a window each position's token sounds [block_size], in seconds; codes count as the one they predict."""
    numbers = spec.coarse
    codes = numbers.gpt.block_size - numbers.semantic_context
    rate = spec.encodec.frame_rate_hz * numbers.codebooks
    return _times((numbers.semantic_context, spec.semantic.rate_hz), (codes, rate))


def coarse_loss(gpt: Gpt, clips: Clips, *, spec: Spec, batch: int) -> Loss:
    """Semantic tokens, and the voice's codes before → the clip's codes of the coarse codebooks, frame by frame."""
    numbers = spec.coarse
    codes = spec.encodec.codebook_size * numbers.codebooks

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        heads, bodies, targets = [], [], []
        for clip in clips.similar_length(random, batch):
            semantic, ids, past = coarse_example(clip, clips, random, spec=spec)
            heads.append(np.append(semantic, numbers.infer_token))
            bodies.append(
                with_mistakes(ids[:-1], random, share=WRONG_CODES, low=numbers.offset, high=numbers.offset + codes)
            )
            # the end of a voice is not to be predicted from the first frames of a clip that it does not precede
            targets.append(np.where(np.arange(len(ids)) < past, IGNORED, ids))
        prompt = tensor(np.stack(heads))
        embeddings = gpt.token_embedding(torch.cat([prompt, stacked(bodies, fill=numbers.semantic_pad)], dim=1))
        wanted = stacked(targets, fill=IGNORED)
        with half():
            scores = logits(gpt, embeddings, first=numbers.semantic_context).float()
        value = F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return value, {"accuracy": accuracy(scores, wanted)}

    return loss


def fine_loss(network: Fine, clips: Clips, *, spec: Spec, batch: int) -> Loss:
    """All codebooks before one, and that one's history → that codebook of the rest of the window."""
    numbers, books = spec.fine, spec.encodec.codebooks

    def loss(random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        codebooks = random.integers(spec.coarse.codebooks, books, batch)
        windows = np.full((batch, books, numbers.window), numbers.pad_token, np.int64)
        targets = np.full((batch, numbers.window), IGNORED, np.int64)
        for i, clip in enumerate(clips.similar_length(random, batch)):
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
        chosen = clips.similar_length(random, batch)
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
