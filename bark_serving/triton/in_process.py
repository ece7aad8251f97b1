"""The Python models of a rendered repository, run in this process instead of in Triton.

Triton loads the same classes: a figure measured here is a figure of the code that serves. `Backend` stands in for the
module ``triton_python_backend_utils``, which exists only inside the processes that Triton starts.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from bark_serving.arrays import Array
from bark_serving.errors import from_wire

_NAME = re.compile(r'^name:\s*("(?:[^"\\]|\\.)*")', re.MULTILINE)
_STRING = r'("(?:[^"\\]|\\.)*")'
_PARAMETER = re.compile(rf"parameters\s*{{\s*key:\s*{_STRING},?\s*value:\s*{{\s*string_value:\s*{_STRING}")

Answers = Callable[..., dict[str, Array]]


class Tensor:
    """A named array. One on a GPU cannot be read as numpy, as in Triton."""

    def __init__(self, name: str, array: Array, *, on_gpu: bool = False) -> None:
        self._name, self._array, self._on_gpu = name, array, on_gpu

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> Array:
        if self._on_gpu:
            raise RuntimeError("Tensor is stored in GPU and cannot be converted to NumPy.")
        return self._array


class TritonError(Exception):
    """An error message with Triton's error code."""

    INVALID_ARG, UNAVAILABLE, INTERNAL, CANCELLED, NOT_FOUND, ALREADY_EXISTS, UNSUPPORTED = range(7)

    def __init__(self, message: str = "", code: int = INTERNAL) -> None:
        super().__init__(message)
        self._code = code

    def message(self) -> str:
        return str(self)

    def code(self) -> int:
        return self._code


class InferenceResponse:
    """Output tensors, or an error."""

    def __init__(self, output_tensors: Iterable[Tensor] = (), error: TritonError | None = None) -> None:
        self._tensors, self._error = list(output_tensors), error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error


class _PreferredMemory(NamedTuple):
    kind: int
    device: int = 0


class Backend(ModuleType):
    """Stands in for ``triton_python_backend_utils``.

    `answer` computes what called models answer (BLS): inputs by name → outputs by name. It may raise `ValueError`. The
    outputs lie on a GPU, as those of TensorRT plans do, unless the request prefers the memory of the CPU.
    """

    TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    TRITONSERVER_MEMORY_CPU, TRITONSERVER_MEMORY_GPU = range(2)
    answer: Answers

    def __init__(self) -> None:
        super().__init__("triton_python_backend_utils")
        self.Tensor, self.TritonError, self.InferenceResponse = Tensor, TritonError, InferenceResponse
        self.PreferredMemory = _PreferredMemory

    def InferenceRequest(  # noqa: N802 - Triton's name
        self, *, inputs: list[Tensor], preferred_memory: _PreferredMemory | None = None, **_: Any
    ) -> Any:
        on_gpu = preferred_memory is None or preferred_memory.kind != self.TRITONSERVER_MEMORY_CPU

        def execute() -> InferenceResponse:
            try:
                outputs = self.answer(**{tensor.name(): tensor.as_numpy() for tensor in inputs})
            except ValueError as error:
                return InferenceResponse(error=TritonError(str(error)))
            return InferenceResponse([Tensor(name, array, on_gpu=on_gpu) for name, array in outputs.items()])

        return SimpleNamespace(exec=execute)

    @staticmethod
    def get_output_tensor_by_name(response: InferenceResponse, name: str) -> Tensor:
        return next(tensor for tensor in response.output_tensors() if tensor.name() == name)


def _provide_backend() -> None:
    """Make ``import triton_python_backend_utils`` work outside Triton."""
    module = Backend()
    if module.__name__ not in sys.modules and importlib.util.find_spec(module.__name__) is None:
        sys.modules[module.__name__] = module


class _Sender:
    """Keeps the one response of a GPT model, which answers after `execute` has returned."""

    def __init__(self) -> None:
        self.answer: Future[InferenceResponse] = Future()

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        if response is not None and not self.answer.done():
            self.answer.set_result(response)

    def is_cancelled(self) -> bool:
        return False


class _Request:
    def __init__(self, inputs: dict[str, Array], outputs: list[str], request_id: str) -> None:
        self._inputs, self._outputs, self._id = inputs, outputs, request_id
        self.sender = _Sender()

    def inputs(self) -> list[Tensor]:
        return [Tensor(name, array) for name, array in self._inputs.items()]

    def requested_output_names(self) -> list[str]:
        return self._outputs

    def request_id(self) -> str:
        return self._id

    def get_response_sender(self) -> _Sender:
        return self.sender


def model_config(path: Path) -> str:
    """Name and string parameters of a ``config.pbtxt``, as the JSON that Triton hands to a Python model."""
    text = path.read_text(encoding="utf-8")
    name = _NAME.search(text)
    if name is None:
        raise ValueError(f"{path} has no name")
    parameters = {json.loads(key): {"string_value": json.loads(value)} for key, value in _PARAMETER.findall(text)}
    return json.dumps({"name": json.loads(name[1]), "parameters": parameters})


class InProcess:
    """Implements `stage_client.Caller` on the Python models of a repository. A model is loaded at its first call.

    Use it as a context manager: leaving it ends the models' threads.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._models: dict[str, Any] = {}

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        for model in self._models.values():
            if hasattr(model, "finalize"):
                model.finalize()
        self._models.clear()

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        return await asyncio.to_thread(self.run, model, inputs, outputs, request_id=request_id)

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        self.run(model, inputs, outputs, request_id=request_id)

    def run(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        """Outputs by name. Raises `bark_serving.errors.ServingError`."""
        loaded = self._models.get(model) or self._load(model)
        request = _Request({name: np.asarray(array) for name, array in inputs.items()}, outputs, request_id)
        [answer] = loaded.execute([request])
        response = request.sender.answer.result() if answer is None else answer
        error = response.error()
        if error is not None:
            raise from_wire(error.message())
        return {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}

    def _load(self, name: str) -> Any:
        _provide_backend()
        folder = self._repository / name
        config = folder / "config.pbtxt"
        source = importlib.util.spec_from_file_location(f"_repository_{name}", folder / "1/model.py")
        assert source is not None and source.loader is not None
        module = importlib.util.module_from_spec(source)
        source.loader.exec_module(module)
        model = module.TritonPythonModel()
        model.initialize(
            {
                "model_config": model_config(config),
                "model_instance_kind": "GPU" if "KIND_GPU" in config.read_text(encoding="utf-8") else "CPU",
                "model_instance_device_id": "0",
                "model_name": name,
                "model_version": "1",
                "model_repository": str(folder),
            }
        )
        self._models[name] = model
        return model
