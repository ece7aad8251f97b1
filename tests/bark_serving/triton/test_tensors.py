"""A request's tensors as Python values, and its one answer."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bark_serving.errors import InvalidRequest, SpeechFailed
from bark_serving.triton.in_process import Backend


def request(**inputs: np.ndarray) -> Any:
    tensors = [SimpleNamespace(name=partial(str, name), as_numpy=partial(np.asarray, a)) for name, a in inputs.items()]
    return SimpleNamespace(inputs=lambda: tensors)


def test_scalars_and_text_become_values_and_a_voice_stays_arrays(backend: Backend) -> None:
    from bark_serving.triton.tensors import read_inputs

    prompt = np.arange(3)
    values = read_inputs(
        {
            "text": np.array(["Grüße.".encode()], np.object_),
            "seed": np.array([2**64 - 1], np.uint64),
            "stream": np.array([False]),
            "semantic_prompt": prompt,
        }
    )
    assert values.pop("semantic_prompt") is prompt
    assert values == {"text": "Grüße.", "seed": 2**64 - 1, "stream": False}
    assert [type(value) for value in values.values()] == [str, int, bool]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1, 2]), "text has 2 elements; it must have one"),
        (np.array([], np.int32), "text has 0 elements"),
        (np.array([b"\xff"], np.object_), "text is not valid UTF-8"),
    ],
)
def test_a_tensor_that_is_no_single_value_is_refused(backend: Backend, array: np.ndarray, message: str) -> None:
    from bark_serving.triton.tensors import read_inputs

    with pytest.raises(InvalidRequest, match=message):
        read_inputs({"text": array})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidRequest("name is missing."), "[INVALID_ARGUMENT] name is missing."),
        (SpeechFailed("piece 1 failed 3 times."), "[SPEECH_FAILED] piece 1 failed 3 times."),
        (OSError("/home/me/secret"), "[INTERNAL] OSError; the server's log has more."),
    ],
)
def test_an_error_is_the_answer_and_names_no_path(backend: Backend, error: Exception, told: str) -> None:
    from bark_serving.triton.tensors import answered

    def outputs(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise error

    assert answered(outputs, request(x=np.ones(1))).error().message() == told
    assert not answered(lambda inputs: {"y": 2 * inputs["x"]}, request(x=np.ones(1))).has_error()
