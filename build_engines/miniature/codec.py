"""Training the codec: audio that sounds alike on several scales, and codebooks that follow what the encoder makes.

Losses and quantizer are those of Défossez et al., "High Fidelity Neural Audio Compression", 2022, without its
adversaries; codebooks follow by moving averages, as in van den Oord et al., "Neural Discrete Representation Learning",
2017, and a code that nobody takes is given to a latent that is badly served.

The two coarse codebooks are made easy to predict: the first one tells what a sound is, the second one where its wave
is. A latent's first half is learnt from slow spectrograms alone, whose windows span several pulses of a voice, and is
all that the first codebook sees; its second half is learnt from fast ones and the waveform too and is all that the
second one sees; the others see whatever is left of both.
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
from build_engines.miniature.recordings import Recordings
from build_engines.miniature.training import half, tensor
from build_engines.miniature.units import k_means, nearest

SCALES = (256, 512, 1_024, 2_048)  #: samples of the spectrograms' windows
SLOW_SCALES = (1_024, 2_048)  #: those of them that tell nothing of where a voice's single pulses are
MELS = {256: 24, 512: 48, 1_024: 80, 2_048: 80}
FLOOR = 1e-3  #: added to magnitudes before the logarithm
FREE_STEPS = 0.3  #: of the training: without a quantizer, so that the codebooks begin among latents that mean something
DECAY = 0.99
COMMITMENT = 0.25
#: Weight of linear spectrograms beside logarithmic ones. The quiet half of speech, which tells its consonants apart,
#: counts in logarithms only.
LINEAR = 0.2
#: Weight of the waveform's lower part, and how far up that reaches. Spectrograms alone leave the pitch to chance: the
#: codec hums at its own frame rate of 75 Hz. With the waveform below 300 Hz its fundamental is right, but harmonics hum
#: still. With all of it, codes tell more of phases than of sounds.
WAVE = 0.5
LOW_HZ = 1_000.0
LOW_STRIDE = 8  #: samples between those that are compared, after the filter
RARE = 0.03  #: of the uses a code of average popularity has; below that it is given away


class CodecLoss(nn.Module):
    """The codec and the state of its codebooks' moving averages, as one thing to save."""

    def __init__(self, codec: Encodec, recordings: Recordings, *, seconds: float, batch: int, steps: int) -> None:
        super().__init__()
        self.codec = codec
        self._recordings = recordings
        self._length = round(seconds * codec.spec.frame_rate_hz) * codec.spec.samples_per_frame
        self._batch = batch
        self._free = int(steps * FREE_STEPS)
        books, size, width = codec.quantizer.codebooks.shape
        self.sizes = nn.Buffer(torch.zeros(books, size))
        self.sums = nn.Buffer(torch.zeros(books, size, width))
        self.step = nn.Buffer(torch.zeros((), dtype=torch.int64))

    def __call__(self, random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch; moves the codebooks as well."""
        audio = self.examples(random)
        with half():
            latent = self.codec.encoder(audio[:, None])
        latent = latent.float()
        free = int(self.step) < self._free
        if not free and not self.sizes.any():
            self._init_codebooks(random)
        quantized, commitment, share = (latent, latent.new_zeros(()), 0.0) if free else self._quantize(latent)
        self.step.add_(1)
        # From here on in a batch, examples teach waves, but not to the half of the latent that the first codebook sees;
        # those before teach sounds alone. At first all teach everything, or the codec finds no way to begin.
        waves = 0 if free else len(audio) // 2
        if waves:
            first, second = quantized.chunk(2, dim=1)
            quantized = torch.cat([torch.cat([first[:waves], first[waves:].detach()]), second], dim=1)
        with half():
            heard = self.codec.decoder(quantized)[:, 0]
        heard = heard.float()
        rate = self.codec.spec.sample_rate
        fast = spectral_distance(heard[waves:], audio[waves:], rate=rate, scales=SCALES)
        slow = spectral_distance(heard[:waves], audio[:waves], rate=rate, scales=SLOW_SCALES) if waves else fast
        wave = self.low_distance(heard[waves:], audio[waves:])
        loss = (slow + fast) / 2 + WAVE * wave + COMMITMENT * commitment
        return loss, {
            "slow": round(slow.item(), 4),
            "fast": round(fast.item(), 4),
            "wave": round(wave.item(), 4),
            "commitment": round(commitment.item(), 4),
            "codes used": round(share, 3),
        }

    def low_distance(self, heard: Tensor, audio: Tensor) -> Tensor:
        """Energy of the difference of two batches [B, n] below `LOW_HZ`, over that of the second."""
        taps = tensor(low_pass(self.codec.spec.sample_rate))
        ours, theirs = (F.conv1d(x[:, None], taps, stride=LOW_STRIDE) for x in (heard, audio))
        return (ours - theirs).pow(2).mean() / theirs.pow(2).mean()

    def examples(self, random: np.random.Generator) -> Tensor:
        """[batch, samples] of audio from anywhere."""
        samples = self._recordings.samples
        starts = random.integers(0, len(samples) - self._length, self._batch)
        audio = np.stack([samples[start : start + self._length] for start in starts])
        return tensor(audio.astype(np.float32) / 32_768)

    @torch.no_grad()
    def _init_codebooks(self, random: np.random.Generator) -> None:
        """Give every codebook its first codes: the k-means of what the ones before it left."""
        latents = torch.cat([self.codec.encoder(self.examples(random)[:, None]).transpose(1, 2) for _ in range(40)])
        residual = latents.flatten(0, 1)
        for book in range(len(self.sizes)):
            centres = k_means(self._seen(book, residual), self.sizes.shape[1], seed=book, rounds=10)
            self.codec.quantizer.codebooks[book] = centres
            self.sizes[book] = 1.0
            self.sums[book] = centres
            residual = residual - centres[nearest(residual, centres)]

    def _seen(self, book: int, points: Tensor) -> Tensor:
        """What a codebook sees of points [n, dimension]; the rest is zero."""
        middle = points.shape[1] // 2
        match book:
            case 0:
                return F.pad(points[:, :middle], (0, middle))
            case 1:
                return F.pad(points[:, middle:], (middle, 0))
            case _:
                return points

    def _quantize(self, latent: Tensor) -> tuple[Tensor, Tensor, float]:
        """Quantized latents with the gradient passed straight through, the commitment loss, the share of codes used.

        A random number of the codebooks is used, two at least, so that the first few alone already make speech.
        """
        points = latent.transpose(1, 2).flatten(0, 1)  # [n, dimension]
        residual, total = points.detach(), torch.zeros_like(points)
        books = len(self.sizes)
        used = books if torch.rand(()) < 0.5 else int(torch.randint(2, books + 1, ()))
        for book in range(used):
            centres = self.codec.quantizer.codebooks[book].detach()
            owner = nearest(residual, centres)
            self._follow(book, residual, owner)
            chosen = centres[owner]
            residual, total = residual - chosen, total + chosen
        commitment = F.mse_loss(points, total)
        passed = points + (total - points).detach()
        shape = (latent.shape[0], latent.shape[2], latent.shape[1])
        share = float((self.sizes[:used] > RARE * self.sizes[:used].mean()).float().mean())
        return passed.view(shape).transpose(1, 2), commitment, share

    @torch.no_grad()
    def _follow(self, book: int, points: Tensor, owner: Tensor) -> None:
        size, points = self.sizes.shape[1], self._seen(book, points)
        self.sizes[book].lerp_(torch.bincount(owner, minlength=size).float(), 1 - DECAY)
        self.sums[book].lerp_(torch.zeros_like(self.sums[book]).index_add_(0, owner, points), 1 - DECAY)
        rare = self.sizes[book] < RARE * self.sizes[book].mean()
        count = int(rare.sum())
        if count:
            self.sums[book][rare] = points[torch.randint(len(points), (count,))]
            self.sizes[book][rare] = 1.0
        self.codec.quantizer.codebooks[book] = self.sums[book] / self.sizes[book][:, None].clamp(min=1e-3)


def spectral_distance(heard: Tensor, audio: Tensor, *, rate: int, scales: tuple[int, ...]) -> Tensor:
    """How far two batches [B, n] are apart in mel spectrograms of the windows' lengths, logarithmic and linear."""
    total = heard.new_zeros(())
    for size in scales:
        bank, window = tensor(filters(size, rate)), torch.hann_window(size)
        mels = [
            torch.stft(x, size, size // 4, window=window, return_complex=True).abs().transpose(1, 2) @ bank
            for x in (heard, audio)
        ]
        ours, theirs = mels
        total = total + F.l1_loss((ours + FLOOR).log(), (theirs + FLOOR).log())
        total = total + LINEAR * F.l1_loss(ours, theirs) / theirs.mean()
    return total / len(scales)


@functools.cache
def low_pass(rate: int) -> Floats:
    """Taps [1, 1, n] of a windowed-sinc filter that lets pass what is below `LOW_HZ`."""
    time = np.arange(-rate // 100, rate // 100 + 1) / rate
    taps = np.sinc(2 * LOW_HZ * time) * np.hanning(len(time))
    scaled: Floats = (taps / taps.sum()).astype(np.float32)
    return scaled[None, None]


@functools.cache
def filters(size: int, rate: int) -> Floats:
    """Triangular mel filters [size / 2 + 1, mels] of unit sum (the mel scale of O'Shaughnessy, 1987)."""
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
    """Codes [all clips' frames, codebooks]."""
    tables: list[Ids] = []
    for clip in recordings.clips:
        audio = tensor(recordings.audio(clip))
        tables.append(codec.encode(audio[None])[0].T.cpu().numpy())
        on_clip(1)
    return np.concatenate(tables)
