"""A stand-in for the module that Triton's stub gives its models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

Answers = Callable[..., dict[str, np.ndarray]]


class Backend(ModuleType):
    """`answer` stands for the models called: inputs by name → outputs by name.

    Their answers lie on a GPU, as those of TensorRT plans do, unless the caller wants them elsewhere.
    """

    TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    TRITONSERVER_MEMORY_CPU, TRITONSERVER_MEMORY_GPU = range(2)
    answer: Answers

    class PreferredMemory(NamedTuple):
        kind: int
        device: int = 0

    class Tensor:
        def __init__(self, name: str, array: np.ndarray, *, on_gpu: bool = False) -> None:
            self.name, self.array, self.on_gpu = name, array, on_gpu

        def as_numpy(self) -> np.ndarray:
            if self.on_gpu:
                raise RuntimeError("Tensor is stored in GPU and cannot be converted to NumPy.")
            return self.array

    class TritonError(Exception):
        UNAVAILABLE, INVALID_ARG, INTERNAL, CANCELLED = range(4)

    class InferenceResponse:
        def __init__(self, outputs: list[Any] | None = None, *, error: Exception | None = None) -> None:
            self.outputs, self._error = outputs, error

        def has_error(self) -> bool:
            return self._error is not None

        def error(self) -> Any:
            return SimpleNamespace(message=lambda: str(self._error and self._error.args[0]))

    def InferenceRequest(  # noqa: N802 - Triton's name
        self, *, inputs: list[Any], preferred_memory: PreferredMemory | None = None, **_: Any
    ) -> Any:
        on_gpu = preferred_memory is None or preferred_memory.kind != self.TRITONSERVER_MEMORY_CPU

        def execute() -> Backend.InferenceResponse:
            try:
                outputs = self.answer(**{tensor.name: tensor.array for tensor in inputs})
            except ValueError as error:
                return self.InferenceResponse(error=error)
            return self.InferenceResponse([self.Tensor(name, array, on_gpu=on_gpu) for name, array in outputs.items()])

        return SimpleNamespace(exec=execute)

    @staticmethod
    def get_output_tensor_by_name(answer: Any, name: str) -> Any:
        return next(tensor for tensor in answer.outputs if tensor.name == name)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """In place while a test runs; what has imported it is forgotten afterwards, and what imported another meanwhile."""
    module = Backend("triton_python_backend_utils")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in [name for name in sys.modules if name.startswith("bark_serving.triton")]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield module
    for name in set(sys.modules) - before:
        if name.startswith("bark_serving.triton"):
            del sys.modules[name]
