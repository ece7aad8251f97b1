"""A network over packed weights. Arguments are checked here; the native code trusts them."""

from __future__ import annotations

import ctypes
import operator
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bark_kernels import library as native
from bark_kernels.errors import KernelError, Unsupported
from bark_kernels.packing import GROUP, LINEARS, NORMS, PANEL, Floats, Packed, block_size, names
from bark_kernels.weights import Weights

Ints = npt.NDArray[np.int32]

MAX_HEAD_WIDTH = 128
MAX_POSITIONS = 65_536
_MLP = 4  #: the hidden layer is so many times as wide


@dataclass(frozen=True)
class Sizes:
    """Of a network. ``outputs`` are the names of its output layers."""

    layers: int
    heads: int
    width: int
    causal: bool
    outputs: Sequence[str] = ("head",)

    def unsupported(self) -> str | None:
        """Why the kernels cannot run a network of these sizes; None: they can."""
        if self.layers < 1 or self.heads < 1 or not self.outputs:
            return "a network needs a layer, a head and an output layer"
        head_width = self.width // self.heads
        if self.width % self.heads or head_width % PANEL or not PANEL <= head_width <= MAX_HEAD_WIDTH:
            return f"the width of a head must be a multiple of {PANEL} up to {MAX_HEAD_WIDTH}, not {head_width}"
        if self.causal and len(self.outputs) != 1:
            return "a causal network has one output layer"
        return None


class Gpt:
    """A network with a KV cache of ``rows`` sequences. Calls from several threads take turns.

    A position's logits do not depend on the batch, the number of threads, the instruction set, or on whether its
    sequence was prefilled at once or in parts. Logits belong to the caller.

    Raises `Unsupported` for sizes, weights or a processor that the kernels cannot serve.
    """

    def __init__(
        self,
        weights: Weights,
        sizes: Sizes,
        *,
        rows: int = 1,
        threads: int = 1,
        instruction_set: str | None = None,
    ) -> None:
        """instruction_set: None takes the one that ``BARK_KERNELS`` names, else the best."""
        chosen = instruction_set or native.chosen_instruction_set()
        if chosen is None or chosen not in native.instruction_sets():
            raise Unsupported(
                f"This processor has {', '.join(native.instruction_sets()) or 'no kernels'}, not {chosen}."
            )
        if problem := sizes.unsupported():
            raise Unsupported(f"{weights.path}: {problem}.")
        self.sizes = sizes
        self.rows = _number("rows", rows, 1, 4096)
        self.instruction_set = chosen
        self.positions, self.logits, network = _network(weights, sizes)
        self._weights = weights  # keeps the memory mapped
        self._lock = threading.Lock()
        self._library = native.library()
        handle = self._library.bark_open(
            ctypes.byref(network), self.rows, _number("threads", threads, 1, 256), chosen.encode()
        )
        if not handle:
            raise KernelError(f"There is no memory for {rows} rows, or {threads} threads could not be started.")
        self._handle = ctypes.c_void_p(handle)
        self._close = weakref.finalize(self, self._library.bark_close, self._handle)

    def close(self) -> None:
        """Free the memory and end the threads. Afterwards the network cannot be used."""
        with self._lock:
            self._close()

    def prefill(self, row: int, embeddings: Floats, *, start: int = 0) -> Floats:
        """Fill positions start … of a row with [n, width] token embeddings; logits [vocabulary] of the last one.

        Positions before ``start`` must have been filled.
        """
        self._causal(True)
        embeddings = self._embeddings(embeddings)
        _number("row", row, 0, self.rows - 1)
        _number("start", start, 0, self.positions - len(embeddings))
        logits = np.empty(self.logits[0], np.float32)
        self._call("bark_prefill", row, start, len(embeddings), _pointer(embeddings), _pointer(logits))
        return logits

    def decode(self, embeddings: Floats, lengths: npt.NDArray[np.integer[Any]]) -> Floats:
        """One step of rows 0 … n - 1: [n, width] embeddings at positions ``lengths`` [n] → logits [n, vocabulary]."""
        self._causal(True)
        embeddings = self._embeddings(embeddings, most=self.rows)
        if lengths.shape != (len(embeddings),):
            raise ValueError(f"lengths has shape {list(lengths.shape)}; it must be [{len(embeddings)}].")
        if lengths.dtype.kind not in "iu":
            raise TypeError(f"lengths must be whole numbers, not {lengths.dtype}.")
        if lengths.min() < 0 or lengths.max() >= self.positions:
            raise IndexError(f"lengths are {lengths.min()} … {lengths.max()}; positions are 0 … {self.positions - 1}.")
        at = np.ascontiguousarray(lengths, np.int32)
        logits = np.empty((len(embeddings), self.logits[0]), np.float32)
        self._call("bark_decode", len(embeddings), _pointer(embeddings), _pointer(at), _pointer(logits))
        return logits

    def encode(self, embeddings: Floats, *, output: int = 0) -> Floats:
        """All positions at once, each seeing all: [n, width] embeddings → logits [n, vocabulary] of an output layer."""
        self._causal(False)
        embeddings = self._embeddings(embeddings)
        _number("output", output, 0, len(self.logits) - 1)
        logits = np.empty((len(embeddings), self.logits[output]), np.float32)
        self._call("bark_encode", len(embeddings), _pointer(embeddings), output, _pointer(logits))
        return logits

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of one row's cache over another's."""
        self._causal(True)
        _number("source", source, 0, self.rows - 1)
        _number("target", target, 0, self.rows - 1)
        _number("length", length, 0, self.positions)
        if source != target:
            self._call("bark_move", source, target, length)

    def _call(self, name: str, *arguments: Any) -> None:
        with self._lock:
            if not self._close.alive:
                raise KernelError("This network is closed.")
            getattr(self._library, name)(self._handle, *arguments)

    def _causal(self, causal: bool) -> None:
        if self.sizes.causal != causal:
            raise KernelError(f"This network is {'causal' if self.sizes.causal else 'bidirectional'}.")

    def _embeddings(self, embeddings: Floats, *, most: int | None = None) -> Floats:
        if not isinstance(embeddings, np.ndarray) or embeddings.dtype != np.float32:
            raise TypeError(
                f"embeddings must be a float32 array, not {getattr(embeddings, 'dtype', type(embeddings))}."
            )
        most = most or self.positions
        if embeddings.ndim != 2 or embeddings.shape[1] != self.sizes.width or not 1 <= len(embeddings) <= most:
            raise ValueError(
                f"embeddings has shape {list(embeddings.shape)}; it must be [1 … {most}, {self.sizes.width}]."
            )
        return np.ascontiguousarray(embeddings)


def _network(weights: Weights, sizes: Sizes) -> tuple[int, tuple[int, ...], native.Network]:
    """Positions, widths of the output layers, and the native description, whose pointers are into the file."""
    width, arrays = sizes.width, weights.arrays
    expected = names(sizes.layers, sizes.outputs)
    if expected != set(arrays):
        raise Unsupported(f"{weights.path} has other arrays: {', '.join(sorted(expected ^ set(arrays))[:4])}.")

    def floats(name: str, *shape: int) -> Floats:
        array = arrays[name]
        if array.dtype != np.float32 or array.shape != shape:
            raise Unsupported(
                f"{weights.path}: {name} is {array.dtype} {list(array.shape)}, not float32 {list(shape)}."
            )
        return array

    def norm(name: str) -> native.Norm:
        return native.Norm(
            *(floats(f"{name}.{part}", width).ctypes.data_as(native.Floats) for part in ("gain", "bias"))
        )

    def linear(name: str, inputs: int, columns: int) -> native.Linear:
        packed = arrays[f"{name}.weights"]
        panels = -(-columns // PANEL)
        bits = 8 if packed.shape[1:] == (inputs // GROUP, PANEL, GROUP) else 4
        shape = (panels, inputs * bits // 32, PANEL, GROUP)
        if packed.dtype != np.uint8 or packed.shape != shape:
            raise Unsupported(
                f"{weights.path}: {name}.weights is {packed.dtype} {list(packed.shape)}, not {list(shape)}."
            )
        block = block_size(inputs, bits=bits)
        scales, bias = floats(f"{name}.scales", panels, inputs // block, PANEL), floats(f"{name}.bias", panels * PANEL)
        return native.linear_of(Packed(packed, scales, bias, columns=columns, bits=bits))

    shapes = ((width, 3 * width), (width, width), (width, _MLP * width), (_MLP * width, width))
    layers = (native.Layer * sizes.layers)()
    for i, layer in enumerate(layers):
        qkv, out, up, down = (linear(f"layers.{i}.{name}", *shape) for name, shape in zip(LINEARS, shapes, strict=True))
        attention_norm, mlp_norm = (norm(f"layers.{i}.{name}") for name in NORMS)
        layer.attention_norm, layer.qkv, layer.out = attention_norm, qkv, out
        layer.mlp_norm, layer.up, layer.down = mlp_norm, up, down
    columns = tuple(weights.metadata.get(f"columns.{name}", -1) for name in sizes.outputs)
    if min(columns) < 1:
        raise Unsupported(f"{weights.path} does not say how many columns its output layers have.")
    outputs = (native.Linear * len(columns))(
        *(linear(name, width, count) for name, count in zip(sizes.outputs, columns, strict=True))
    )
    positions = len(arrays["position_embedding"])
    if not 1 <= positions <= MAX_POSITIONS:
        raise Unsupported(f"{weights.path} has {positions} positions; 1 … {MAX_POSITIONS} can be served.")
    network = native.Network(
        sizes.layers,
        sizes.heads,
        width,
        positions,
        int(sizes.causal),
        len(columns),
        layers,
        floats("position_embedding", positions, width).ctypes.data_as(native.Floats),
        norm("norm"),
        outputs,
    )
    return positions, columns, network


def _number(name: str, value: int, least: int, most: int) -> int:
    """The value. Raises `TypeError` for what is no whole number, and `IndexError` for one out of range."""
    number = operator.index(value)
    if not least <= number <= most:
        raise IndexError(f"{name} is {value}; it must be {least} … {most}.")
    return number


def _pointer(array: npt.NDArray[Any]) -> int:
    return array.ctypes.data
