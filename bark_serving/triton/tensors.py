"""Tensors, parameters and errors of Triton's Python backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from bark_serving.arrays import BFLOAT16, Array
from bark_serving.errors import InvalidRequest, ServingError

#: Names of Triton's own codes where they differ from ours. Looked up when used: the stub fills `pb_utils` only after
#: it has imported the model.
_TRITON_CODES = {"INVALID_ARGUMENT": "INVALID_ARG"}


def inputs_of(request: Any) -> dict[str, Array]:
    """A request's inputs by name."""
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def read_inputs(inputs: dict[str, Array]) -> dict[str, Any]:
    """Tensors to Python values: a scalar of one element, text of bytes; the arrays of a voice stay arrays.

    Raises `InvalidRequest`.
    """
    values: dict[str, Any] = {}
    for name, array in inputs.items():
        if name.endswith("_prompt"):
            values[name] = array
            continue
        if array.size != 1:
            raise InvalidRequest(f"{name} has {array.size} elements; it must have one.")
        value = array.reshape(-1)[0]
        try:
            values[name] = value.decode() if isinstance(value, bytes) else value.item()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{name} is not valid UTF-8.") from None
    return values


def tensor(name: str, array: Array) -> Any:
    """An input of a stage. bfloat16 goes through torch and DLPack: Triton's stub takes no such array from numpy."""
    array = np.ascontiguousarray(array)
    if array.dtype != BFLOAT16:
        return pb_utils.Tensor(name, array)
    import torch

    return pb_utils.Tensor.from_dlpack(name, torch.from_numpy(array.view(np.int16)).view(torch.bfloat16))


def response(outputs: Mapping[str, Array]) -> Any:
    """An answer of named arrays."""
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, np.ascontiguousarray(a)) for name, a in outputs.items()])


def failure(error: BaseException) -> Any:
    """An answer that says what went wrong, without a traceback or a path of the server."""
    known = (
        error
        if isinstance(error, ServingError)
        else ServingError(f"{type(error).__name__}; the server's log has more.")
    )
    code = getattr(pb_utils.TritonError, _TRITON_CODES.get(known.code, known.code))
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(known), code))


def finish(sender: Any, answer: Any = None) -> None:
    """Send the last answer of a request; every request must end with exactly one of these."""
    final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
    if answer is None:
        sender.send(flags=final)
    else:
        sender.send(answer, flags=final)
