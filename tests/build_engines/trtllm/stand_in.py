"""A stand-in for the parts of ``tensorrt_llm`` that Bark's model class uses. It computes instead of building a graph.

It was written after TensorRT-LLM's Apache-licensed sources and has the same *meaning*: module and parameter names,
packed inputs, the prompt table's virtual ids, pre-norm blocks, and the checks of a strongly typed network (operands of
one type, index tensors of rank 1). Each sequence's key-value cache is a dictionary. There are no plugins.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

#: The tensors that were marked as outputs of the network, by name.
OUTPUTS: dict[str, torch.Tensor] = {}

TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "int32": torch.int32}


class ActivationType(enum.Enum):
    RELU = enum.auto()
    TANH = enum.auto()
    GELU_ERF = enum.auto()


class Tensor:
    """``functional.Tensor``: a number becomes a constant of the other operand's type; ranks are broadcast."""

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    def mark_output(self, name: str, dtype: str) -> None:
        OUTPUTS[name] = self.value.to(TYPES[dtype])

    def __add__(self, other: Any) -> Tensor:
        return Tensor(self.value + _operand(self, other))

    def __sub__(self, other: Any) -> Tensor:
        return Tensor(self.value - _operand(self, other))

    def __mul__(self, other: Any) -> Tensor:
        return Tensor(self.value * _operand(self, other))


def _operand(left: Tensor, right: Any) -> torch.Tensor:
    if not isinstance(right, Tensor):
        return torch.tensor([right], dtype=left.value.dtype)
    if left.value.dtype != right.value.dtype:
        raise TypeError(f"strongly typed: {left.value.dtype} and {right.value.dtype}")
    return right.value


def activation(input: Tensor, act_type: ActivationType) -> Tensor:  # noqa: A002 - theirs
    functions = {ActivationType.RELU: F.relu, ActivationType.TANH: torch.tanh, ActivationType.GELU_ERF: F.gelu}
    return Tensor(functions[act_type](input.value))


def gelu(x: Tensor) -> Tensor:
    """The tanh approximation, which all of TensorRT-LLM's names for GELU mean."""
    inner = torch.tanh(math.sqrt(2 / math.pi) * (x.value + 0.044715 * x.value**3))
    return Tensor(0.5 * x.value * (inner + 1))


def cast(input: Tensor, dtype: str) -> Tensor:  # noqa: A002 - theirs
    return Tensor(input.value.to(TYPES[dtype]))


def constant(ndarray: np.ndarray) -> Tensor:
    if ndarray.dtype not in (np.float32, np.int32):
        raise TypeError(f"a constant of {ndarray.dtype}")
    return Tensor(torch.from_numpy(ndarray))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:  # noqa: A002 - theirs
    if len(index.shape) != 1 or index.value.dtype != torch.int32:
        raise TypeError(f"an index of shape {index.shape}, {index.value.dtype}")
    return Tensor(input.value.index_select(dim, index.value))


def lt(left: Tensor, right: Any) -> Tensor:
    return Tensor(left.value < _operand(left, right))


def softmax(input: Tensor, dim: int | None = None) -> Tensor:  # noqa: A002 - theirs
    return Tensor(torch.softmax(input.value, dim=-1 if dim is None else dim))


def where(condition: Tensor, left: Tensor, right: Tensor) -> Tensor:
    if condition.value.dtype != torch.bool or left.value.dtype != right.value.dtype:
        raise TypeError("where takes a boolean condition and two tensors of one type")
    return Tensor(torch.where(condition.value, left.value, right.value))


class Parameter:
    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, dtype
        self.value: torch.Tensor | None = None


class Module:
    """Keeps parameters and modules apart from plain attributes, and calls `forward`."""

    def __init__(self) -> None:
        self.__dict__["_modules"], self.__dict__["_parameters"] = {}, {}

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._parameters[name] = value
        elif isinstance(value, Module):
            self._modules[name] = value
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        for kept in ("_parameters", "_modules"):
            if name in self.__dict__[kept]:
                return self.__dict__[kept][name]
        raise AttributeError(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        for name, parameter in self._parameters.items():
            yield prefix + name, parameter
        for name, module in self._modules.items():
            yield from module.named_parameters(f"{prefix}{name}.")


class ModuleList(Module):
    def __init__(self, modules: list[Module]) -> None:
        super().__init__()
        self._modules.update({str(i): module for i, module in enumerate(modules)})


class Linear(Module):
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: str | None = None,
        tp_group: Any = None,
        tp_size: int = 1,
        gather_output: bool = True,
    ) -> None:
        super().__init__()
        self.weight = Parameter((out_features, in_features), str(dtype))
        self.bias = Parameter((out_features,), str(dtype)) if bias else None

    def forward(self, x: Tensor, lora_runtime_params: Any = None) -> Tensor:
        return Tensor(F.linear(x.value, self.weight.value, self.bias.value if self.bias else None))


class Embedding(Module):
    """An embedding. With a prompt table it is ``PromptTuningEmbedding``: ids from `rows` on are rows of that table."""

    def __init__(self, rows: int, width: int, dtype: str) -> None:
        super().__init__()
        self.rows = rows
        self.weight = Parameter((rows, width), dtype)

    def forward(self, ids: Tensor, table: Tensor = None, tasks: Tensor = None, table_rows: Tensor = None) -> Tensor:
        if table is None:
            return Tensor(self.weight.value[ids.value.long()])
        _operand(Tensor(self.weight.value), table)
        virtual = ids.value > self.rows - 1
        normal = self.weight.value[torch.where(virtual, self.rows - 1, ids.value).long()]
        index = torch.where(virtual, ids.value - self.rows, 0) + tasks.value * table_rows.value
        return Tensor(torch.where(virtual[:, None], table.value[index.long()], normal))


class LayerNorm(Module):
    """A layer norm, which always has a bias."""

    def __init__(self, width: int, eps: float, dtype: str) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = Parameter((width,), dtype), Parameter((width,), dtype), eps

    def forward(self, x: Tensor) -> Tensor:
        return Tensor(F.layer_norm(x.value, (x.shape[-1],), self.weight.value, self.bias.value, self.eps))


Cache = dict[Any, tuple[torch.Tensor, torch.Tensor]]  #: keys and values [heads, positions, head size] by layer


class Attention(Module):
    """Causal attention with q, k and v from one linear layer. Each sequence of a packed batch has its own cache."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads, self.q_scaling = config.num_attention_heads, config.q_scaling
        inner = config.num_attention_heads * config.head_size
        self.qkv = Linear(config.hidden_size, 3 * inner, config.bias, config.dtype)
        self.dense = Linear(inner, config.hidden_size, config.bias, config.dtype)

    def forward(self, x: Tensor, lengths: list[int], caches: list[Cache]) -> Tensor:
        sequences = []
        for part, cache in zip(self.qkv(x).value.split(lengths), caches, strict=True):
            q, k, v = (one.view(len(part), self.heads, -1).transpose(0, 1) for one in part.chunk(3, dim=-1))
            if self in cache:
                k, v = (torch.cat(pair, dim=1) for pair in zip(cache[self], (k, v), strict=True))
            cache[self] = k, v
            scores = q @ k.transpose(1, 2) / (math.sqrt(q.shape[-1]) * self.q_scaling)
            hidden = torch.ones(scores.shape[1:]).triu(1 + k.shape[1] - q.shape[1]).bool()
            probabilities = scores.float().masked_fill(hidden, -math.inf).softmax(-1).to(v.dtype)
            sequences.append((probabilities @ v).transpose(0, 1).flatten(1))
        return self.dense(Tensor(torch.cat(sequences)))


class MLP(Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.hidden_act not in FUNCTIONAL.ACT2FN:
            raise ValueError(f"unsupported activation function: {config.hidden_act}")
        self.hidden_act = config.hidden_act
        self.fc = Linear(config.hidden_size, config.intermediate_size, config.bias, config.dtype)
        self.proj = Linear(config.intermediate_size, config.hidden_size, config.bias, config.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(FUNCTIONAL.ACT2FN[self.hidden_act](self.fc(x)))


class GPTDecoderLayer(Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.input_layernorm = LayerNorm(config.hidden_size, config.norm_epsilon, config.dtype)
        self.attention = Attention(config)
        self.mlp = MLP(config)
        self.post_layernorm = LayerNorm(config.hidden_size, config.norm_epsilon, config.dtype)

    def forward(self, x: Tensor, lengths: list[int], caches: list[Cache]) -> Tensor:
        x = x + self.attention(self.input_layernorm(x), lengths, caches)
        return x + self.mlp(self.post_layernorm(x))


class GPTModel(Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.position_embedding_type != "learned_absolute":
            raise ValueError(config.position_embedding_type)
        self.vocab_embedding = Embedding(config.vocab_size, config.hidden_size, config.dtype)
        self.position_embedding = Embedding(config.max_position_embeddings, config.hidden_size, config.dtype)
        self.layers = ModuleList([GPTDecoderLayer(config) for _ in range(config.num_hidden_layers)])
        self.ln_f = LayerNorm(config.hidden_size, config.norm_epsilon, config.dtype)

    def forward(
        self, ids: Tensor, positions: Tensor, lengths: list[int], caches: list[Cache], table: tuple[Tensor, ...]
    ) -> Tensor:
        x = self.vocab_embedding(ids, *table) + self.position_embedding(positions)
        for layer in self.layers._modules.values():
            x = layer(x, lengths, caches)
        return self.ln_f(x)


class GPTForCausalLM(Module):
    """Loads a checkpoint by parameter names, and has a forward pass that marks its logits as an output."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.transformer = GPTModel(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False, dtype=config.dtype)

    @classmethod
    def from_checkpoint(cls, folder: Path) -> GPTForCausalLM:
        numbers = json.loads((folder / "config.json").read_text())
        if numbers["architecture"] != "GPTForCausalLM":
            raise ValueError(numbers["architecture"])
        config = SimpleNamespace(**{**numbers, "mapping": SimpleNamespace(**numbers["mapping"])})
        model, tensors = cls(config), load_file(folder / "rank0.safetensors")
        for name, parameter in model.named_parameters():
            tensor = tensors.pop(name)
            if tuple(tensor.shape) != parameter.shape or tensor.dtype != TYPES[parameter.dtype]:
                raise ValueError(f"{name} is {tuple(tensor.shape)} {tensor.dtype}")
            parameter.value = tensor
        if tensors:
            raise ValueError(f"unused tensors: {sorted(tensors)}")
        return model

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor = None,
        use_cache: bool = False,
        last_token_ids: Tensor = None,
        attention_mask: Tensor = None,
        kv_cache_params: Any = None,
        attention_params: Any = None,
        prompt_embedding_table: Tensor = None,
        prompt_tasks: Tensor = None,
        prompt_vocab_size: Tensor = None,
    ) -> Tensor:
        table = (prompt_embedding_table, prompt_tasks, prompt_vocab_size) if prompt_embedding_table else ()
        lengths = attention_params.host_context_lengths
        hidden = self.transformer(input_ids, position_ids, lengths, kv_cache_params, table)
        logits = self.lm_head(index_select(hidden, 0, last_token_ids - 1))  # gather_last_token_logits
        logits.mark_output("logits", self.config.logits_dtype)
        return logits


FUNCTIONAL: Any = ModuleType("tensorrt_llm.functional")


def modules() -> dict[str, ModuleType]:
    """The packages by name, with new tables."""
    FUNCTIONAL.ACT2FN = {"gelu": gelu, "gelu_new": gelu, "relu": lambda x: activation(x, ActivationType.RELU)}
    for thing in (Tensor, activation, cast, constant, index_select, lt, softmax, where):
        setattr(FUNCTIONAL, thing.__name__, thing)
    packages: dict[str, Any] = {name: ModuleType(name) for name in ("tensorrt", "tensorrt_llm")}
    packages["tensorrt"].ActivationType = ActivationType
    packages["tensorrt_llm.functional"] = FUNCTIONAL
    layers: Any = ModuleType("tensorrt_llm.layers")
    layers.ColumnLinear = Linear
    models: Any = ModuleType("tensorrt_llm.models")
    models.GPTForCausalLM = GPTForCausalLM
    return {**packages, "tensorrt_llm.layers": layers, "tensorrt_llm.models": models}
