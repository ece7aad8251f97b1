"""Training the codec: spectrogram losses on several scales, and codebooks that follow the encoder's output.

Losses and quantizer are those of Défossez et al., "High Fidelity Neural Audio Compression", 2022, without the
adversarial losses. The codebooks are moving averages, as in van den Oord et al., "Neural Discrete Representation
Learning", 2017. A code that is hardly used is moved to a random latent.

The two coarse codebooks are made easy to predict. The first one describes the sound, the second one the phase of its
wave. This is how:

- The first half of a latent learns from slow spectrograms only. Their windows span several pulses of a voice. The
  first codebook sees only this half.
- The second half also learns from fast spectrograms and from the waveform. The second codebook sees only this half.
- The other codebooks see what the first two leave of both halves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bark_serving.arrays import Floats, Ids
from bark_serving.networks import Encodec
from build_engines.miniature.k_means import k_means, nearest
from build_engines.miniature.recordings import Recordings
from build_engines.miniature.training import bfloat16, tensor

SCALES = (256, 512, 1_024, 2_048)  #: window lengths of the spectrograms, in samples
SLOW_SCALES = (1_024, 2_048)  #: the scales that do not show the single pulses of a voice
MELS = {256: 24, 512: 48, 1_024: 80, 2_048: 80}  #: mel bands of each scale
FLOOR = 1e-3  #: added to magnitudes before the logarithm
#: Share of the training without a quantizer. The codebooks start afterwards, when the latents already carry meaning.
UNQUANTIZED_SHARE = 0.3
DECAY = 0.99  #: of the codebooks' moving averages
COMMITMENT_WEIGHT = 0.25
#: Weight of linear spectrograms beside logarithmic ones. The quiet parts of speech, which tell consonants apart, count
#: almost only in the logarithmic ones.
LINEAR_WEIGHT = 0.2
#: Weight of the waveform below `LOW_HZ`. With spectrograms alone the pitch is wrong: the codec hums at its frame rate
#: of 75 Hz. With the waveform below 300 Hz the fundamental is right, but harmonics still hum. With the whole waveform,
#: codes describe phases more than sounds.
WAVE_WEIGHT = 0.5
LOW_HZ = 1_000.0
LOW_STRIDE = 8  #: the filtered waveform is compared at every eighth sample
MIN_USE = 0.03  #: of the average use of a code. A code that is used less is moved.
INIT_BATCHES = 40  #: batches whose latents the first codes are computed from


class CodecLoss(nn.Module):
    """The codec's loss. As a module it holds all that is saved: the codec, and its codebooks' moving averages."""

    def __init__(self, codec: Encodec, recordings: Recordings, *, seconds: float, batch: int, steps: int) -> None:
        super().__init__()
        self.codec = codec
        self._recordings = recordings
        self._length = round(seconds * codec.spec.frame_rate_hz) * codec.spec.samples_per_frame
        self._batch = batch
        self._unquantized_steps = int(steps * UNQUANTIZED_SHARE)
        books, size, width = codec.quantizer.codebooks.shape
        self.sizes = nn.Buffer(torch.zeros(books, size))
        self.sums = nn.Buffer(torch.zeros(books, size, width))
        self.step = nn.Buffer(torch.zeros((), dtype=torch.int64))

    def __call__(self, random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one random batch, and figures for the log. Also updates the codebooks."""
        audio = self.random_audio(random)
        with bfloat16():
            latent = self.codec.encoder(audio[:, None])
        latent = latent.float()
        unquantized = int(self.step) < self._unquantized_steps
        if not unquantized and not self.sizes.any():
            self._init_codebooks(random)
        quantized, commitment, share = (latent, latent.new_zeros(()), 0.0) if unquantized else self._quantize(latent)
        self.step.add_(1)
        # Examples before `split` teach sounds only. Those from `split` on also teach waves, but not to the first half
        # of the latent. Without a quantizer every example teaches everything: otherwise training does not start.
        split = 0 if unquantized else len(audio) // 2
        if split:
            first, second = quantized.chunk(2, dim=1)
            quantized = torch.cat([torch.cat([first[:split], first[split:].detach()]), second], dim=1)
        with bfloat16():
            decoded = self.codec.decoder(quantized)[:, 0]
        decoded = decoded.float()
        rate = self.codec.spec.sample_rate
        fast = spectral_distance(decoded[split:], audio[split:], rate=rate, scales=SCALES)
        slow = spectral_distance(decoded[:split], audio[:split], rate=rate, scales=SLOW_SCALES) if split else fast
        wave = self.low_distance(decoded[split:], audio[split:])
        loss = (slow + fast) / 2 + WAVE_WEIGHT * wave + COMMITMENT_WEIGHT * commitment
        return loss, {
            "slow": round(slow.item(), 4),
            "fast": round(fast.item(), 4),
            "wave": round(wave.item(), 4),
            "commitment": round(commitment.item(), 4),
            "codes used": round(share, 3),
        }

    def low_distance(self, decoded: Tensor, audio: Tensor) -> Tensor:
        """Energy of the difference of two batches [B, n] below `LOW_HZ`, relative to the energy of `audio`."""
        taps = tensor(low_pass(self.codec.spec.sample_rate))
        low_decoded, low_audio = (F.conv1d(x[:, None], taps, stride=LOW_STRIDE) for x in (decoded, audio))
        return (low_decoded - low_audio).pow(2).mean() / low_audio.pow(2).mean()

    def random_audio(self, random: np.random.Generator) -> Tensor:
        """A batch of audio from random places of the recordings: f32 [batch, samples]."""
        samples = self._recordings.samples
        starts = random.integers(0, len(samples) - self._length, self._batch)
        audio = np.stack([samples[start : start + self._length] for start in starts])
        return tensor(audio.astype(np.float32) / 32_768)

    @torch.no_grad()
    def _init_codebooks(self, random: np.random.Generator) -> None:
        """Set every codebook's first codes: k-means centres of what the codebooks before it leave."""
        batches = [self.codec.encoder(self.random_audio(random)[:, None]) for _ in range(INIT_BATCHES)]
        residual = torch.cat([latents.transpose(1, 2) for latents in batches]).flatten(0, 1)
        for book in range(len(self.sizes)):
            centres = k_means(self._visible(book, residual), self.sizes.shape[1], seed=book)
            self.codec.quantizer.codebooks[book] = centres
            self.sizes[book] = 1.0
            self.sums[book] = centres
            residual = residual - centres[nearest(residual, centres)]

    def _visible(self, book: int, points: Tensor) -> Tensor:
        """The half of points [n, dimension] that a codebook sees, with zeros for the other half."""
        middle = points.shape[1] // 2
        match book:
            case 0:
                return F.pad(points[:, :middle], (0, middle))
            case 1:
                return F.pad(points[:, middle:], (middle, 0))
            case _:
                return points

    def _quantize(self, latent: Tensor) -> tuple[Tensor, Tensor, float]:
        """Quantized latents (straight-through gradient), the commitment loss, and the share of codes that are in use.

        A random number of codebooks is used, at least two. So the first few codebooks alone already give speech.
        """
        points = latent.transpose(1, 2).flatten(0, 1)  # [n, dimension]
        residual, total = points.detach(), torch.zeros_like(points)
        books = len(self.sizes)
        used = books if torch.rand(()) < 0.5 else int(torch.randint(2, books + 1, ()))
        for book in range(used):
            centres = self.codec.quantizer.codebooks[book].detach()
            codes = nearest(residual, centres)
            self._update_codebook(book, residual, codes)
            chosen = centres[codes]
            residual, total = residual - chosen, total + chosen
        commitment = F.mse_loss(points, total)
        passed = points + (total - points).detach()
        shape = (latent.shape[0], latent.shape[2], latent.shape[1])
        share = float((self.sizes[:used] > MIN_USE * self.sizes[:used].mean()).float().mean())
        return passed.view(shape).transpose(1, 2), commitment, share

    @torch.no_grad()
    def _update_codebook(self, book: int, points: Tensor, codes: Tensor) -> None:
        """Move each code towards the mean of its points, and rarely used codes to random points."""
        size, points = self.sizes.shape[1], self._visible(book, points)
        self.sizes[book].lerp_(torch.bincount(codes, minlength=size).float(), 1 - DECAY)
        self.sums[book].lerp_(torch.zeros_like(self.sums[book]).index_add_(0, codes, points), 1 - DECAY)
        rare = self.sizes[book] < MIN_USE * self.sizes[book].mean()
        count = int(rare.sum())
        if count:
            self.sums[book][rare] = points[torch.randint(len(points), (count,))]
            self.sizes[book][rare] = 1.0
        self.codec.quantizer.codebooks[book] = self.sums[book] / self.sizes[book][:, None].clamp(min=1e-3)


def spectral_distance(decoded: Tensor, audio: Tensor, *, rate: int, scales: tuple[int, ...]) -> Tensor:
    """Mean distance of the mel spectrograms of two batches [B, n] over `scales`, logarithmic plus linear."""
    total = decoded.new_zeros(())
    for size in scales:
        bank, window = tensor(mel_filters(size, rate)), torch.hann_window(size)
        found, expected = (
            torch.stft(x, size, size // 4, window=window, return_complex=True).abs().transpose(1, 2) @ bank
            for x in (decoded, audio)
        )
        total = total + F.l1_loss((found + FLOOR).log(), (expected + FLOOR).log())
        total = total + LINEAR_WEIGHT * F.l1_loss(found, expected) / expected.mean()
    return total / len(scales)


@functools.cache
def low_pass(rate: int) -> Floats:
    """Taps [1, 1, n] of a windowed-sinc low-pass filter that cuts off at `LOW_HZ`."""
    time = np.arange(-rate // 100, rate // 100 + 1) / rate
    taps = np.sinc(2 * LOW_HZ * time) * np.hanning(len(time))
    scaled: Floats = (taps / taps.sum()).astype(np.float32)
    return scaled[None, None]


@functools.cache
def mel_filters(size: int, rate: int) -> Floats:
    """Triangular mel filters [size / 2 + 1, mels], each with sum 1 (the mel scale of O'Shaughnessy, 1987)."""
    count = MELS[size]
    top = 2_595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, count + 2) / 2_595) - 1)
    frequencies = np.linspace(0, rate / 2, size // 2 + 1)[:, None]
    rising = (frequencies - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - frequencies) / (corners[2:] - corners[1:-1])
    bank = np.maximum(0, np.minimum(rising, falling))
    scaled: Floats = (bank / np.maximum(bank.sum(0), 1e-6)).astype(np.float32)
    return scaled


@torch.inference_mode()
def code_table(codec: Encodec, recordings: Recordings, *, on_clip: Callable[[int], None]) -> Ids:
    """Codes of all clips, end to end: i32 [frames, codebooks]. `on_clip` is told 1 after each clip."""
    tables: list[Ids] = []
    for clip in recordings.clips:
        audio = tensor(recordings.audio(clip))
        tables.append(codec.encode(audio[None])[0].T.cpu().numpy())
        on_clip(1)
    return np.concatenate(tables)
