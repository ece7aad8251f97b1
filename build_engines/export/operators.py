"""Replaces parts of a network during an export: attention and LSTMs by single operators, the codec by a smaller one.

Plain ONNX operators cannot express attention over a shared KV cache. With them, full attention is slower and takes
quadratic memory, and an LSTM becomes one node per step. The codec's decoder runs in pieces, which takes less memory.
Its layers after the LSTM are one node until `decoder_layers` replaces it.
Each function has the signature of the function that it replaces.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from onnx import ModelProto, NodeProto
from torch import Tensor, nn

from bark_serving.networks import encodec, fine, gpt, hubert
from bark_serving.spec import EncodecSpec

CONTRIB = "com.microsoft"


def group_query_attention(
    qkv: Tensor, past_key: Tensor, past_value: Tensor, seqlens: Tensor, total_length: Tensor, heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """`gpt.cached_attention` as one node. If past and present are bound to the same memory, it is updated in place."""
    attended, key, value = torch.onnx.ops.symbolic_multi_out(
        f"{CONTRIB}::GroupQueryAttention",
        (qkv, None, None, past_key, past_value, seqlens, total_length),
        attrs={"num_heads": heads, "kv_num_heads": heads},
        dtypes=(qkv.dtype,) * 3,
        shapes=((*qkv.shape[:2], qkv.shape[2] // 3), tuple(past_key.shape), tuple(past_value.shape)),
        version=1,
    )
    return attended, key, value


def attentions(model: ModelProto) -> list[NodeProto]:
    """The attention node of each layer that has a cache, in order."""
    return [node for node in model.graph.node if node.domain == CONTRIB and node.op_type == "GroupQueryAttention"]


def multi_head_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """`fine.full_attention` as one node."""
    return torch.onnx.ops.symbolic(
        f"{CONTRIB}::MultiHeadAttention",
        (query, key, value),
        attrs={"num_heads": heads},
        dtype=query.dtype,
        shape=tuple(query.shape),
        version=1,
    )


class OnnxLstm(nn.Module):
    """`nn.LSTM` (time first, one direction) as one ONNX node per layer. It returns a state if it is given one."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.layers, self.hidden = lstm.num_layers, lstm.hidden_size
        for i in range(self.layers):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                # torch stacks the gates as input, forget, cell, output; ONNX as input, output, forget, cell
                i_gate, f_gate, c_gate, o_gate = getattr(lstm, f"{name}_l{i}").detach().chunk(4)
                stacked = torch.cat((i_gate, o_gate, f_gate, c_gate))[None]
                self.register_buffer(f"{name}_l{i}", stacked, persistent=False)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """[T, B, inputs] → [T, B, hidden]. state: hidden and cell values, each [layers, B, hidden]."""
        ends = []
        for i in range(self.layers):
            biases = torch.cat((getattr(self, f"bias_ih_l{i}"), getattr(self, f"bias_hh_l{i}")), dim=1)
            begin = () if state is None else (None, state[0][i : i + 1], state[1][i : i + 1])
            last = (1, x.shape[1], self.hidden)
            y, *end = torch.onnx.ops.symbolic_multi_out(
                "LSTM",
                (x, getattr(self, f"weight_ih_l{i}"), getattr(self, f"weight_hh_l{i}"), biases, *begin),
                attrs={"hidden_size": self.hidden},
                dtypes=(x.dtype,) if state is None else (x.dtype,) * 3,
                shapes=((x.shape[0], 1, x.shape[1], self.hidden), *([] if state is None else [last, last])),
                version=14,
            )
            x = y.squeeze(1)  # the axis of directions
            ends.append(end)
        if state is None:
            return x, None
        return x, (torch.cat([hidden for hidden, _ in ends]), torch.cat([cell for _, cell in ends]))


class AfterLstm(nn.Module):
    """The layers of the codec's decoder after the LSTM as one node: [B, width, T] → [B, 1, T × samples_per_frame]."""

    DOMAIN = "bark"

    def __init__(self, spec: EncodecSpec) -> None:
        super().__init__()
        self.samples_per_frame = spec.samples_per_frame

    def forward(self, x: Tensor) -> Tensor:
        return torch.onnx.ops.symbolic(
            f"{self.DOMAIN}::{AfterLstm.__name__}",
            (x,),
            dtype=x.dtype,
            shape=(x.shape[0], 1, x.shape[2] * self.samples_per_frame),
            version=1,
        )


@contextlib.contextmanager
def onnxruntime_operators(network: nn.Module) -> Iterator[None]:
    """Swap the operators in until the block ends. Afterwards the module is the reference for validation again."""
    swapped: list[tuple[nn.Module, str, Any]] = []

    def swap(module: nn.Module, name: str, new: Any) -> None:
        swapped.append((module, name, getattr(module, name)))
        setattr(module, name, new)

    for module in list(network.modules()):
        if isinstance(module, gpt.Gpt):
            swap(module, "attend", group_query_attention)
        elif isinstance(module, fine.Attention | hubert.Attention):
            swap(module, "attend", multi_head_attention)
        elif isinstance(module, encodec.Encodec):
            swap(module, "run_decoder", encodec.decode_in_pieces)
            layers = module.decoder.layers[: encodec.LAYERS_TO_LSTM]
            swap(module.decoder, "layers", nn.ModuleList([*layers, AfterLstm(module.spec)]))
        elif isinstance(getattr(module, "lstm", None), nn.LSTM):
            swap(module, "lstm", OnnxLstm(module.lstm))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for module, name, old in swapped:
            setattr(module, name, old)
