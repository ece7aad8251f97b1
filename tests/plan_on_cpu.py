"""A device that computes on the CPU: it runs a plan's ONNX graph in ONNX Runtime, at the addresses that it is given.

It is as strict as TensorRT: each step must give every tensor, in the types of the graph and the shapes of a profile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bark_serving.arrays import Array
from bark_serving.runtimes.device import Place

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class CpuDevice:
    """Implements `bark_serving.runtimes.device.Device`. A plan is an ONNX file."""

    def __init__(self) -> None:
        self._memory: list[Array] = []

    def allocate(self, size: int) -> int:
        self._memory.append(np.zeros(size, np.uint8))
        return self._memory[-1].ctypes.data

    def upload(self, address: int, array: Array) -> None:
        assert array.flags.c_contiguous
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def download(self, address: int, array: Array) -> None:
        assert array.flags.c_contiguous
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def copy(self, target: int, source: int, *, size: int, stride: int, count: int) -> None:
        for index in range(count):
            ctypes.memmove(target + index * stride, source + index * stride, size)

    def load(self, plan: Path) -> CpuPlan:
        return CpuPlan(plan)


class CpuPlan:
    """Implements `bark_serving.runtimes.device.LoadedPlan`."""

    def __init__(self, graph: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.inputs = [tensor.name for tensor in self._session.get_inputs()]
        self.outputs = [tensor.name for tensor in self._session.get_outputs()]

    def output_shapes(self, inputs: Mapping[str, Place]) -> Mapping[str, tuple[int, ...]]:
        types = {tensor.name: _TYPES[tensor.type] for tensor in self._session.get_inputs()}
        zeros = {name: np.zeros(place.shape, types[name]) for name, place in inputs.items()}
        arrays = self._session.run(self.outputs, zeros)
        return {name: array.shape for name, array in zip(self.outputs, arrays, strict=True)}

    def bind(self, tensors: Mapping[str, Place], *, profile: int, repeated: bool) -> Callable[[], None]:
        session, binding = self._session, self._session.io_binding()
        sides = ((session.get_inputs(), binding.bind_input), (session.get_outputs(), binding.bind_output))
        assert set(tensors) == {*self.inputs, *self.outputs}
        for side, bind in sides:
            for tensor in side:
                address, shape = tensors[tensor.name]
                fixed = [
                    size if isinstance(size, int) else given for size, given in zip(tensor.shape, shape, strict=True)
                ]
                assert list(shape) == fixed, f"{tensor.name} is {shape}, the graph has {tensor.shape}"
                bind(tensor.name, "cpu", 0, _TYPES[tensor.type], shape, address)
        return lambda: session.run_with_iobinding(binding)
