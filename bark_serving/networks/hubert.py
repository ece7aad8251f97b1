"""HuBERT base and the token head that turns its features into Bark's semantic tokens (for voice cloning).

Parameter names are those of transformers' ``HubertModel`` with the position convolution's weight norm folded. Source:
Hsu et al., "HuBERT", 2021; the head is the one of the bark-voice-cloning-HuBERT-quantizer project.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bark_serving.networks.fine import FullAttention, full_attention
from bark_serving.spec import HubertSpec, TokenHeadSpec

NORM_EPSILON = 1e-5


class WaveConv(nn.Module):
    """One convolution of the waveform encoder. The first one normalises each channel over time."""

    def __init__(self, spec: HubertSpec, index: int) -> None:
        super().__init__()
        inputs = spec.conv_width[index - 1] if index else 1
        outputs = spec.conv_width[index]
        self.conv = nn.Conv1d(inputs, outputs, spec.conv_kernel[index], spec.conv_stride[index], bias=False)
        self.layer_norm = nn.GroupNorm(outputs, outputs, eps=NORM_EPSILON) if index == 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.layer_norm(self.conv(x)))


class FeatureExtractor(nn.Module):
    """[B, N] → [B, conv_width, T]."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(WaveConv(spec, i) for i in range(len(spec.conv_width)))

    def forward(self, audio: Tensor) -> Tensor:
        x = audio[:, None]
        for layer in self.conv_layers:
            x = layer(x)
        return x


class FeatureProjection(nn.Module):
    """[B, T, conv_width] → [B, T, width]."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(spec.conv_width[-1], eps=NORM_EPSILON)
        self.projection = nn.Linear(spec.conv_width[-1], spec.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.projection(self.layer_norm(x))
        return out


class PositionConv(nn.Module):
    """Relative positions by a wide grouped convolution. [B, T, width] → [B, T, width]."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        kernel = spec.position_conv_kernel
        self.conv = nn.Conv1d(spec.width, spec.width, kernel, padding=kernel // 2, groups=spec.position_conv_groups)
        self.extra = 1 - kernel % 2  # an even kernel gives one frame too many

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x.transpose(1, 2))
        if self.extra:
            x = x[..., : -self.extra]
        return F.gelu(x).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention without a mask. An exporter replaces `attend` with its runtime's own operator."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.k_proj = nn.Linear(spec.width, spec.width)
        self.v_proj = nn.Linear(spec.width, spec.width)
        self.q_proj = nn.Linear(spec.width, spec.width)
        self.out_proj = nn.Linear(spec.width, spec.width)
        self.attend: FullAttention = full_attention

    def forward(self, x: Tensor) -> Tensor:
        attended = self.attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads)
        out: Tensor = self.out_proj(attended)
        return out


class FeedForward(nn.Module):
    """Two linear layers with an exact GELU between them. [B, T, width] → [B, T, width]."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(spec.width, spec.intermediate)
        self.output_dense = nn.Linear(spec.intermediate, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.output_dense(F.gelu(self.intermediate_dense(x)))
        return out


class Layer(nn.Module):
    """Post-norm transformer block."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        self.attention = Attention(spec)
        self.layer_norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON)
        self.feed_forward = FeedForward(spec)
        self.final_layer_norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer_norm(x + self.attention(x))
        out: Tensor = self.final_layer_norm(x + self.feed_forward(x))
        return out


class Encoder(nn.Module):
    """Runs the first `feature_layer` layers only. It keeps them all, since another head may read another layer."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        self.feature_layer = spec.feature_layer
        self.pos_conv_embed = PositionConv(spec)
        self.layer_norm = nn.LayerNorm(spec.width, eps=NORM_EPSILON)
        self.layers = nn.ModuleList(Layer(spec) for _ in range(spec.layers))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer_norm(x + self.pos_conv_embed(x))
        for layer in self.layers[: self.feature_layer]:
            x = layer(x)
        return x


class TokenHead(nn.Module):
    """Features [B, T, input_width] → scores [B, T, output_vocab]."""

    def __init__(self, spec: TokenHeadSpec) -> None:
        super().__init__()
        self.lstm = nn.LSTM(spec.input_width, spec.hidden, spec.layers)
        has_intermediate = spec.version == 1
        self.intermediate = nn.Linear(spec.hidden, spec.intermediate) if has_intermediate else nn.Identity()
        self.out = nn.Linear(spec.intermediate if has_intermediate else spec.hidden, spec.output_vocab)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lstm(x.transpose(0, 1))[0].transpose(0, 1)
        out: Tensor = self.out(self.intermediate(x))
        return out


class Hubert(nn.Module):
    """16 kHz audio f32 [B, N] → semantic tokens i32 [B, T], 50 per second."""

    def __init__(self, spec: HubertSpec) -> None:
        super().__init__()
        self.spec = spec
        self.feature_extractor = FeatureExtractor(spec)
        self.feature_projection = FeatureProjection(spec)
        self.encoder = Encoder(spec)
        self.head = TokenHead(spec.head)

    def features(self, audio: Tensor) -> Tensor:
        """Audio [B, N] → output of transformer layer `feature_layer` (1 is the first): [B, T, width]."""
        x: Tensor = self.feature_extractor(audio).transpose(1, 2)
        features: Tensor = self.encoder(self.feature_projection(x))
        return features

    def scores(self, audio: Tensor) -> Tensor:
        """Audio [B, N] → scores [B, T, output_vocab] before the argmax."""
        scores: Tensor = self.head(self.features(audio))
        return scores

    def forward(self, audio: Tensor) -> Tensor:
        """Semantic tokens i32 [B, T]; T = floor((N - 400) / 320) + 1 with the released convolutions."""
        return self.scores(audio).argmax(-1).int()
