"""The models of a rendered repository in this process: the very classes that Triton loads, Triton left out.

Whatever a profile runs below the stage contract, a figure "in process" is of the code that serves. A stand-in for
``triton_python_backend_utils``, which exists only inside Triton's stub, has the few names those classes use.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import sys
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bark_serving.arrays import Array
from bark_serving.errors import from_wire

_UTILS = "triton_python_backend_utils"
_FINAL = 1
_NAME = re.compile(r'^name:\s*("(?:[^"\\]|\\.)*")', re.MULTILINE)
_STRING = r'("(?:[^"\\]|\\.)*")'
_PARAMETER = re.compile(rf"parameters\s*{{\s*key:\s*{_STRING},?\s*value:\s*{{\s*string_value:\s*{_STRING}")


class Tensor:
    """A named array."""

    def __init__(self, name: str, array: Array) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> Array:
        return self._array


class TritonError(Exception):
    """A failure with a code."""

    INVALID_ARG, UNAVAILABLE, INTERNAL, CANCELLED, NOT_FOUND, ALREADY_EXISTS, UNSUPPORTED = range(7)

    def __init__(self, message: str = "", code: int = 0) -> None:
        super().__init__(message)

    def message(self) -> str:
        return str(self)


class InferenceResponse:
    """Tensors, or an error."""

    def __init__(self, output_tensors: Iterable[Tensor] = (), error: TritonError | None = None) -> None:
        self.tensors, self.error = list(output_tensors), error


class _Sender:
    """Keeps the one answer of a model that is not decoupled."""

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


def _stand_in() -> None:
    """Make ``import triton_python_backend_utils`` work."""
    if _UTILS in sys.modules or importlib.util.find_spec(_UTILS) is not None:
        return
    module: Any = ModuleType(_UTILS)
    module.Tensor = Tensor
    module.TritonError = TritonError
    module.InferenceResponse = InferenceResponse
    module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = _FINAL
    sys.modules[_UTILS] = module


def model_config(path: Path) -> str:
    """Name and string parameters of a ``config.pbtxt``, as the JSON that Triton hands to a Python model."""
    text = path.read_text(encoding="utf-8")
    name = _NAME.search(text)
    if name is None:
        raise ValueError(f"{path} has no name")
    parameters = {json.loads(key): {"string_value": json.loads(value)} for key, value in _PARAMETER.findall(text)}
    return json.dumps({"name": json.loads(name[1]), "parameters": parameters})


class InProcess:
    """Implements `stage_client.Caller` on the Python models of a repository; each is loaded when first called.

    Use it as a context manager: models have threads that end with it.
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
        if response.error is not None:
            raise from_wire(str(response.error))
        return {tensor.name(): tensor.as_numpy() for tensor in response.tensors}

    def _load(self, name: str) -> Any:
        _stand_in()
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
