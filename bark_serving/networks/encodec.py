"""Encodec 24 kHz: SEANet encoder, residual quantizer, SEANet decoder, causal throughout.

Parameter names are those of transformers' ``EncodecModel`` with weight norm folded into ``conv.weight``. The quantizer
alone differs: it is one tensor. Source: Défossez et al., "High Fidelity Neural Audio Compression", 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bark_serving.layouts.decoder import context_frames
from bark_serving.spec import EncodecSpec

PIECES = 4  #: `decode_in_pieces` cuts a latent into this many
LAYERS_TO_LSTM = 2  #: the decoder's first layers, up to the LSTM


class Conv(nn.Module):
    """Causal convolution: the past beyond the start is the reflection of the first samples.

    The input's length must be a multiple of `stride` (the codec pads to whole frames). So the right needs no padding.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation)
        self.left = (kernel - 1) * dilation + 1 - stride

    def forward(self, x: Tensor) -> Tensor:
        if self.left:
            # Reflection by index instead of `F.pad(mode="reflect")`. As in Encodec, zeros follow an input that is
            # shorter than the padding. An exported graph then takes inputs of any length.
            mirror = torch.arange(self.left, 0, -1, device=x.device)
            x = torch.cat((F.pad(x, (0, self.left)).index_select(-1, mirror), x), dim=-1)
        out: Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Transposed convolution with a kernel of twice the stride. Samples beyond the last frame are cut off."""

    def __init__(self, inputs: int, outputs: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.conv = nn.ConvTranspose1d(inputs, outputs, 2 * ratio, ratio)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)[..., : -self.ratio]
        return out


class Lstm(nn.Module):
    """LSTM over time with a skip connection. [B, width, T] → [B, width, T]."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(2, 0, 1)
        x = self.lstm(x)[0] + x
        return x.permute(1, 2, 0)

    def resume(self, x: Tensor, state: Tensor, *, context: int) -> tuple[Tensor, Tensor]:
        """`forward` from a state [B, 2, layers, width] on; also the state ``context`` steps before the end."""
        x = x.permute(2, 0, 1)
        hidden, cell = state.permute(1, 2, 0, 3).unbind()
        first, at = self.lstm(x[:-context], (hidden.contiguous(), cell.contiguous()))
        rest, _ = self.lstm(x[-context:], at)
        x = torch.cat((first, rest)) + x
        return x.permute(1, 2, 0), torch.stack(at).permute(2, 0, 1, 3)


class Residual(nn.Module):
    """A dilated convolution and one of kernel 1, plus a learned shortcut."""

    def __init__(self, width: int, spec: EncodecSpec, *, dilation: int) -> None:
        super().__init__()
        hidden = width // spec.compress
        self.block = nn.Sequential(
            nn.ELU(), Conv(width, hidden, spec.residual_kernel, dilation=dilation), nn.ELU(), Conv(hidden, width, 1)
        )
        self.shortcut = Conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.shortcut(x) + self.block(x)
        return out


class Seanet(nn.Module):
    """A list of layers, run one after the other. `encoder` and `decoder` make the two lists of the paper."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return run_layers(self.layers, x)


def run_layers(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Each layer takes the output of the one before it."""
    for layer in layers:
        x = layer(x)
    return x


def residuals(width: int, spec: EncodecSpec) -> list[nn.Module]:
    """The residual blocks after one change of the sample rate; each has a wider dilation than the one before."""
    return [Residual(width, spec, dilation=spec.dilation_growth**i) for i in range(spec.residual_layers)]


def encoder(spec: EncodecSpec) -> Seanet:
    """[B, 1, N] → [B, dimension, N / samples_per_frame]."""
    width = spec.filters
    layers: list[nn.Module] = [Conv(1, width, spec.kernel)]
    for ratio in reversed(spec.ratios):
        layers += residuals(width, spec)
        layers += [nn.ELU(), Conv(width, 2 * width, 2 * ratio, stride=ratio)]
        width *= 2
    layers += [Lstm(width, spec.lstm_layers), nn.ELU(), Conv(width, spec.dimension, spec.last_kernel)]
    return Seanet(layers)


def decoder(spec: EncodecSpec) -> Seanet:
    """[B, dimension, T] → [B, 1, T × samples_per_frame]."""
    width = spec.filters * 2 ** len(spec.ratios)
    layers: list[nn.Module] = [Conv(spec.dimension, width, spec.kernel), Lstm(width, spec.lstm_layers)]
    for ratio in spec.ratios:
        layers += [nn.ELU(), Upsample(width, width // 2, ratio)]
        width //= 2
        layers += residuals(width, spec)
    layers += [nn.ELU(), Conv(width, 1, spec.last_kernel)]
    return Seanet(layers)


class Quantizer(nn.Module):
    """Residual vector quantization: each codebook quantizes the error that the codebooks before it leave."""

    def __init__(self, spec: EncodecSpec) -> None:
        super().__init__()
        self.codebooks = nn.Parameter(torch.empty(spec.codebooks, spec.codebook_size, spec.dimension).normal_())

    def encode(self, latent: Tensor) -> Tensor:
        """[B, dimension, T] → i32 [B, codebooks, T]. The nearest row by squared distance; the lower code in a tie."""
        residual = latent.transpose(1, 2)  # [B, T, dimension]
        codes: list[Tensor] = []
        for codebook in self.codebooks.unbind(0):
            # Encodec's terms in Encodec's order: another order rounds differently and changes codes near a tie
            norm = residual.pow(2).sum(-1, keepdim=True)
            distance = norm - 2 * residual @ codebook.t() + codebook.pow(2).sum(-1)
            nearest = (-distance).argmax(-1)
            residual = residual - F.embedding(nearest, codebook)
            codes.append(nearest)
        return torch.stack(codes, dim=1).to(torch.int32)

    def decode(self, codes: Tensor) -> Tensor:
        """i32 [B, codebooks, T] → [B, dimension, T]: the sum of the codebooks' rows."""
        latent = torch.zeros((), device=codes.device)
        for k, codebook in enumerate(self.codebooks.unbind(0)):
            latent = latent + F.embedding(codes[:, k].long(), codebook)
        return latent.transpose(1, 2)


def decode_whole(decoder: Seanet, latent: Tensor, spec: EncodecSpec) -> Tensor:
    """Decode all frames at once: [B, dimension, T] → [B, 1, T × samples_per_frame]."""
    audio: Tensor = decoder(latent)
    return audio


def decode_in_pieces(decoder: Seanet, latent: Tensor, spec: EncodecSpec) -> Tensor:
    """The same samples as `decode_whole`, `PIECES` pieces one after the other, in a sixth of the memory (at 10 s).

    The layers after the LSTM depend on at most `context_frames` earlier frames. So each piece but the first begins
    that many frames earlier, and that much of its audio is dropped.
    """
    latent = run_layers(decoder.layers[:LAYERS_TO_LSTM], latent)
    context = context_frames(spec)
    rest = latent.shape[2] - context
    pieces: list[Tensor] = []
    for piece in range(PIECES):
        x = latent[:, :, rest * piece // PIECES : rest * (piece + 1) // PIECES + context]
        x = run_layers(decoder.layers[LAYERS_TO_LSTM:], x)
        pieces.append(x[:, :, context * spec.samples_per_frame :] if piece else x)
    return torch.cat(pieces, dim=2)


class Encodec(nn.Module):
    """The codec. `encode` and `decode` are each other's inverse, up to quantization.

    An exporter replaces `run_decoder`.
    """

    def __init__(self, spec: EncodecSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = encoder(spec)
        self.decoder = decoder(spec)
        self.quantizer = Quantizer(spec)
        self.run_decoder: Callable[[Seanet, Tensor, EncodecSpec], Tensor] = decode_whole

    def encode(self, audio: Tensor) -> Tensor:
        """f32 [B, N], N a multiple of samples_per_frame → codes i32 [B, codebooks, N / samples_per_frame]."""
        return self.quantizer.encode(self.encoder(audio[:, None]))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes i32 [B, codebooks, T] → audio f32 [B, T × samples_per_frame]."""
        return self.run_decoder(self.decoder, self.quantizer.decode(codes), self.spec)[:, 0]

    def decode_chunk(self, codes: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """A part of `decode`: codes i32 [B, codebooks, kernel - 1 + T] → audio f32 [B, T × samples_per_frame].

        codes, state: see `bark_serving.layouts.decoder`. Also returns the state for the next chunk.
        """
        first, lstm, *rest = self.decoder.layers
        assert isinstance(first, Conv) and isinstance(lstm, Lstm)
        x = first.conv(self.quantizer.decode(codes))
        x, state = lstm.resume(x, state, context=context_frames(self.spec))
        return run_layers(rest, x)[:, 0], state
