"""Tensors, answers and errors of Triton's Python backend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from bark_serving.arrays import BFLOAT16, Array
from bark_serving.errors import InvalidRequest, ServingError

log = logging.getLogger(__name__)

#: Triton's names of codes where they differ from ours. Names, not values: the stub fills `pb_utils` only after it has
#: imported the model.
_TRITON_CODES = {"INVALID_ARGUMENT": "INVALID_ARG", "SPEECH_FAILED": "INTERNAL"}


def inputs_of(request: Any) -> dict[str, Array]:
    """A request's inputs by name."""
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def read_inputs(inputs: dict[str, Array]) -> dict[str, Any]:
    """Python values of tensors: of one element, a scalar or a text. The arrays of a voice stay arrays.

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
    """An answer with an error message; it has no traceback and no path of the server."""
    known = (
        error
        if isinstance(error, ServingError)
        else ServingError(f"{type(error).__name__}; the server's log has more.")
    )
    code = getattr(pb_utils.TritonError, _TRITON_CODES.get(known.code, known.code))
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(known), code))


def answered(outputs: Callable[[dict[str, Array]], Mapping[str, Array]], request: Any) -> Any:
    """The answer to a request: what `outputs` makes of its inputs, or the error that it raises."""
    try:
        return response(outputs(inputs_of(request)))
    except Exception as error:
        if not isinstance(error, ServingError):
            log.exception("a request failed")
        return failure(error)


def finish(sender: Any, answer: Any = None) -> None:
    """Send the last `answer` to a request, or only the end of its answers. Every request needs exactly one end."""
    final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
    if answer is None:
        sender.send(flags=final)
    else:
        sender.send(answer, flags=final)
